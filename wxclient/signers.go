package wxclient

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posagent/payflow"
)

// MerchantKeyChanged: calls are signed with another merchant certificate from now on. Serial names it. It never ends.
const MerchantKeyChanged ConditionKind = "merchant_key_changed"

// MerchantKeyRefused: WeChat Pay does not take the new merchant certificate, so the one from before signs on. Serial names the
// new one, Text says why.
const MerchantKeyRefused ConditionKind = "merchant_key_refused"

// spareEvery is how long after a failed trial a new pair is tried again: the old one may end within 48 hours.
const spareEvery = 10 * time.Minute / payflow.Pace

// signers are the merchant's pairs of certificate and key: the one that signs, and during an overlap a spare.
//
//	offer(new) ──► new is the spare ──► trial verified ──► new signs, the old one is the spare
//	                                                             │ new is refused, the old one is not
//	                                                             ▼
//	                                    the old one signs, new is the spare, and is tried on
//
// A pair comes into use only by a verified certificates call that it signed.
type signers struct {
	current atomic.Pointer[signer] // read for each call, without a lock

	mu    sync.Mutex // guards all below, and writing current
	spare *signer
	newer bool // spare is to replace current, and is tried at every certificates call; else it is tried when current fails
}

// now returns the pair that signs.
func (s *signers) now() *signer { return s.current.Load() }

// begin sets the first pair.
func (s *signers) begin(first signer) { s.current.Store(&first) }

// offer takes a new pair, which replaces a spare of before. The pair that signs already ends an offer instead. It reports whether there
// is something to try.
func (s *signers) offer(fresh signer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh.serial == s.current.Load().serial {
		if s.newer {
			s.spare, s.newer = nil, false
		}
		return false
	}
	s.spare, s.newer = &fresh, true
	return true
}

// trial returns the pair that the next certificates call is to try, or nil: a new one always, an old one where the current one failed.
func (s *signers) trial(failed bool) *signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newer || failed {
		return s.spare
	}
	return nil
}

// accepted makes a spare that a verified certificates call was signed with the pair that signs. The other one becomes the spare: it waits
// for its turn where it is the older one, and is tried on where it is the newer one. It reports false where the spare is another by now.
func (s *signers) accepted(tried *signer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare != tried {
		return false
	}
	s.spare, s.newer = s.current.Load(), !s.newer
	s.current.Store(tried)
	return true
}

// waiting reports that a new pair was not taken yet.
func (s *signers) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newer
}

// KeySerial is the serial of the merchant certificate that calls are signed with.
func (c *Client) KeySerial() string { return c.signers.now().serial }

// OfferKey gives the client a new merchant certificate's serial and key. Run tries it at once, and then every ten minutes, on a
// certificates call; the present one signs until such a call is verified, and again if WeChat Pay refuses the new one later while it takes the old.
// MerchantKeyChanged and MerchantKeyRefused tell. A later offer replaces an earlier one; the serial in use takes an offer back.
func (c *Client) OfferKey(serialNo string, key *rsa.PrivateKey) error {
	if err := checkKey(serialNo, key); err != nil {
		return err
	}
	if c.signers.offer(signer{merchantID: c.merchant.MerchantID, serial: strings.ToUpper(serialNo), key: key}) {
		c.refreshSoon()
		return nil
	}
	c.conditions.over(MerchantKeyRefused)
	return nil
}

func checkKey(serialNo string, key *rsa.PrivateKey) error {
	switch {
	case key == nil:
		return errors.New("private key is missing; give the key of the merchant API certificate (apiclient_key.pem)")
	case key.N.BitLen() < keyBitsMin:
		return fmt.Errorf("private key has %d bits; WeChat Pay issues RSA keys of %d", key.N.BitLen(), keyBitsMin)
	case serialNo == "" || len(serialNo) > 40 || strings.Trim(serialNo, "0123456789abcdefABCDEF") != "":
		return fmt.Errorf("serial number %.50q is not 1 to 40 hex digits; take the merchant API certificate's", serialNo)
	}
	return nil
}

// roundTrip makes the certificates call with the pair that signs. A new pair has one of its own afterwards: by then the clock is
// corrected. Where the first call fails, a spare may be what WeChat Pay takes.
func (c *Client) roundTrip(ctx context.Context) error {
	err := c.fetchCertificates(ctx)
	if ctx.Err() != nil || errors.As(err, new(*noLinkError)) {
		return err
	}
	tried := c.signers.trial(err != nil)
	if tried == nil {
		return err
	}
	_, failed := c.fetchCertificatesBy(ctx, tried, c.clock.Now)
	if failed == nil && c.signers.accepted(tried) {
		c.conditions.over(MerchantKeyRefused)
		c.conditions.begin(Condition{Kind: MerchantKeyChanged, Serial: tried.serial, Text: "calls are signed with merchant certificate " + tried.serial + " from now on"})
		if c.signers.waiting() {
			c.tellRefused(err)
			c.refreshSoon() // and then every ten minutes
		}
		return c.reportFetch(nil)
	}
	if failed != nil && ctx.Err() == nil && c.signers.waiting() {
		c.tellRefused(failed)
	}
	return err
}

func (c *Client) tellRefused(why error) {
	c.signers.mu.Lock()
	serial := ""
	if c.signers.spare != nil {
		serial = c.signers.spare.serial
	}
	c.signers.mu.Unlock()
	c.conditions.begin(Condition{Kind: MerchantKeyRefused, Serial: serial, Text: "merchant certificate " + serial + " is not taken: " + why.Error()})
}

// patience shortens the pause before the next certificates call while a new pair waits to be taken.
func (s *signers) patience(pause time.Duration) time.Duration {
	if s.waiting() {
		return min(pause, spareEvery)
	}
	return pause
}
