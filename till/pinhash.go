package till

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The bounds of a PIN, in digits. It is typed on a keypad with customers waiting; what keeps it from being guessed is the wait after wrong
// ones (pintries.go), not its length.
const (
	PINDigitsMin = 4
	PINDigitsMax = 8
)

// pinCost is what one PIN costs to try for somebody who has stolen the file.
type pinCost struct{ MemoryKiB, Passes uint32 }

// A PIN has few digits, so that no cost keeps it from a thief for long; this one is the third of OWASP's recommendations for argon2id
// (12 MiB, 3 passes, 1 lane) and takes some 30 ms of a store PC. One is tried at a time.
var pinCostOfStore = pinCost{MemoryKiB: 12 << 10, Passes: 3}

const (
	pinSaltLen      = 16 // bytes
	pinSumLen       = 32
	pinMemoryKiBMax = 64 << 10 // of a file that says otherwise: another program's, or a trap
	pinPassesMax    = 10
)

// pinHash is a PIN as the operators file keeps it.
type pinHash struct {
	Kind      string `json:"kind"` // argon2id
	MemoryKiB uint32 `json:"memory_kib"`
	Passes    uint32 `json:"passes"`
	Salt      []byte `json:"salt"`
	Sum       []byte `json:"sum"`
}

func hashPIN(pin string, cost pinCost) pinHash {
	h := pinHash{Kind: "argon2id", MemoryKiB: cost.MemoryKiB, Passes: cost.Passes, Salt: make([]byte, pinSaltLen)}
	_, _ = rand.Read(h.Salt) // never fails (crypto/rand)
	h.Sum = h.of(pin)
	return h
}

func (h pinHash) of(pin string) []byte {
	return argon2.IDKey([]byte(pin), h.Salt, h.Passes, h.MemoryKiB, 1, pinSumLen)
}

// is reports whether pin is the one. The caller has seen that the hash is sound.
func (h pinHash) is(pin string) bool { return subtle.ConstantTimeCompare(h.of(pin), h.Sum) == 1 }

// sound reports a hash that this program can have made: what is tried costs what we say, and not what a file says.
func (h pinHash) sound() bool {
	return h.Kind == "argon2id" && h.MemoryKiB >= 1 && h.MemoryKiB <= pinMemoryKiBMax && h.Passes >= 1 && h.Passes <= pinPassesMax &&
		len(h.Salt) == pinSaltLen && len(h.Sum) == pinSumLen
}

var errPINDigits = fmt.Errorf("a PIN has %d to %d digits, and nothing else", PINDigitsMin, PINDigitsMax)

// CheckPIN says what is wrong with a new PIN; nil where nothing is. Its errors never repeat it.
func CheckPIN(pin string) error {
	if len(pin) < PINDigitsMin || len(pin) > PINDigitsMax || strings.Trim(pin, "0123456789") != "" {
		return errPINDigits
	}
	if easyPIN(pin) {
		return errors.New("this PIN is among the first that anybody tries; choose one that is no run such as 1234 and no digit repeated")
	}
	return nil
}

// easyPIN reports one digit repeated, or digits that count up or down.
func easyPIN(pin string) bool {
	for _, step := range []int{0, 1, 9} { // of ten, so that 7890 counts up too
		all := true
		for i := 1; i < len(pin); i++ {
			all = all && (int(pin[i])-int(pin[i-1])+10)%10 == step
		}
		if all {
			return true
		}
	}
	return false
}
