package wxsim

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// Keys are RSA keys of 2048 bits. Making them is what takes time in New: hand the same ones to many simulators. Those that are made here for WeChat Pay
// itself have more than two primes, because it signs every answer; Go's own RSA signs with them too, slowly.
type Keys struct {
	Merchant     *rsa.PrivateKey // the first merchant's, unless its Key is given
	Platform     *rsa.PrivateKey // signs answers
	NextPlatform *rsa.PrivateKey // signs them after the first roll-over
	Stranger     *rsa.PrivateKey // signs what WeChat Pay did not
	Public       *rsa.PrivateKey // of WeChat Pay's public key
	NextMerchant *rsa.PrivateKey // of the first merchant's second certificate

	// Later sign answers after further roll-overs, one after the other. A key is made for each roll-over beyond them.
	Later []*rsa.PrivateKey
}

const keyBits = 2048 // as WeChat Pay issues them

// NewKeys makes a full set.
func NewKeys() (Keys, error) {
	k, err := Keys{}.whole()
	if err != nil {
		return Keys{}, err
	}
	return k, orMake(&k.NextMerchant)
}

// MakeLater makes keys for so many further roll-overs.
func (k *Keys) MakeLater(n int) error {
	for range n {
		var key *rsa.PrivateKey
		if err := orMakeQuick(&key); err != nil {
			return err
		}
		k.Later = append(k.Later, key)
	}
	return nil
}

// nextPlatform is the first key that has signed for no roll-over yet, or nil.
func (k Keys) nextPlatform(used func(*rsa.PrivateKey) bool) *rsa.PrivateKey {
	for _, key := range append([]*rsa.PrivateKey{k.NextPlatform}, k.Later...) {
		if !used(key) {
			return key
		}
	}
	return nil
}

// whole makes what a simulator needs from the start.
func (k Keys) whole() (Keys, error) {
	for _, key := range []**rsa.PrivateKey{&k.Platform, &k.NextPlatform, &k.Stranger, &k.Public} {
		if err := orMakeQuick(key); err != nil {
			return Keys{}, err
		}
	}
	return k, orMake(&k.Merchant)
}

func orMake(key **rsa.PrivateKey) error {
	if *key != nil {
		return nil
	}
	made, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make an RSA key: %w", err)
	}
	*key = made
	return nil
}
