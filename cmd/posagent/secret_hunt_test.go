package main

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hunt searches whatever posagent has written or answered for secrets that were planted, in every form that is cheap to look for: as
// they are, cut in pieces, with anything between their characters, in hexadecimal, base64, percent-encoding, as byte values, as binary
// numbers, and, for a payment code, under a hash that needs no key.
type hunt struct {
	mu       sync.Mutex // guards what follows
	texts    *needles   // of text without anything but its letters and digits, in small letters
	binaries *needles   // of bytes as they are
	found    map[string]bool
	looked   int // bytes
}

// needles are what is looked for, by their first bytes.
type needles struct {
	by    map[[needleStart]byte][]needle
	first [1 << 16]bool // of two bytes: nearly everything is passed over by them
}

type needle struct {
	text string
	of   string // which secret, in which form
}

const (
	needleStart = 8  // bytes that each needle has at least
	codePiece   = 12 // digits: of ten, some piece of a few hundred codes stands by chance among the times of a long log
	textPiece   = 16
)

func newHunt() *hunt {
	return &hunt{texts: newNeedles(), binaries: newNeedles(), found: map[string]bool{}}
}

func newNeedles() *needles { return &needles{by: map[[needleStart]byte][]needle{}} }

func (n *needles) add(text, of string) {
	if len(text) >= needleStart {
		start := [needleStart]byte([]byte(text[:needleStart]))
		n.by[start] = append(n.by[start], needle{text, of})
		n.first[two(text)] = true
	}
}

func two(text string) int { return int(text[0])<<8 | int(text[1]) }

// code makes a payment code one that nobody may see. Its last four digits are shown as its tail, so each piece has others too.
func (h *hunt) code(code string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := "a payment code, …" + code[14:]
	for at := 2; at+codePiece <= len(code); at++ { // the first six of a scenario's code are alike
		h.texts.add(code[at:at+codePiece], name)
	}
	h.encoded(code[2:14], name)
	sha, md := sha256.Sum256([]byte(code)), md5.Sum([]byte(code))
	for _, sum := range [][]byte{sha[:], md[:]} {
		h.texts.add(fold([]byte(hex.EncodeToString(sum)))[:textPiece], name+" hashed without a key")
		h.texts.add(fold([]byte(base64.StdEncoding.EncodeToString(sum)))[:textPiece], name+" hashed without a key")
	}
	number, _ := strconv.ParseUint(code, 10, 64)
	h.texts.add(fold([]byte(fmt.Sprintf("%.12e", float64(number))))[:12], name+" as a floating-point number")
	h.binaries.add(string(binary.BigEndian.AppendUint64(nil, number)), name+" as a number")
	h.binaries.add(string(binary.LittleEndian.AppendUint64(nil, number)), name+" as a number")
	return code
}

// secret makes a text one that nobody may see, nor a piece of it.
func (h *hunt) secret(name, text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	plain := fold([]byte(text))
	for at := 0; at+textPiece <= len(plain); at += textPiece / 2 {
		h.texts.add(plain[at:at+textPiece], name)
	}
	if len(plain) < textPiece {
		h.texts.add(plain, name)
	}
	h.encoded(text, name)
	return text
}

// number makes a number of a key one that nobody may see.
func (h *hunt) number(name string, n *big.Int) {
	h.secret(name+" in decimal digits", n.String())
	h.secret(name+" in hexadecimal digits", n.Text(16))
}

// encoded looks for a text in other clothes.
func (h *hunt) encoded(text, name string) {
	h.texts.add(fold([]byte(hex.EncodeToString([]byte(text)))), name+" in hexadecimal")
	for shift := range 3 {
		code := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + text))
		whole := code[(shift*8+5)/6 : len(code)-1] // without the characters that hold bits of the neighbours
		h.texts.add(fold([]byte(whole)), name+" in base64")
	}
	values := ""
	for _, c := range []byte(text) {
		values += strconv.Itoa(int(c))
	}
	h.texts.add(values, name+" as byte values")
}

