package queue

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"filippo.io/age"
)

// identityBytesMax bounds a file of private keys: one is about 200 bytes.
const identityBytesMax = 64 << 10

// CheckRecipient reports whether text is a public key that a backup can be encrypted to: age's own form, "age1…".
func CheckRecipient(text string) error {
	_, err := recipientOf(text)
	return err
}

func recipientOf(text string) (age.Recipient, error) {
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, fmt.Errorf("it is no public key of age, which begins with age1 and has 62 characters (age-keygen makes a pair)")
	}
	return r, nil
}

// readIdentities reads a file as age-keygen makes it: private keys, one a line, and comments. No error repeats a line of it.
func readIdentities(path string) ([]age.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	identities, err := age.ParseIdentities(io.LimitReader(file, identityBytesMax))
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key of age (AGE-SECRET-KEY-1…)", path)
	}
	return identities, nil
}

// ownLike gives a file that root has made to the owner of its folder: the service must be able to open it. For everybody else it does nothing.
func ownLike(path string) {
	if os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		_ = os.Chown(path, int(owner.Uid), int(owner.Gid)) // posagent check tells of a stranger's file
	}
}
