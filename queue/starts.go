package queue

import (
	"cmp"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// startsMax is how many starts are kept, the newest: a restore asks for the orders of each since the backup.
	startsMax = 40
	// startsBytesMax bounds the file as it is read.
	startsBytesMax = 16 << 10
	// startsMark opens the file; its number is the format's.
	startsMark = "posagent-journal-starts-1"
)

// journalStart is one start of this till: the random characters of the order numbers that it draws, how many had been drawn before it, and
// its day in the store. The journal itself does not hold them, so that two copies of one journal draw different numbers; a file beside the key
// does, because after a restore the orders that the lost part of the journal made are asked for by their numbers.
//
// Count tells the starts of this till apart by their order, whatever the PC's clock says, and whichever backup was put in place: one more than
// the start before it. Versions go on from it (versionFrom).
type journalStart struct {
	Random string
	Drawn  uint64
	Day    string // 2006-01-02
	Count  uint64
}

func (s journalStart) String() string {
	return s.Random + " " + strconv.FormatUint(s.Drawn, 10) + " " + s.Day + " " + strconv.FormatUint(s.Count, 10)
}

func (cfg JournalConfig) startsFile() string { return cfg.KeyFile + ".starts" }

// begin draws the characters of this start and notes them beside the key, on disk, before any number is drawn. Where they can't be noted the
// characters that the journal holds serve: a number that could not be found again after a restore is worse than one that a copy may draw too.
func (j *Journal) begin() error {
	j.noting.Lock()
	defer j.noting.Unlock()
	one, known, err := j.nextStart()
	if err != nil {
		return err
	}
	j.random.Store(nil)
	j.starts = one.Count
	if j.cfg.step("starts") == nil && j.note(known) == nil {
		j.random.Store(&one.Random)
	}
	return nil
}

// noteAgain notes a start that could not be noted when it began, and draws its own characters from then on.
func (j *Journal) noteAgain() error {
	j.noting.Lock()
	defer j.noting.Unlock()
	if j.unnoted.get() == nil {
		return nil
	}
	one, known, err := j.nextStart()
	if err != nil {
		return err
	}
	if n := len(known) - 1; known[n].Count < j.starts {
		known[n].Count = j.starts // the list has gone meanwhile
	}
	if err := j.note(known); err != nil {
		return err
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	j.random.Store(&one.Random)
	return nil
}

// note writes the list of starts.
func (j *Journal) note(starts []journalStart) error {
	return j.unnoted.keep(writeFile(j.cfg.startsFile(), startsText(j.keys, starts)))
}

// nextStart makes a start with characters of its own, and the list with it at the end.
func (j *Journal) nextStart() (one journalStart, known []journalStart, err error) {
	one = journalStart{Random: j.drawRandom(), Day: j.storeDay(j.cfg.Now())}
	err = j.view(func(tx *bbolt.Tx) error {
		count, err := j.counters(tx)
		one.Drawn = count.Number
		return err
	})
	if err != nil {
		return one, nil, err
	}
	known, err = readSmall(j.cfg, j.cfg.startsFile(), j.keys, readStarts)
	if isUnreadable(err) {
		return one, nil, err // the list may be whole: the count goes on from it, and a restore asks by it
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if j.unnoted.get() != nil && !errors.Is(err, errStartsDamaged) {
			return one, nil, err // a till that runs may be out of files: it is tried again
		}
		known = nil // damaged, or another journal's: this start is noted all the same, and the other list stays beside it
		_ = renameFree(j.cfg.startsFile(), j.cfg.startsFile()+j.cfg.asideSuffix())
	}
	one.Count = 1
	if len(known) > 0 {
		one.Count += known[len(known)-1].Count
	}
	return one, keptStarts(append(known, one)), nil
}

// keptStarts leaves out the oldest where there are too many, and first of all those that drew no number: a start that fails is tried again
// every two seconds, and must not push out the one whose orders a restore asks for.
func keptStarts(starts []journalStart) []journalStart {
	for len(starts) > startsMax {
		at := 0
		for i := range starts {
			if drewNone(starts, i) {
				at = i
				break
			}
		}
		starts = slices.Delete(starts, at, at+1)
	}
	return starts
}

// drewNone reports a start behind which the next began with the same count. After a restore that may be so by chance: then the restore
// itself has noted what is to be asked.
func drewNone(starts []journalStart, at int) bool {
	return at+1 < len(starts) && starts[at+1].Drawn == starts[at].Drawn
}

// startCount is which start of this till the present one is; the first is 1. A journal opened for reading has none: 0.
func (j *Journal) startCount() uint64 { return j.starts }

// characters are those of the order numbers that are drawn now.
func (j *Journal) characters(about aboutRecord) string {
	return cmp.Or(j.ownCharacters(), about.Random)
}

// ownCharacters are those of this start alone; empty: it could not be noted.
func (j *Journal) ownCharacters() string {
	if own := j.random.Load(); own != nil {
		return *own
	}
	return ""
}

func startsText(k keys, starts []journalStart) []byte {
	var body strings.Builder
	body.WriteString(startsMark + "\n")
	for _, s := range starts {
		body.WriteString(s.String() + "\n")
	}
	return []byte(body.String() + hex.EncodeToString(mac(k.memo, []byte(body.String()))) + "\n")
}

var errStartsDamaged = errors.New("the list of starts beside the key is damaged, or sealed by another key")

// readStarts reads the starts that are noted, the oldest first. An error that is fs.ErrNotExist says that there is no list.
func readStarts(path string, k keys) ([]journalStart, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > startsBytesMax {
		return nil, errStartsDamaged
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	body, seal, ok := cutLastLine(string(text))
	if !ok || !hmac.Equal([]byte(seal), []byte(hex.EncodeToString(mac(k.memo, []byte(body))))) {
		return nil, errStartsDamaged
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if lines[0] != startsMark || len(lines) > startsMax+1 {
		return nil, errStartsDamaged
	}
	starts := make([]journalStart, 0, len(lines)-1)
	for _, line := range lines[1:] {
		s, err := parseStart(line)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errStartsDamaged, err)
		}
		starts = append(starts, s)
	}
	return starts, nil
}

// cutLastLine parts a text from its last line; both end in a line feed.
func cutLastLine(text string) (before, last string, ok bool) {
	trimmed, ok := strings.CutSuffix(text, "\n")
	at := strings.LastIndexByte(trimmed, '\n')
	if !ok || at < 0 {
		return "", "", false
	}
	return trimmed[:at+1], trimmed[at+1:], true
}

func parseStart(line string) (journalStart, error) {
	f := strings.Fields(line)
	if len(f) != 3 && len(f) != 4 || len(f[0]) != randomWidth || strings.Trim(f[0], digits36) != "" {
		return journalStart{}, fmt.Errorf("%.40q is no start", line)
	}
	drawn, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return journalStart{}, err
	}
	if _, err := time.Parse(time.DateOnly, f[2]); err != nil {
		return journalStart{}, err
	}
	s := journalStart{Random: f[0], Drawn: drawn, Day: f[2]}
	if len(f) == 4 { // a list of an earlier program counts no starts
		s.Count, err = strconv.ParseUint(f[3], 10, 32)
	}
	return s, err
}
