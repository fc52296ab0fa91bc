package rig

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bzImage is a kernel's image around a payload, as the boot protocol lays it out: a boot sector, one sector of set-up code,
// a gap, the payload and its unpacked size.
func bzImage(payload []byte) []byte {
	image := make([]byte, 2*sectorBytes+100, 4096)
	image[setupSectorsAt] = 1
	copy(image[headerMagicAt:], "HdrS")
	binary.LittleEndian.PutUint16(image[protocolAt:], 0x020f)
	binary.LittleEndian.PutUint32(image[payloadOffsetAt:], 100)
	binary.LittleEndian.PutUint32(image[payloadLengthAt:], uint32(len(payload)+payloadTrailBytes))
	return append(append(image, payload...), 1, 2, 3, 4)
}

func TestTheBareKernelIsTakenOutOfItsImage(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("\x7fELF and so on"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bare, err := bareKernel(t.Context(), bzImage(packed.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, "\x7fELF and so on", string(bare))
}

func TestAnImageThatIsPackedInAnotherWayBootsAsItIs(t *testing.T) {
	image := bzImage([]byte("packed by a way that nobody knows"))
	same, err := bareKernel(t.Context(), image)
	require.NoError(t, err)
	assert.Equal(t, image, same)
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	whole := bzImage([]byte("payload"))
	for name, image := range map[string][]byte{"empty": nil, "no magic": make([]byte, 4096), "cut off": whole[:len(whole)-8]} {
		_, err := bareKernel(t.Context(), image)
		assert.Error(t, err, name)
	}
}
