package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/scanner"
)

func TestSetupSpeaksOfTheScannerThatIsPluggedIn(t *testing.T) {
	makers := func(setups []scanner.Setup) (names []string) {
		for _, s := range setups {
			names = append(names, s.Maker)
		}
		return names
	}
	assert.Equal(t, []string{"Newland"}, makers(setupsFor("", []scanner.Found{{VendorID: 0x1eab}, {VendorID: 0x046d}})))
	assert.Equal(t, []string{"Honeywell"}, makers(setupsFor("honeywell", []scanner.Found{{VendorID: 0x1eab}})), "a name goes before")
	assert.Equal(t, []string{"Zebra (Symbol, Motorola)"}, makers(setupsFor("symbol", nil)))
	assert.Len(t, setupsFor("", nil), len(scanner.Setups()))
	assert.Empty(t, setupsFor("acme", nil))
}

func TestSetupSaysWhereToLookAndDrawsNothing(t *testing.T) {
	var out bytes.Buffer
	writeSetups(&out, setupsFor("honeywell", nil))
	assert.Contains(t, out.String(), `scan "USB Serial", in the chapter "Programming the Interface"`)
	assert.Contains(t, out.String(), "read in: Voyager 1602g User's Guide")
	assert.Contains(t, out.String(), "posagent scanner list")

	p := &program{stdout: &out}
	err := p.scannerSetup("acme", nil)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, ExitUsage, failure.Code)
	assert.Contains(t, failure.Next, "Datalogic")
}
