package scanner

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// learnFor learns for at most d of the bubble's time; said is what was told of each candidate.
func learnFor(t *testing.T, at places, d time.Duration) (learned Learned, said []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l := &learner{at: at, rules: &rules{}, tell: func(f Found, trouble Trouble) {
		said = append(said, fmt.Sprint(f.Kind, " ", f.port, " ", trouble.Code))
	}}
	learned, err = l.learn(ctx)
	return learned, said, err
}

func TestLearnFindsTheKeyboardThatSentACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.plug("1-1", 0x046d, 0xc31c, "", 1, keyboardDescriptor)
		c.addKeys("1-1", "event3")
		c.plug("1-2", 0x1eab, 0x0003, "S7", 1, keyboardDescriptor)
		c.addKeys("1-2", "event5")
		person := newFakeKeys(t)
		for _, k := range keysOf("1234567890") {
			person.steps = append(person.steps, keysAfter(120, struck(k)))
		}
		person.steps = append(person.steps, keysAfter(100, struck(codeEnter)))
		scan := newFakeKeys(t, typeKeys(5000, append(keysOf(code), codeEnter)...)...)
		bus := c.inputOf()
		bus.open = func(node string) (keyDevice, error) {
			if filepath.Base(node) == "event3" {
				return person, nil
			}
			return scan, nil
		}
		learned, said, err := learnFor(t, places{hid: c.busOf(), input: bus}, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, "1-2", learned.Found.port)
		assert.Equal(t, 18, learned.Characters)
		require.Len(t, learned.Found.Missing, 1, "what the service lacks is said, though whoever learns may open it")
		assert.True(t, strings.HasPrefix(learned.Found.Missing[0], "posagent's udev rule is not installed"))
		assert.InDelta(t, 17.5*15*float64(time.Millisecond), learned.Took, 8*float64(time.Millisecond))
		assert.Equal(t, "[[scanner]]\nkind = \"evdev\"\nvendor_id = 0x1eab\nproduct_id = 0x0003\nserial = \"S7\"\n", learned.TOML())
		assert.ElementsMatch(t, []string{"evdev 1-1 ", "evdev 1-2 "}, said)
		assert.False(t, person.grabbed, "the cashier's keyboard goes on working")
		assert.False(t, scan.grabbed)
	})
}

func TestLearnHearsAPointOfSaleScannerThatIsPluggedInMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		h := &fakeHandle{fakePort: fakePort{t: t, steps: stepsOf(posReport(18, "]Q1", code, false))}}
		time.AfterFunc(10*time.Second, func() { c.plug("1-1", 0x05e0, 0x1300, "", 0, scannerDescriptor) })
		learned, _, err := learnFor(t, places{hid: c.busOf(h), input: c.inputOf()}, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, "hid", learned.Found.Kind)
		assert.Equal(t, "Q1", learned.AIM)
		assert.True(t, h.closed)
	})
}

func TestLearnLeavesAPortAloneThatAnotherProgramHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComputer(t)
		c.addPort("ttyACM0", c.plug("1-1", 0x1eab, 0x0c06, "", 2, mouseDescriptor), "")
		c.addProcess(9, "ModemManager", filepath.Join(c.dev, "ttyACM0"))
		_, said, err := learnFor(t, places{hid: c.busOf(), input: c.inputOf()}, 5*time.Second)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"serial 1-1 busy"}, said)
	})
}

func TestLearnHearsASerialPort(t *testing.T) {
	p := plug(t)
	c := newComputer(t)
	c.addPort("ttyACM0", c.plug("1-1", 0x1eab, 0x0c06, "", 2, mouseDescriptor), "")
	require.NoError(t, p.Link(filepath.Join(c.dev, "ttyACM0")))
	ready := make(chan struct{}, 8)
	l := &learner{at: places{hid: c.busOf(), input: c.inputOf()}, baud: 115200, tell: func(Found, Trouble) { ready <- struct{}{} }}
	go func() {
		<-ready
		p.types(t, "12345\r") // too short to be told from noise
		p.types(t, code+"\r")
	}()
	learned, err := l.learn(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 18, learned.Characters)
	assert.Contains(t, learned.TOML(), "baud = 115200\n")
}

func TestWhatAPersonTypesIsNoCode(t *testing.T) {
	for name, row := range map[string]struct {
		scan Scan
		code bool
	}{
		"a scanner": {Scan{Characters: 18, Took: 17 * 16 * time.Millisecond}, true},
		"one read":  {Scan{Characters: 6}, true},
		"a person":  {Scan{Characters: 18, Took: 17 * 100 * time.Millisecond}, false},
		"short":     {Scan{Characters: 5}, false},
	} {
		assert.Equal(t, row.code, codeLike(row.scan), name)
	}
}

func TestWhatIsPluggedInIsPresent(t *testing.T) {
	c := newComputer(t)
	c.plug("1-1", 0x0c2e, 0x0b81, "S1", 0, scannerDescriptor)
	c.addPort("ttyACM0", c.plug("1-2", 0x1eab, 0x0c06, "", 2, mouseDescriptor), "")
	at := places{hid: c.busOf(), input: c.inputOf()}
	for _, cfg := range []Config{
		{Kind: "stdin"}, {Kind: "hid", VendorID: 0x0c2e, ProductID: 0x0b81}, {Kind: "auto", VendorID: 0x1eab, ProductID: 0x0c06},
		{Kind: "serial", Device: filepath.Join(c.dev, "ttyACM0")},
	} {
		assert.True(t, presentAt(cfg, at), cfg.Name())
	}
	for _, cfg := range []Config{
		{Kind: "hid", VendorID: 0x0c2e, ProductID: 0x0b81, Serial: "S2"}, {Kind: "auto", VendorID: 1, ProductID: 2},
		{Kind: "serial", Device: filepath.Join(c.dev, "ttyACM1")},
	} {
		assert.False(t, presentAt(cfg, at), cfg.Name())
	}
}
