package wxclient

import (
	"slices"
	"sync"
	"time"
)

// A nonce is remembered for ten minutes (rule 9): twice the window within which a signed answer is fresh at all.
const (
	nonceKept = 10 * time.Minute
	noncesMax = 4096 // far more answers than a till gets in ten minutes; beyond it the oldest are forgotten
	doubtsMax = 512  // the same of answers that could not be verified
)

// nonces are the Wechatpay-Nonce values of answers that came, so that a signed answer counts once: a 204 names no
// order, and a kept copy of it would prove any reverse.
type nonces struct {
	file *heardFile // for the next start; nil: none

	mu    sync.Mutex // guards all below
	seen  map[nonceMark]time.Time
	order []nonceMark // oldest first
	// doubts are of answers that came and could not be verified. Nobody can push what was believed out by sending many of them.
	doubts []doubt // oldest first
}

// doubt is an answer that was not believed.
type doubt struct {
	mark nonceMark
	at   time.Time
}

// doubted remembers the nonce of an answer that could not be verified when it came. Kept back and sent again, it would answer a later call
// once the certificate that it was signed with is known.
func (n *nonces) doubted(nonce string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.doubts) >= doubtsMax {
		n.doubts = slices.Delete(n.doubts, 0, 1)
	}
	n.doubts = append(n.doubts, doubt{markOf(nonce), now})
}

// inDoubt reports a nonce of an answer that was not believed in the last ten minutes. n.mu is held.
func (n *nonces) inDoubt(mark nonceMark, now time.Time) bool {
	n.doubts = slices.DeleteFunc(n.doubts, func(d doubt) bool { return now.Sub(d.at) >= nonceKept })
	return slices.ContainsFunc(n.doubts, func(d doubt) bool { return d.mark == mark })
}

// fresh reports that nonce was not seen in the last ten minutes, and remembers it. signed is its answer's time, for the next start.
func (n *nonces) fresh(nonce string, signed, now time.Time) bool {
	mark := markOf(nonce)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now)
	if _, seen := n.seen[mark]; seen || n.inDoubt(mark, now) {
		return false
	}
	n.remember(mark, now)
	if n.file != nil {
		n.file.keep(mark, signed)
	}
	return true
}

func (n *nonces) remember(mark nonceMark, now time.Time) {
	if n.seen == nil {
		n.seen = make(map[nonceMark]time.Time)
	}
	n.seen[mark] = now
	n.order = append(n.order, mark)
}

// recall remembers what earlier starts heard, as if it had come just now.
func (n *nonces) recall(answers []heardAnswer, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range answers {
		if _, seen := n.seen[a.mark]; !seen {
			n.remember(a.mark, now)
		}
	}
}

func (n *nonces) forget(now time.Time) {
	for len(n.order) > 0 && (len(n.order) >= noncesMax || now.Sub(n.seen[n.order[0]]) >= nonceKept) {
		delete(n.seen, n.order[0])
		n.order = n.order[1:]
	}
}
