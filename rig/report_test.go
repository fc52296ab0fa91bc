//go:build linux

package rig

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"posagent/scanner"
)

// decoded is what posagent makes of reports that arrive a millisecond apart.
func decoded(d scanner.Decoder, reports [][]byte) (scans []string) {
	at := time.Unix(0, 0)
	for _, r := range reports {
		at = at.Add(time.Millisecond)
		for _, e := range d.Feed(r, at) {
			scans = append(scans, strings.TrimSpace(e.Scan.AIM+" "+e.Scan.Text.Reveal()))
		}
	}
	return scans
}

func TestWhatTheGadgetsSendIsWhatWasScanned(t *testing.T) {
	long := strings.Repeat("1234567890", 6)
	assert.Equal(t, []string{"1234567890", "0000"}, decoded(scanner.NewKeyboard(time.Second), keyReports("1234567890\n0000\n")))
	assert.Equal(t, []string{"Q1 134567890123456789", "Q1 " + long}, decoded(scanner.NewPOS(), append(posReports("]Q1", "134567890123456789"), posReports("]Q1", long)...)))
	assert.Len(t, posReports("]Q1", long), 2)
	assert.Panics(t, func() { keyReports("a") })
}

func TestHalfAScanIsNoScan(t *testing.T) {
	assert.Empty(t, decoded(scanner.NewKeyboard(time.Second), halfParts(GadgetKeyboard, "134567890")))
	assert.Empty(t, decoded(scanner.NewPOS(), halfParts(GadgetPOS, "134567890")))
}
