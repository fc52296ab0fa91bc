package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"sync"
	"time"
)

// heldCredentials are the credentials that the parts work with now. Its Pair is the one that signs.
type heldCredentials struct {
	mu      sync.RWMutex // guards all below
	creds   Credentials
	waiting bool // Next is newer than Pair, and WeChat Pay has not taken it yet
	secret  func(text string) bool
}

func (h *heldCredentials) get() Credentials {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.creds
}

// begin takes the first set.
func (h *heldCredentials) begin(c Credentials) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = c.Next != nil
	h.put(c)
}

// put is called with the lock held.
func (h *heldCredentials) put(c Credentials) { h.creds, h.secret = c, c.secret() }

// holds reports whether a text holds one of the secrets that are held now.
func (h *heldCredentials) holds(text string) bool {
	h.mu.RLock()
	secret := h.secret
	h.mu.RUnlock()
	return secret != nil && secret(text)
}

// renew takes a fresh set. offer is the pair that WeChat Pay is to be asked about, the one in use where a pair that was waiting is taken
// back, or nil. restart says that another secret than the pairs has changed, which only a restart takes up.
func (h *heldCredentials) renew(fresh Credentials) (offer *Pair, restart bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.creds
	restart = !held.sameKeys(fresh)
	var unknown, other *Pair
	for _, p := range []*Pair{&fresh.Pair, fresh.Next} {
		if p == nil || p.Serial == held.Serial {
			continue
		}
		other = p
		if !held.knows(p.Serial) {
			unknown = p
		}
	}
	switch {
	case unknown != nil:
		offer, held.Next, h.waiting = unknown, unknown, true
	case h.waiting && (other == nil || other.Serial != held.Next.Serial):
		offer, held.Next, h.waiting = &held.Pair, other, false
	}
	held.Warnings = fresh.Warnings
	h.put(held)
	return offer, restart
}

// replace takes a fresh set's pairs into use at once: API v2 has no call to try one on.
func (h *heldCredentials) replace(fresh Credentials) (restart bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.creds
	restart = !held.sameKeys(fresh)
	held.Pair, held.Next, held.Warnings = fresh.Pair, fresh.Next, fresh.Warnings
	h.put(held)
	return restart
}

// inUse notes which of the two pairs signs. The other one rests if it is older, and waits if it is newer.
func (h *heldCredentials) inUse(serial string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.creds
	if held.Next == nil || held.Next.Serial != serial {
		return
	}
	before := held.Pair
	held.Pair, held.Next = *held.Next, &before
	h.waiting = !h.waiting
	h.put(held)
}

// isWaiting reports that a new pair is held which WeChat Pay has not taken yet.
func (h *heldCredentials) isWaiting() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.waiting
}

// knows reports that a serial is one of the two that are held.
func (c Credentials) knows(serial string) bool {
	return c.Serial == serial || c.Next != nil && c.Next.Serial == serial
}

// sameKeys compares what only a start takes up: the API keys and WeChat Pay's public key.
func (c Credentials) sameKeys(d Credentials) bool {
	samePublic := c.PublicKey == nil && d.PublicKey == nil || c.PublicKey != nil && d.PublicKey != nil && c.PublicKey.Equal(d.PublicKey)
	return bytes.Equal(c.APIv3Key, d.APIv3Key) && bytes.Equal(c.APIv2Key, d.APIv2Key) && samePublic
}

var errNoClientCertificate = errors.New("there is no merchant certificate for a call that needs one; install it, then: systemctl restart posagent")

// clientCertificate returns what to show where WeChat Pay demands the merchant's certificate: the pair that signs, or the second one
// where that has ended. Each handshake asks anew.
func (h *heldCredentials) clientCertificate(now time.Time) (*tls.Certificate, error) {
	held := h.get()
	if held.Certificate == nil {
		return nil, errNoClientCertificate
	}
	if now.After(held.Certificate.NotAfter) && held.Next != nil && !now.After(held.Next.Certificate.NotAfter) {
		return &held.Next.TLS, nil
	}
	return &held.Pair.TLS, nil
}
