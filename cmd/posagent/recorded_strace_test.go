package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// diskCall is one system call of the daemon that changed a file of the journal, made a change last, or told the world.
type diskCall struct {
	Begin, End int // lines of the log: what lies between may have happened or not
	Kind       callKind
	Path       string // below the till's folder; "." is the folder itself
	To         string // of a rename
	At         int64  // of a write, in bytes; of a truncation, the new size
	Data       []byte // of a write
	Told       uint64 // the newest entry of the chain that the daemon spoke of
}

type callKind string

const (
	callOpen     callKind = "open"  // makes the file where it is not there
	callEmpty    callKind = "empty" // the same, and empties it
	callMkdir    callKind = "mkdir"
	callWrite    callKind = "write"
	callTruncate callKind = "truncate"
	callSync     callKind = "sync" // of a file or a folder
	callRename   callKind = "rename"
	callUnlink   callKind = "unlink"
	callTold     callKind = "told"
)

// straceReader reads logs of strace -f -y -xx. A call whose line another thread's call cut in two is put together again.
type straceReader struct {
	dir     string
	line    int
	halves  map[string]half  // by thread
	offsets map[string]int64 // by file descriptor, of plain writes
	calls   []diskCall
}

// half is a call that has begun.
type half struct {
	line int
	text []byte
}

func (r *straceReader) read(log io.Reader) error {
	r.halves, r.offsets = map[string]half{}, map[string]int64{}
	lines := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			r.line++
			if err := r.take(bytes.TrimSpace(line)); err != nil {
				return fmt.Errorf("line %d: %w", r.line, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *straceReader) finish() []diskCall {
	slices.SortStableFunc(r.calls, func(a, b diskCall) int { return a.Begin - b.Begin })
	return r.calls
}

var (
	unfinished = []byte("<unfinished ...>")
	resumed    = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)
	result     = regexp.MustCompile(`^(-?\d+)(?:<([^>]*)>)?`)
)

func (r *straceReader) take(line []byte) error {
	pid, text, ok := bytes.Cut(line, []byte(" "))
	text = bytes.TrimLeft(text, " ")
	if !ok || bytes.HasPrefix(text, []byte("+++")) || bytes.HasPrefix(text, []byte("---")) {
		return nil
	}
	thread, begin := string(pid), r.line
	if bytes.HasSuffix(text, unfinished) {
		r.halves[thread] = half{line: r.line, text: bytes.Clone(bytes.TrimRight(bytes.TrimSuffix(text, unfinished), " "))}
		return nil
	}
	if mark := resumed.Find(text); mark != nil {
		first, begun := r.halves[thread]
		if !begun {
			return fmt.Errorf("thread %s ends what it has not begun", thread)
		}
		delete(r.halves, thread)
		begin, text = first.line, append(first.text, text[len(mark):]...)
	}
	return r.call(begin, text)
}

// call reads a whole call. One that failed changed nothing.
func (r *straceReader) call(begin int, text []byte) error {
	name, rest, ok := bytes.Cut(text, []byte("("))
	equals := bytes.LastIndex(rest, []byte("= "))
	if !ok || equals < 0 {
		return fmt.Errorf("it cannot be read: %.200s", text)
	}
	end := bytes.LastIndexByte(rest[:equals], ')')
	m := result.FindSubmatch(rest[equals+2:])
	if m == nil || end < 0 {
		return fmt.Errorf("it cannot be read: %.200s", text)
	}
	returned, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil || returned < 0 {
		return err
	}
	c := diskCall{Begin: begin, End: r.line}
	args := splitArgs(string(rest[:end]))
	switch string(name) {
	case "openat":
		return r.opened(c, string(m[1]), unhex(string(m[2])), args)
	case "pwrite64", "write":
		return r.wrote(c, string(name), args, returned)
	case "fsync", "fdatasync":
		c.Kind, c.Path = callSync, pathOf(args[0])
	case "ftruncate":
		c.Kind, c.Path = callTruncate, pathOf(args[0])
		c.At, err = strconv.ParseInt(args[1], 10, 64)
	case "rename":
		c.Kind, c.Path, c.To = callRename, unhex(args[0]), unhex(args[1])
	case "renameat", "renameat2":
		c.Kind, c.Path, c.To = callRename, unhex(args[1]), unhex(args[3])
	case "unlink", "mkdir":
		c.Kind, c.Path = callKind(string(name)), unhex(args[0])
	case "unlinkat":
		c.Kind, c.Path = callUnlink, unhex(args[1])
	case "mkdirat":
		c.Kind, c.Path = callMkdir, unhex(args[1])
	}
	if err != nil {
		return err
	}
	return r.keep(c)
}

func (r *straceReader) opened(c diskCall, fd, path string, args []string) error {
	r.offsets[fd] = 0
	if c.Kind = callOpen; strings.Contains(args[2], "O_TRUNC") {
		c.Kind = callEmpty
	}
	if !strings.Contains(args[2], "O_CREAT") && c.Kind == callOpen {
		return nil
	}
	c.Path = path
	return r.keep(c)
}

// toldSequence finds the entries of the chain that an answer of the local API about a payment names.
var (
	answeredPayment = []byte(`"id":"SZTX`)
	toldSequence    = regexp.MustCompile(`"sequence":(\d+)`)
)

func (r *straceReader) wrote(c diskCall, name string, args []string, written int64) error {
	fd, _, _ := strings.Cut(args[0], "<")
	c.Kind, c.Path = callWrite, pathOf(args[0])
	c.At = r.offsets[fd]
	if name == "pwrite64" {
		at, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return err
		}
		c.At = at
	} else {
		r.offsets[fd] += written
	}
	_, ours := r.ours(c.Path)
	if !ours && !strings.HasPrefix(c.Path, "socket:") {
		return nil
	}
	c.Data = []byte(unhex(args[1]))
	if ours {
		return r.keepWrite(c, strings.HasSuffix(args[1], "..."), written)
	}
	if !bytes.Contains(c.Data, answeredPayment) {
		return nil
	}
	for _, m := range toldSequence.FindAllSubmatch(c.Data, -1) {
		if told, _ := strconv.ParseUint(string(m[1]), 10, 64); told > c.Told {
			c.Told = told
		}
	}
	if c.Data = nil; c.Told > 0 {
		c.Kind = callTold
		r.calls = append(r.calls, c)
	}
	return nil
}

