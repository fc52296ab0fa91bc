package main

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The story behind it is told by the rig: a scanner on a computer with one processor, whose page is open.
func TestAScannersReaderHasAPlaceOfItsOwn(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	ensureProcessors()
	assert.Equal(t, processorsMin, runtime.GOMAXPROCS(0), "on one processor")
	runtime.GOMAXPROCS(5)
	ensureProcessors()
	assert.Equal(t, 5, runtime.GOMAXPROCS(0), "on more they stay")
}
