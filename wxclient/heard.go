package wxclient

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// The file of what was heard is a ring of places of one size: it never grows, is never rewritten, and a damaged place loses one answer.
const (
	heardPlaces = 1024 // far more answers than a till gets in ten minutes: 32 KiB
	heardWidth  = 32   // bytes of a place; a disk's sector of 512 holds whole ones
	// heardSalt begins what a place's checksum covers, so that another format reads as damage.
	heardSalt = "posagent heard 1"
)

// nonceMark stands for a nonce: the first half of its SHA-256, so that what came from outside has one length.
type nonceMark [16]byte

func markOf(nonce string) nonceMark {
	sum := sha256.Sum256([]byte(nonce))
	return nonceMark(sum[:16])
}

// heardAnswer is one verified answer, as the file keeps it: nothing of what it said.
type heardAnswer struct {
	number uint32    // counted up over all starts; its place is number modulo heardPlaces
	signed time.Time // by WeChat Pay; its zero where an API signs no time
	mark   nonceMark
}

// heardFile keeps what was heard for the next start. It is written and not synced: what a killed process has written is there, and after a
// power cut the answers that it lost are older than the time that any PC takes to start again. A file that cannot be read or written is told
// of once, and what is heard is then known to this start alone.
type heardFile struct {
	log zerolog.Logger

	mu   sync.Mutex // guards all below
	file *os.File   // nil: none is kept
	next uint32
	told bool // that it cannot be written
}

// openHeard opens the file, or makes it with mode 0600, and returns what earlier starts heard, in the order of hearing. An empty path
// keeps none.
func openHeard(path string, log zerolog.Logger) (*heardFile, []heardAnswer) {
	h := &heardFile{log: log}
	if path == "" {
		return h, nil
	}
	file, err := openRegular(path)
	if err != nil {
		log.Warn().Err(err).Str("file", path).Msg("what WeChat Pay answers is remembered until the next start only")
		return h, nil
	}
	answers, damaged, err := readHeard(file)
	if err != nil || damaged > 0 {
		log.Warn().Err(err).Str("file", path).Int("damaged", damaged).Msg("some of what WeChat Pay answered an earlier start is forgotten")
	}
	h.file = file
	if len(answers) > 0 {
		h.next = answers[len(answers)-1].number + 1
	}
	return h, answers
}

// openRegular follows no link: behind one may lie a file of another's, as the journal itself, and places are written over what is there.
func openRegular(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", info.Name())
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", info.Name())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readHeard reads every place, and counts those that hold neither an answer nor nothing.
func readHeard(file io.Reader) (answers []heardAnswer, damaged int, err error) {
	text, err := io.ReadAll(io.LimitReader(file, heardPlaces*heardWidth))
	for at := 0; at+heardWidth <= len(text); at += heardWidth {
		place := [heardWidth]byte(text[at:])
		a, ok := answerAt(place)
		switch {
		case ok && int(a.number%heardPlaces) == at/heardWidth:
			answers = append(answers, a)
		case place != [heardWidth]byte{}:
			damaged++
		}
	}
	slices.SortFunc(answers, func(a, b heardAnswer) int { return int(int32(a.number - b.number)) })
	return answers, damaged, err
}

// place returns an answer as it lies in the file.
func (a heardAnswer) place() [heardWidth]byte {
	var p [heardWidth]byte
	binary.BigEndian.PutUint32(p[0:], a.number)
	binary.BigEndian.PutUint64(p[4:], uint64(a.signed.Unix()))
	copy(p[12:], a.mark[:])
	binary.BigEndian.PutUint32(p[28:], heardSum(p))
	return p
}

func answerAt(p [heardWidth]byte) (heardAnswer, bool) {
	a := heardAnswer{number: binary.BigEndian.Uint32(p[0:]), signed: time.Unix(int64(binary.BigEndian.Uint64(p[4:])), 0), mark: nonceMark(p[12:28])}
	return a, binary.BigEndian.Uint32(p[28:]) == heardSum(p)
}

func heardSum(p [heardWidth]byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(heardSalt)), crc32.IEEETable, p[:28])
}

// keep writes one answer down. It returns when the system has it, and does not wait for the disk.
func (h *heardFile) keep(mark nonceMark, signed time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return
	}
	a := heardAnswer{number: h.next, signed: signed, mark: mark}
	h.next++
	place := a.place()
	_, err := h.file.WriteAt(place[:], int64(a.number%heardPlaces)*heardWidth)
	if err != nil && !h.told {
		h.told = true
		h.log.Warn().Err(err).Msg("what WeChat Pay answers cannot be written down, and is remembered until the next start only")
	}
	if err == nil && h.told {
		h.told = false
		h.log.Info().Msg("what WeChat Pay answers is written down again")
	}
}

func (h *heardFile) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file != nil {
		_ = h.file.Close()
		h.file = nil
	}
}

// lately returns the answers that were signed within ten minutes of the one that was heard last, and the latest time of them. By the
// last one, because no clock is known yet; times before and behind it, because a wrong one must not last.
func lately(answers []heardAnswer) (recent []heardAnswer, latest time.Time) {
	for _, a := range answers {
		if a.signed.Sub(answers[len(answers)-1].signed).Abs() > nonceKept {
			continue
		}
		recent = append(recent, a)
		if a.signed.After(latest) {
			latest = a.signed
		}
	}
	return recent, latest
}
