package wxclient

import (
	"sync"
	"time"
)

// A nonce is remembered for ten minutes (rule 9): twice the window within which a signed answer is fresh at all.
const (
	nonceKept = 10 * time.Minute
	noncesMax = 4096 // far more answers than a till gets in ten minutes; beyond it the oldest are forgotten
)

// nonces are the Wechatpay-Nonce values of verified answers, so that a signed answer counts once: a 204 names no
// order, and a kept copy of it would prove any reverse.
type nonces struct {
	mu    sync.Mutex // guards all below
	seen  map[string]time.Time
	order []string // oldest first
}

// fresh reports that nonce was not seen in the last ten minutes, and remembers it.
func (n *nonces) fresh(nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now)
	if _, seen := n.seen[nonce]; seen {
		return false
	}
	if n.seen == nil {
		n.seen = make(map[string]time.Time)
	}
	n.seen[nonce] = now
	n.order = append(n.order, nonce)
	return true
}

func (n *nonces) forget(now time.Time) {
	for len(n.order) > 0 && (len(n.order) >= noncesMax || now.Sub(n.seen[n.order[0]]) >= nonceKept) {
		delete(n.seen, n.order[0])
		n.order = n.order[1:]
	}
}
