package wxsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A signature by a key of many primes is the one that Go's own RSA makes, with that key and with one of two primes.
func TestAQuickSignatureIsTheOneThatGoMakes(t *testing.T) {
	quick, err := makeQuick()
	require.NoError(t, err)
	plain, err := rsa.GenerateKey(rand.Reader, keyBits)
	require.NoError(t, err)
	for _, key := range []*rsa.PrivateKey{quick, plain} {
		signer := newQuickSigner(key)
		for i := range byte(20) {
			digest := sha256.Sum256([]byte{i})
			wanted, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
			require.NoError(t, err)
			assert.Equal(t, wanted, signer.sign(digest))
			assert.NoError(t, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signer.sign(digest)))
		}
	}
}

// A key of WeChat Pay's looks like those that it issues: no client takes one of fewer bits.
func TestAQuickKeyHas2048Bits(t *testing.T) {
	for range 20 {
		key, err := makeQuick()
		require.NoError(t, err)
		assert.Equal(t, 2048, key.N.BitLen())
		assert.Len(t, key.Primes, quickPrimes)
		assert.NoError(t, key.Validate())
	}
}

func BenchmarkQuickSign(b *testing.B) {
	key, err := makeQuick()
	require.NoError(b, err)
	signer := newQuickSigner(key)
	for b.Loop() {
		signer.sign([sha256.Size]byte{1})
	}
}

func BenchmarkGoSign(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	require.NoError(b, err)
	var digest [sha256.Size]byte
	for b.Loop() {
		_, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		require.NoError(b, err)
	}
}

func BenchmarkMakeQuick(b *testing.B) {
	for b.Loop() {
		_, err := makeQuick()
		require.NoError(b, err)
	}
}
