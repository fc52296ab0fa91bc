package receipt

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCleanTextHoldsOnlyWhatIsPrinted(t *testing.T) {
	for dirty, want := range map[string]string{
		"Milk tea":              "Milk tea",
		"  a\t\r\nb\u00a0c  ":   "a b c",
		"\x1b@\x1dVA":           "@VA",
		"a\u202eb\u200fc\ufeff": "abc",
		"\xff\xfe茶":             "茶",
		"\ue000x":               "x",
	} {
		assert.Equal(t, want, clean(dirty), "%q", dirty)
	}
	assert.Len(t, clean(strings.Repeat("x", 1000)), outsideMax)
}

func TestWhatMayBeAPaymentCodeIsMasked(t *testing.T) {
	const eighteen = "134567890123456789"
	assert.Equal(t, "a ****************** b", clean("a "+eighteen+" b"))
	assert.Equal(t, "******************", clean(eighteen))
	assert.Equal(t, "x******************y7", clean("x"+eighteen+"y7"))
	assert.Equal(t, "4200000000202611280000000001", clean("4200000000202611280000000001"), "a transaction id is longer")
	assert.Equal(t, "12345", clean("12345"))
}
