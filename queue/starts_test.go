package queue

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func TestEachStartIsNotedBesideTheKeyBeforeItDrawsANumber(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	first := b.arm(b.freshKey(), "A-1").OutTradeNo
	require.NoError(t, b.Close())
	b.open()
	second := b.arm(b.freshKey(), "A-2").OutTradeNo

	starts, err := readStarts(b.cfg.startsFile(), b.keys)
	require.NoError(t, err)
	require.Len(t, starts, 2)
	assert.NotEqual(t, starts[0].Random, starts[1].Random, "a copy that is started draws other numbers")
	assert.Contains(t, string(first), starts[0].Random)
	assert.Contains(t, string(second), starts[1].Random)
	assert.Equal(t, []uint64{0, 1}, []uint64{starts[0].Drawn, starts[1].Drawn})
	assert.Equal(t, []uint64{1, 2}, []uint64{starts[0].Count, starts[1].Count})

	for range startsMax + 3 {
		require.NoError(t, b.Close())
		b.open()
	}
	starts, err = readStarts(b.cfg.startsFile(), b.keys)
	require.NoError(t, err)
	assert.Len(t, starts, startsMax, "the newest are kept")
	assert.EqualValues(t, startsMax+5, starts[startsMax-1].Count, "and all are counted")
}

func TestAListOfStartsThatCountsNoneIsRead(t *testing.T) {
	before, err := parseStart("AB12C 7 2026-03-02")
	require.NoError(t, err)
	assert.Equal(t, journalStart{Random: "AB12C", Drawn: 7, Day: "2026-03-02"}, before)
	before.Count = 3
	now, err := parseStart(before.String())
	require.NoError(t, err)
	assert.Equal(t, before, now)
	for _, wrong := range []string{"AB12C 7 2026-03-02 x", "AB12C 7 2026-03-02 1 2", "AB12C 7 2026-03-02 99999999999"} {
		_, err := parseStart(wrong)
		assert.Error(t, err, wrong)
	}
}

func TestStartsThatCannotBeNotedOrBelieved(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	require.NoError(t, b.Close())
	text, err := os.ReadFile(b.cfg.startsFile())
	require.NoError(t, err)
	for at := range text {
		hurt := append([]byte(nil), text...)
		hurt[at] ^= 1
		require.NoError(t, os.WriteFile(b.cfg.startsFile(), hurt, 0o600))
		_, err := readStarts(b.cfg.startsFile(), b.keys)
		require.ErrorIs(t, err, errStartsDamaged, "byte %d", at)
	}
	b.open()
	starts, err := readStarts(b.cfg.startsFile(), b.keys)
	require.NoError(t, err, "a damaged list is begun anew")
	assert.Len(t, starts, 1)
	require.NoError(t, b.Close())

	b.cfg.fault = func(step string) error {
		if step == "starts" {
			return os.ErrPermission
		}
		return nil
	}
	b.open()
	no := b.arm(b.freshKey(), "A-1").OutTradeNo
	require.NoError(t, b.view(func(tx *bbolt.Tx) error {
		about, err := b.about(tx)
		assert.Contains(t, string(no), about.Random, "what could not be noted is not used")
		return err
	}))
}

// A start that goes wrong over and over again must not push out of the list the starts whose numbers a restore would ask for.
func TestStartsThatSoldNothingMakeRoomFirst(t *testing.T) {
	b := bookIn(t, t.TempDir())
	b.open()
	sold := b.arm(b.freshKey(), "A-1").OutTradeNo
	for range startsMax + 3 {
		require.NoError(t, b.Close())
		b.open()
	}
	starts, err := readStarts(b.cfg.startsFile(), b.keys)
	require.NoError(t, err)
	assert.Len(t, starts, startsMax)
	assert.Contains(t, string(sold), starts[0].Random)
	assert.Equal(t, b.ownCharacters(), starts[len(starts)-1].Random)
}
