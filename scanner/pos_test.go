package scanner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// posReport makes a report of 64 bytes: id, length, then head and data, and the continued bit.
func posReport(length int, head, data string, continued bool) []byte {
	r := make([]byte, posReportBytes)
	r[0], r[posLengthAt] = posReportID, byte(length)
	copy(r[posAIMAt:], head+data)
	r[posMakerAt] = 's'
	if continued {
		r[posContinuedAt] = posContinued
	}
	return r
}

func TestEachLayoutOfAPointOfSaleReport(t *testing.T) {
	for name, row := range map[string]struct {
		report []byte
		text   string
		aim    string
	}{
		"AIM identifier in front":           {posReport(18, "]Q1", code, false), code, "Q1"},
		"the same one byte later":           {posReport(18, "\x00]Q1", code, false), code, "Q1"},
		"with a suffix in the data":         {posReport(19, "]C0", code+"\r", false), code, "C0"},
		"no AIM identifier":                 {posReport(18, "\x00\x00\x00", code, false), code, ""},
		"Newland, data from the third byte": {posReport(18, "", code, false), code, ""},
		"Newland with an AIM identifier":    {posReport(21, "", "]Q1"+code, false), code, "Q1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{64, 8, 7, 1} {
				var reads [][]byte
				for piece := range slicesOf(row.report, size) {
					reads = append(reads, piece)
				}
				events := feedReports(NewPOS(), reads...)
				require.Equal(t, []string{row.text}, texts(events), "read in pieces of %d bytes", size)
				assert.Equal(t, row.aim, events[0].Scan.AIM)
			}
		})
	}
}

func TestReportsAreJoined(t *testing.T) {
	long := strings.Repeat("7", 56) + "12345"
	events := feedReports(NewPOS(), posReport(56, "]Q1", long[:56], true), posReport(5, "]Q1", long[56:], false))
	require.Equal(t, []string{long}, texts(events))
	assert.Equal(t, "Q1", events[0].Scan.AIM)
}

func TestAJoinedScanThatIsTooLongIsDroppedAlone(t *testing.T) {
	part := strings.Repeat("7", 56)
	events := feedReports(NewPOS(), posReport(56, "]Q1", part, true), posReport(56, "]Q1", part, false), posReport(18, "]Q1", code, false))
	assert.Equal(t, []string{code}, texts(events))
	assert.Equal(t, TroubleTooLong, events[0].Trouble.Code)
}

func TestAnAnnouncedReportThatNeverComes(t *testing.T) {
	p := NewPOS()
	events := feedReports(p, posReport(9, "]Q1", code[:9], true))
	assert.Empty(t, texts(events))
	require.Len(t, events, 1)
	assert.Equal(t, TroubleGarbled, events[0].Trouble.Code)
	assert.Equal(t, []string{code}, texts(feedReports(p, posReport(18, "]Q1", code, false))))
}

func TestAShorterReportIsCompleteWhenItIsQuiet(t *testing.T) {
	short := posReport(18, "]Q1", code, false)[:posDataAt+18]
	assert.Equal(t, []string{code}, texts(feedReports(NewPOS(), short)))
}

func TestAReportThatMakesNoSenseIsDroppedAndSaid(t *testing.T) {
	for name, r := range map[string][]byte{
		"a length beyond the report": posReport(200, "]Q1", code, false),
		"a length beyond the data":   posReport(57, "]Q1", code, false),
		"cut off":                    posReport(18, "]Q1", code, false)[:10],
		"nothing but its id":         {posReportID},
	} {
		events := feedReports(NewPOS(), r)
		require.Len(t, events, 1, name)
		assert.Equal(t, TroubleGarbled, events[0].Trouble.Code, name)
	}
}

func TestReportsOfAnotherSortAreNotScans(t *testing.T) {
	status := slices.Repeat([]byte{0x05}, 64)
	p := NewPOS()
	assert.Empty(t, feedReports(p, status))
	assert.Empty(t, feedReports(p, posReport(0, "]Q1", "", false)), "a report without data is nothing")
}

func TestEmptyReportsBetweenTheReadsOfOneReport(t *testing.T) {
	r := posReport(18, "]Q1", code, false)
	assert.Equal(t, []string{code}, texts(feedReports(NewPOS(), r[:32], nil, nil, r[32:])), "a report of no bytes is no silence")
}

func TestHalfAReportBeforeAnUnplug(t *testing.T) {
	p := NewPOS()
	p.Feed(posReport(9, "]Q1", code[:9], true), begin)
	p.Feed(posReport(9, "]Q1", code[9:], false)[:20], begin)
	require.True(t, p.Pending())
	p.Reset()
	assert.Equal(t, []string{code}, texts(feedReports(p, posReport(18, "]Q1", code, false))))
}

func FuzzPOS(f *testing.F) {
	f.Add(posReport(18, "]Q1", code, false), byte(63))
	f.Add(append(posReport(56, "]Q1", strings.Repeat("7", 56), true), posReport(5, "]Q1", "12345", false)...), byte(7))
	f.Add([]byte{2, 255, ']'}, byte(63))
	f.Fuzz(func(t *testing.T, sent []byte, size byte) {
		p := NewPOS()
		checkDecoder(t, p, sent, int(size)%64+1)
		p.Feed(nil, begin.Add(time.Hour))
	})
}