// keepWrite fills up with zeros what the log cut short: the reserve, which holds nothing else.
func (r *straceReader) keepWrite(c diskCall, cut bool, result int64) error {
	if cut {
		if len(bytes.Trim(c.Data, "\x00")) > 0 {
			return fmt.Errorf("the log cuts a write of %s short, which is not of zeros", c.Path)
		}
		c.Data = make([]byte, result)
	}
	if int64(len(c.Data)) < result {
		return fmt.Errorf("%d of %d bytes written to %s are in the log", len(c.Data), result, c.Path)
	}
	c.Data = c.Data[:result]
	return r.keep(c)
}

func (r *straceReader) keep(c diskCall) error {
	path, ours := r.ours(c.Path)
	if c.To != "" {
		to, also := r.ours(c.To)
		if ours != also {
			return fmt.Errorf("a rename from %s to %s", c.Path, c.To)
		}
		c.To = to
	}
	if c.Path = path; ours {
		r.calls = append(r.calls, c)
	}
	return nil
}

func (r *straceReader) ours(path string) (string, bool) {
	if path == r.dir {
		return ".", true
	}
	return journalFile(r.dir, path)
}

// splitArgs parts a call's arguments. Under -xx no text holds a comma of its own.
func splitArgs(text string) []string { return strings.Split(text, ", ") }

// pathOf is the path that -y puts behind a file descriptor.
func pathOf(fd string) string {
	_, path, _ := strings.Cut(fd, "<")
	path, rest, _ := strings.Cut(path, ">")
	if strings.HasPrefix(rest, "(deleted)") {
		return ""
	}
	return unhex(path)
}

// unhex reads a text of -xx, with its quotes or without.
func unhex(text string) string {
	text = strings.TrimSuffix(text, "...")
	text = strings.Trim(text, `"`)
	if !strings.HasPrefix(text, `\x`) {
		return text
	}
	out := make([]byte, 0, len(text)/4)
	for i := 0; i+4 <= len(text); i += 4 {
		out = append(out, hexDigit(text[i+2])<<4|hexDigit(text[i+3]))
	}
	return string(out)
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

func TestALogWhoseLinesThreadsCutInTwoIsReadWhole(t *testing.T) {
	hex := func(text string) string {
		var out strings.Builder
		for _, c := range []byte(text) {
			fmt.Fprintf(&out, `\x%02x`, c)
		}
		return out.String()
	}
	file := "5<" + hex("/d/journal.db") + ">"
	log := strings.Join([]string{
		`1  openat(AT_FDCWD<` + hex("/x") + `>, "` + hex("/d/journal.db") + `", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = ` + file,
		`1  pwrite64(` + file + `, "` + hex("ab") + `", 2, 4096 <unfinished ...>`,
		`22 fdatasync(` + file + ` <unfinished ...>`,
		`1  <... pwrite64 resumed>) = 2`,
		`3  write(9<` + hex("socket:[77]") + `>, "` + hex(`{"id":"SZTX0017","sequence":41}`) + `", 31) = 31`,
		`22 <... fdatasync resumed>) = 0`,
		`1  fsync(` + file + `) = -1 EIO (Input/output error)`,
		`1  write(6<` + hex("/elsewhere") + `>, "` + hex("x") + `", 1) = 1`,
		`1  +++ exited with 0 +++`,
	}, "\n")
	r := &straceReader{dir: "/d"}
	require.NoError(t, r.read(strings.NewReader(log)))
	assert.Equal(t, []diskCall{
		{Begin: 1, End: 1, Kind: callOpen, Path: "journal.db"},
		{Begin: 2, End: 4, Kind: callWrite, Path: "journal.db", At: 4096, Data: []byte("ab")},
		{Begin: 3, End: 6, Kind: callSync, Path: "journal.db"},
		{Begin: 5, End: 5, Kind: callTold, Path: "socket:[77]", Told: 41},
	}, r.finish())
	assert.Error(t, r.read(strings.NewReader(`1 <... write resumed>) = 1`)), "an end without a beginning")
}
