package till

import (
	"context"
	"sync"
)

// places are a bounded number of things that wait or stream at one time, of which one caller may have half: a program that forgets to close
// its streams takes the page's places from nobody.
type places struct {
	max int

	mu   sync.Mutex // guards what follows
	all  int
	mine map[string]int // by caller
}

func newPlaces(n int) *places { return &places{max: n, mine: map[string]int{}} }

// enter reports whether there is room for a caller, who calls leave when it got in.
func (p *places) enter(caller string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.max || p.mine[caller] >= max(1, p.max/2) {
		return false
	}
	p.all++
	p.mine[caller]++
	return true
}

func (p *places) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.mine[caller]--; p.mine[caller] == 0 {
		delete(p.mine, caller)
	}
}

// placeOf names whoever calls, for places: a token, a user of the socket, or a browser.
func placeOf(ctx context.Context) string {
	c := callerOf(ctx)
	if seat, ok := ctx.Value(sessionKey{}).(pageSeat); ok && c.page {
		return "page " + seat.session
	}
	return c.name
}