// fold leaves of a text its letters and digits, in small letters, so that no separator or case hides anything.
func fold(text []byte) string {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			out = append(out, c)
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		}
	}
	return string(out)
}

// search looks through what was written at one place, and remembers what it finds.
func (h *hunt) search(where string, text []byte) {
	looked := len(text)
	text = withoutEmptyPages(text)
	folded := fold(text)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looked += looked
	for _, of := range slices.Concat(h.texts.in(folded), h.binaries.in(string(text))) {
		h.found[where+": "+of] = true
	}
}

// withoutEmptyPages leaves out the pages of a file that hold nothing: nearly all of a young journal and of its reserve.
func withoutEmptyPages(text []byte) []byte {
	empty := make([]byte, 4096)
	kept := make([]byte, 0, min(len(text), 1<<20))
	for page := range slices.Chunk(text, len(empty)) {
		if !bytes.Equal(page, empty[:len(page)]) {
			kept = append(kept, page...)
		}
	}
	return kept
}

func (n *needles) in(text string) (found []string) {
	for at := 0; at+needleStart <= len(text); at++ {
		if !n.first[two(text[at:])] {
			continue
		}
		for _, k := range n.by[[needleStart]byte([]byte(text[at:at+needleStart]))] {
			if strings.HasPrefix(text[at:], k.text) {
				found = append(found, k.of)
			}
		}
	}
	return found
}

// searchFiles looks through every file below a folder, and its name, but for those that may hold a secret.
func (h *hunt) searchFiles(t *testing.T, folder string, but ...string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		h.search("the name of a file", []byte(filepath.Base(path)))
		if err != nil || !entry.Type().IsRegular() || slices.Contains(but, entry.Name()) {
			return err
		}
		text, err := os.ReadFile(path)
		h.search("the file "+entry.Name(), text)
		return err
	}))
}

// nothing ends the hunt.
func (h *hunt) nothing(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for found := range h.found {
		t.Error(found)
	}
	t.Logf("looked through %d KiB", h.looked>>10)
}

func TestAPlantedLeakIsFoundInWhateverForm(t *testing.T) {
	const code, key = "130000987654321041", "kJ8sD72mQx0PzRt5LwEyVb3NcGh9UaFi"
	shown := func(text string) []string {
		h := newHunt()
		h.code(code)
		h.secret("the key", key)
		h.search("here", []byte("{\"level\":\"debug\",\"what\":\""+text+"\"}\n"))
		found := []string{}
		for f := range h.found {
			found = append(found, f)
		}
		return found
	}
	number, _ := strconv.ParseUint(code, 10, 64)
	sum := sha256.Sum256([]byte(code))
	for _, leak := range []string{
		code, "x" + code + "y", code[:14], code[4:], "1300 0098 7654 3210 41", "13-0000-9876-5432-1041", strings.Join(strings.Split(code, ""), `","`),
		hex.EncodeToString([]byte(code)), strings.ToUpper(hex.EncodeToString([]byte("code=" + code))), fmt.Sprintf("% x", code), fmt.Sprint([]byte(code)),
		base64.StdEncoding.EncodeToString([]byte(code)), base64.URLEncoding.EncodeToString([]byte("a" + code)), base64.StdEncoding.EncodeToString([]byte(`{"auth_code":"` + code)),
		"%31%33%30%30%30%30%39%38%37%36%35%34%33%32%31%30%34%31", fmt.Sprint(float64(number)), string(binary.BigEndian.AppendUint64(nil, number)),
		hex.EncodeToString(sum[:]), strings.Join(strings.Split(code, ""), "\x00"),
		key, key[:24], key[8:], strings.ToLower(key), base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte("ab" + key)), hex.EncodeToString([]byte(key)),
	} {
		assert.NotEmpty(t, shown(leak), "%q was not found", leak)
	}
	for _, harmless := range []string{"", "…1041", "a code was refused", "SZTX001T12611240001K2W0OJ", key[:8]} {
		assert.Empty(t, shown(harmless), harmless)
	}
}
