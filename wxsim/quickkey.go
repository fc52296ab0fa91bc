package wxsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"
)

// quickPrimes is how many primes a key of WeChat Pay's has here. Nobody but its holder can tell: the modulus has 2048 bits, and a signature by it is one like
// any other. But signing with eight primes of 256 bits costs a fifth of signing with two of 1024, and making one a fraction; a simulator signs every
// answer, and keeps no secret that would need constant time. The merchant's keys have two primes, as the client that signs with them wants it.
const quickPrimes = 8

// sha256Prefix says that a digest is SHA-256's (RFC 8017, 9.2, note 1).
var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// quickSigner signs by one power for each prime, and puts these together (RFC 8017, 5.1.2, with the Chinese remainders summed).
type quickSigner struct {
	key   *rsa.PrivateKey
	parts []quickPart
}

type quickPart struct {
	prime, exponent *big.Int
	weight          *big.Int // 1 modulo this prime, 0 modulo each other
}

// signerOf makes the signer of a key when it is first asked for: most keys never sign.
func signerOf(key *rsa.PrivateKey) func() quickSigner {
	return sync.OnceValue(func() quickSigner { return newQuickSigner(key) })
}

func newQuickSigner(key *rsa.PrivateKey) quickSigner {
	q := quickSigner{key: key}
	for _, prime := range key.Primes {
		less := new(big.Int).Sub(prime, big.NewInt(1))
		others := new(big.Int).Div(key.N, prime)
		weight := new(big.Int).ModInverse(others, prime)
		q.parts = append(q.parts, quickPart{prime, less.Mod(key.D, less), weight.Mul(weight, others)})
	}
	return q
}

// sign is the signature of a SHA-256 digest by PKCS #1 v1.5, byte for byte that of rsa.SignPKCS1v15.
func (q quickSigner) sign(digest [sha256.Size]byte) []byte {
	size := q.key.Size()
	padded := make([]byte, size)
	padded[1] = 1
	text := padded[size-len(sha256Prefix)-len(digest):]
	for i := 2; i < size-len(text)-1; i++ {
		padded[i] = 0xff
	}
	copy(text[copy(text, sha256Prefix):], digest[:])
	message, sum, part := new(big.Int).SetBytes(padded), new(big.Int), new(big.Int)
	for _, p := range q.parts {
		part.Exp(part.Mod(message, p.prime), p.exponent, p.prime)
		sum.Add(sum, part.Mul(part, p.weight))
	}
	return sum.Mod(sum, q.key.N).FillBytes(padded)
}

// orMakeQuick makes a key of WeChat Pay's own unless it is there.
func orMakeQuick(key **rsa.PrivateKey) error {
	if *key != nil {
		return nil
	}
	made, err := makeQuick()
	if err != nil {
		return fmt.Errorf("make a key of WeChat Pay's: %w", err)
	}
	*key = made
	return nil
}

// makeQuick takes primes until a set of them has a product of 2048 bits: two sets of three have.
func makeQuick() (*rsa.PrivateKey, error) {
	const public = 65537
	for {
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: public}}
		order := big.NewInt(1)
		for left := quickPrimes; left > 0; left-- {
			prime, err := rand.Prime(rand.Reader, (keyBits-key.N.BitLen()+left-1)/left)
			if err != nil {
				return nil, err
			}
			key.Primes = append(key.Primes, prime)
			key.N.Mul(key.N, prime)
			order.Mul(order, new(big.Int).Sub(prime, big.NewInt(1)))
		}
		key.D = new(big.Int).ModInverse(big.NewInt(public), order)
		if key.N.BitLen() == keyBits && key.D != nil {
			return key, nil
		}
	}
}
