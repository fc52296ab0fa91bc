package rig

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unpack reads an archive as the kernel does: a head of 13 numbers in hex, a name, the data, each from a multiple of four on.
func unpack(t *testing.T, archive []byte) (entries []entry) {
	t.Helper()
	even := func(n int) int { return (n + 3) &^ 3 }
	for at := 0; ; {
		require.Equal(t, newcMagic, string(archive[at:at+6]), "at %d", at)
		number := func(i int) int {
			n, err := strconv.ParseUint(string(archive[at+6+8*i:at+14+8*i]), 16, 32)
			require.NoError(t, err)
			return int(n)
		}
		nameAt := at + 6 + 13*8
		dataAt := even(nameAt + number(11))
		e := entry{name: string(archive[nameAt : nameAt+number(11)-1]), mode: uint32(number(1)), data: archive[dataAt : dataAt+number(6)], major: uint32(number(9)), minor: uint32(number(10))}
		if e.name == "TRAILER!!!" {
			return entries
		}
		entries = append(entries, e)
		at = even(dataAt + number(6))
	}
}

func TestTheKernelFindsEachFileAfterItsFolder(t *testing.T) {
	files := []entry{{name: "init", mode: typeRegular | 0o755, data: []byte("12345")}, {name: "lib/x86/libc.so", mode: typeRegular | 0o755, data: []byte("1234")},
		{name: "dev", mode: typeFolder | 0o755}, {name: "dev/console", mode: typeCharacter | 0o600, major: 5, minor: 1}}
	unpacked := unpack(t, initramfs(files))
	seen := map[string]bool{}
	for _, e := range unpacked {
		assert.Falsef(t, seen[e.name], "%s twice", e.name)
		seen[e.name] = true
		if i := strings.LastIndexByte(e.name, '/'); i > 0 {
			assert.Truef(t, seen[e.name[:i]], "%s comes before its folder", e.name)
		}
	}
	assert.Len(t, unpacked, 6, "four files and two folders")
	for _, wanted := range files {
		found := false
		for _, e := range unpacked {
			found = found || e.name == wanted.name && e.mode == wanted.mode && string(e.data) == string(wanted.data) && fmt.Sprint(e.major, e.minor) == fmt.Sprint(wanted.major, wanted.minor)
		}
		assert.Truef(t, found, "%s is not what it was", wanted.name)
	}
}
