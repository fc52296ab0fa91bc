package payflow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the stories' outcomes and the golden files")

// A story is a text file: lines that begin with # are for the reader, lines that begin with + are what happens at that
// time, and the indented line below each is what the payment does. "---" begins another payment. The indented lines are
// made by the test; -update rewrites them, and the diff is read like code.
func TestStories(t *testing.T) {
	for _, path := range storyFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			got, err := play(string(want), Step)
			require.NoError(t, err)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				return
			}
			assert.Equal(t, string(want), got, "the flow tells another story; if that is meant, run with -update and read the diff")
		})
	}
}

func storyFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/stories/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// Rules 2 and 10 speak of sockets and clocks, which a pure step never meets: wxclient's tests hold them.
func TestStoriesShowEveryRuleOfTheFlow(t *testing.T) {
	shown := map[string]bool{}
	for _, path := range storyFiles(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		rules := regexp.MustCompile(`(?m)^# Rules: ([0-9, ]+)$`).FindStringSubmatch(string(text))
		require.Len(t, rules, 2, "%s does not name the rules that it shows", path)
		for _, rule := range strings.Split(rules[1], ", ") {
			shown[rule] = true
		}
	}
	for _, rule := range []string{"1", "3", "4", "5", "6", "7", "8", "9", "11", "12", "13", "14"} {
		assert.True(t, shown[rule], "no story shows rule %s", rule)
	}
}

// player plays one payment of a story.
type player struct {
	step stepFunc
	p    Payment
	now  time.Time
}

// play returns the story with the outcomes that step makes.
func play(story string, step stepFunc) (string, error) {
	var out strings.Builder
	pl := &player{step: step}
	scene, aside := false, "" // what stands for the reader belongs behind the end of the payment before it
	curtain := func() {
		if scene {
			fmt.Fprintf(&out, "    %s\n", tellEnd(pl.p))
		}
		out.WriteString(aside)
		scene, aside = false, ""
	}
	for line := range strings.Lines(story) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "    "):
			continue
		case line == "---":
			curtain()
		case strings.HasPrefix(line, "+"):
			if !scene {
				pl.begin()
				scene = true
			}
			said, err := pl.happen(line)
			if err != nil {
				return "", fmt.Errorf("line %q: %w", line, err)
			}
			fmt.Fprintf(&out, "%s%s\n    %s\n", aside, line, said)
			aside = ""
			continue
		case strings.HasPrefix(line, "timing "):
			t, err := hearTiming(line)
			if err != nil {
				return "", err
			}
			curtain()
			pl.begin()
			pl.p, _ = anArmed(t)
			scene = true
		}
		aside += line + "\n"
	}
	curtain()
	return out.String(), nil
}

func (pl *player) begin() {
	pl.p, _ = anArmed(DefaultTiming())
	pl.now = beginning
}

func hearTiming(line string) (Timing, error) {
	t := DefaultTiming()
	var query, reverse string
	if _, err := fmt.Sscanf(line, "timing query_every %s reverse_after %s", &query, &reverse); err != nil {
		return t, err
	}
	var err error
	if t.QueryEvery, err = time.ParseDuration(query); err != nil {
		return t, err
	}
	t.ReverseAfter, err = time.ParseDuration(reverse)
	return t, err
}

func (pl *player) happen(line string) (string, error) {
	word, words, _ := strings.Cut(line, " ")
	at, err := parseClock(word)
	if err != nil {
		return "", err
	}
	pl.now = at
	words = strings.TrimSpace(words)
	if rest, ok := strings.CutPrefix(words, "until "); ok {
		return pl.goesOn(rest)
	}
	return pl.one(words)
}

func (pl *player) one(words string) (string, error) {
	e, err := hear(pl.p, words, pl.now)
	if err != nil {
		return "", err
	}
	before := pl.p
	after, commands := pl.step(before, e)
	pl.p = after
	return tell(before, after, commands), nil
}

// goesOn plays "until TIME every query ...": calls end at once and as told (a reverse by no answer), and each wait is slept through.
func (pl *player) goesOn(words string) (string, error) {
	word, outcome, _ := strings.Cut(words, " every ")
	until, err := parseClock(word)
	if err != nil {
		return "", err
	}
	calls := map[CallKind]int{}
	said := "nothing happens"
	for range 1000 {
		what := outcome
		switch {
		case pl.p.Status.Final():
			return "final: " + said, nil
		case pl.p.Call == NoCall && pl.p.WakeAt.Before(until):
			pl.now, what = pl.p.WakeAt, "woken"
		case pl.p.Call == NoCall || pl.now.After(until):
			return fmt.Sprintf("asked %d times, reversed %d times; %s", calls[QueryCall], calls[ReverseCall], said), nil
		case pl.p.Call == ReverseCall:
			what = "reverse lost: no answer"
		}
		calls[pl.p.Call]++
		if said, err = pl.one(what); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("a storm: 1000 steps before %s", word)
}
