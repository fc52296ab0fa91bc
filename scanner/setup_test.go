package scanner

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEachSetupSaysWhereToLook(t *testing.T) {
	seen := map[uint16]string{}
	for _, s := range Setups() {
		assert.NotEmpty(t, s.Maker)
		wishes := map[string]bool{}
		for _, step := range s.Steps {
			assert.NotEmpty(t, step.Look, s.Maker)
			assert.NotEmpty(t, step.Manual, s.Maker)
			assert.False(t, wishes[step.Wish], "%s: each wish once", s.Maker)
			wishes[step.Wish] = true
			assert.NotRegexp(t, regexp.MustCompile(`https?:|www\.`), step.Look+step.Manual+step.Know)
		}
		assert.True(t, wishes[wishSerial] && wishes[wishSuffix], s.Maker)
		for _, vendor := range s.Vendors {
			assert.Empty(t, seen[vendor], "%04x belongs to one maker", vendor)
			seen[vendor] = s.Maker
		}
	}
	assert.Equal(t, "Honeywell", seen[vendorHoneywell])
	assert.Equal(t, "Newland", seen[0x1eab])
}
