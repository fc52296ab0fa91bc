package queue

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// usedBytes bounds the damage to where the journal's pages are: the rest of the file is room that bbolt made.
func usedBytes(content []byte) int { return len(bytes.TrimRight(content, "\x00")) }

func TestAFlippedByteIsNeverAPanicNorAWrongPayment(t *testing.T) {
	notUnderRace(t)
	b, truth, whole := damageable(t)
	dice := rand.New(rand.NewPCG(1, 2))
	used, flips := usedBytes(whole), 100
	if testing.Short() {
		flips = 40
	}
	for range flips {
		at := dice.IntN(used)
		bit := byte(1) << dice.IntN(8)
		b.flip(at, bit)
		readAll(t, b, truth, at)
		b.flip(at, bit)
	}
}

func TestAFlippedByteOfARecordIsFoundByVerify(t *testing.T) {
	b, truth, whole := damageable(t)
	dice := rand.New(rand.NewPCG(3, 4))
	for range 25 {
		record := []byte(`"out_trade_no":"` + truth[dice.IntN(len(truth))].OutTradeNo)
		places := copiesIn(whole, record, dice.IntN(len(record)))
		for _, at := range places {
			b.flip(at, 1)
		}
		assert.False(t, b.liveVerifyIsClean(places[0]), "bytes %d", places)
		for _, at := range places {
			b.flip(at, 1)
		}
	}
}

// copiesIn returns where a record stands in the file, each moved on by the same number of bytes. Some are left over on pages of older
// transactions, which nobody reads; the one that counts is among them.
func copiesIn(whole, record []byte, by int) []int {
	var places []int
	for from := 0; ; {
		i := bytes.Index(whole[from:], record)
		if i < 0 {
			return places
		}
		places = append(places, from+i+by)
		from += i + len(record)
	}
}

// Each of these led bbolt's own check out of its memory map, where no Go program survives, or round in a circle.
func TestALengthThatLeadsOutOfAPageIsNamedBeforeBboltFollowsIt(t *testing.T) {
	b, _, whole := damageable(t)
	size := os.Getpagesize()
	tried := 0
	for at, used := 2*size, usedBytes(whole); at < used; at += size {
		if flags := native.Uint16(whole[at+8:]); flags != leafFlag && flags != branchFlag || native.Uint16(whole[at+10:]) == 0 {
			continue
		}
		for _, field := range []int{10, 15, int(elementAt(0)) + 7} { // how many elements; how many more pages; where the first begins, or how long it is
			b.flip(at+field, 0x40)
			b.liveVerifyIsClean(at)
			b.flip(at+field, 0x40)
			tried++
		}
	}
	assert.Greater(t, tried, 20)
}

func TestAPageThatLeadsBackToItselfIsNamed(t *testing.T) {
	b := damagedBook(t)
	b.fill(60) // enough for a page that leads to others
	require.NoError(t, b.Close())
	whole, size := b.copyOf(), os.Getpagesize()
	found := 0
	for at, used := 2*size, usedBytes(whole); at < used; at += size {
		if native.Uint16(whole[at+8:]) != branchFlag {
			continue
		}
		circle := native.AppendUint64(nil, uint64(at/size))
		file, err := os.OpenFile(b.cfg.File, os.O_RDWR, 0)
		require.NoError(t, err)
		first := int64(at) + int64(elementAt(0)) + 8
		_, err = file.WriteAt(circle, first)
		require.NoError(t, err)
		wrong, err := checkPages(file, size)
		require.NoError(t, err)
		if len(wrong) > 0 { // else the page is one of an older transaction
			found++
			assert.Contains(t, wrong[0], "is used twice")
		}
		_, err = file.WriteAt(whole[first:first+8], first)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	assert.Positive(t, found)
}

func TestAFileThatIsCutShortIsNeverAPanic(t *testing.T) {
	b, truth, whole := damageable(t)
	used := usedBytes(whole)
	for size := 0; size < used; size += 3 * os.Getpagesize() / 2 {
		require.NoError(t, os.Truncate(b.cfg.File, int64(size)))
		assert.Equal(t, OpenDamaged, b.mustNotOpen().Kind, "%d bytes", size)
		readAll(t, b, truth, size)
		b.putBack(whole[:used])
		require.NoError(t, os.Truncate(b.cfg.File, int64(len(whole))))
	}
}

// damageable is a closed journal of a few dozen payments, what it holds, and the bytes of its file.
func damageable(t *testing.T) (*book, []payflow.Entry, []byte) {
	b := damagedBook(t)
	for range 12 {
		b.paid(b.freshKey(), "A-1")
	}
	b.arm("open", "A-2")
	truth, err := b.Recent(100)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	return b, truth, b.copyOf()
}

func (b *book) flip(at int, bit byte) {
	b.t.Helper()
	file, err := os.OpenFile(b.cfg.File, os.O_RDWR, 0)
	require.NoError(b.t, err)
	defer file.Close()
	one := make([]byte, 1)
	_, err = file.ReadAt(one, int64(at))
	require.NoError(b.t, err)
	one[0] ^= bit
	_, err = file.WriteAt(one, int64(at))
	require.NoError(b.t, err)
}

// readAll reads everything that a damaged file still gives: each answer is an error or the truth.
func readAll(t *testing.T, b *book, truth []payflow.Entry, at int) {
	t.Helper()
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	if err != nil {
		return
	}
	defer j.Close()
	for _, want := range truth {
		entry, err := j.Payment(want.OutTradeNo)
		if err == nil {
			assert.Equal(t, want, entry, "byte %d", at)
		}
	}
	known := map[payflow.OutTradeNo]payflow.Entry{}
	for _, want := range truth {
		known[want.OutTradeNo] = want
	}
	for _, list := range []func() ([]payflow.Entry, error){
		j.OpenPayments, j.Unannounced, func() ([]payflow.Entry, error) { return j.Recent(100) },
		func() ([]payflow.Entry, error) { return j.BySale("A-1") },
	} {
		entries, _ := list()
		for _, entry := range entries {
			assert.Equal(t, known[entry.OutTradeNo], entry, "byte %d", at)
		}
	}
	_, _ = j.Events(0, 1000)
	_, err = j.Verify(t.Context(), nil)
	assert.NoError(t, err, "byte %d", at)
}

func (b *book) liveVerifyIsClean(at int) bool {
	cfg := b.cfg
	cfg.ReadOnly = true
	j, err := OpenJournal(cfg)
	if err != nil {
		return false
	}
	defer j.Close()
	report, err := j.Verify(b.t.Context(), nil)
	require.NoError(b.t, err, "byte %d", at)
	return report.Clean()
}

func FuzzUnseal(f *testing.F) {
	b := bookIn(f, f.TempDir())
	j, err := OpenJournal(b.cfg)
	require.NoError(f, err)
	f.Cleanup(func() { _ = j.Close() })
	sealed, _, err := seal(j.keys.state, "payments", []byte("X"), paymentRecord{Format: 1})
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var r paymentRecord
		_, err := unseal(j.keys.state, "payments", []byte("X"), content, &r)
		assert.Equal(t, bytes.Equal(content, sealed), err == nil, "nothing is believed but what was sealed")
	})
}
