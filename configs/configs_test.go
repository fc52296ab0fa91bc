package configs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// An installer reads the example in a terminal of any size.
func TestLinesFitAScreen(t *testing.T) {
	for i, line := range strings.Split(Example, "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 140, "line %d", i+1)
		assert.Equal(t, strings.TrimRight(line, " \t\r"), line, "line %d ends in blanks", i+1)
	}
}
