package wxclient

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
)

// sealNonceBytes is the length of AES-GCM's nonce. cipher.AEAD.Open panics on any other, so it is checked first.
const sealNonceBytes = 12

// unseal opens AEAD_AES_256_GCM as the certificates call and notifications seal it: base64, the 16-byte tag last. It never panics.
func unseal(key []byte, s sealedText) ([]byte, error) {
	if len(key) != apiv3KeyBytes {
		return nil, fmt.Errorf("the key has %d bytes, not %d", len(key), apiv3KeyBytes)
	}
	if len(s.Nonce) != sealNonceBytes {
		return nil, fmt.Errorf("the nonce has %d bytes, not %d", len(s.Nonce), sealNonceBytes)
	}
	sealed, err := base64.StdEncoding.DecodeString(s.Ciphertext)
	if err != nil {
		return nil, errors.New("the cipher text is not base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	open, err := aead.Open(nil, []byte(s.Nonce), sealed, []byte(s.AssociatedData))
	if err != nil {
		return nil, errors.New("the seal does not open")
	}
	return open, nil
}
