package till

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// BillNoScan is the answer where nothing was scanned in time.
const BillNoScan BillAnswer = "no_scan"

// BillScanBody is the body of POST /v1/bills/scan.
type BillScanBody struct {
	Wait int `json:"wait" minimum:"1" maximum:"60" doc:"Seconds to wait for a scan."`
}

type billScanInput struct{ Body BillScanBody }

func (s *Server) registerBillScan(api huma.API) {
	huma.Register(api, call{
		id: "scan-bill", method: http.MethodPost, path: "/v1/bills/scan", summary: "Take the scanner's next code as a bill's number, while no payment holds the till",
		scopes: []Scope{ScopePay}, status: http.StatusOK, problems: []ProblemCode{TooMany},
	}.operation(api), s.scanBill)
}

// scanBill waits for a scan in the place of the engine. One waits at a time; who comes later takes the place of who was there.
func (s *Server) scanBill(ctx context.Context, in *billScanInput) (*billOutput, error) {
	if !s.polls.enter(placeOf(ctx)) {
		return nil, newProblem(TooMany, "")
	}
	defer s.polls.leave(placeOf(ctx))
	wait := time.NewTimer(time.Duration(in.Body.Wait) * time.Second) // for the scan: what it is looked up for has its own time
	defer wait.Stop()
	scans, leave := s.billScans.wait()
	defer leave()
	select {
	case text, ok := <-scans:
		if !ok {
			return s.billSays(BillNoScan, nil, nil), nil
		}
		defer s.billScans.look()()
		return s.bill(ctx, &billInput{Body: BillBody{Number: text}})
	case <-wait.C:
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return s.billSays(BillNoScan, nil, nil), nil
}

// TakeBillScan takes a scan for whoever waits for the number on a customer's bill, and reports whether somebody does. It takes none while a
// payment holds the till: then a scan is that payment's.
func (s *Server) TakeBillScan(text string) bool {
	if _, holds := s.cfg.Desk.Holding(); holds {
		return false
	}
	return s.billScans.give(text)
}

// billScans hands one scan to the one who waits for it, and says that what was scanned is being looked up: WeChat Pay may take seconds.
type billScans struct {
	mu      sync.Mutex // guards what follows
	waiter  chan string
	looking int           // scans that are being looked up
	changed chan struct{} // closed and replaced where that begins or ends; nil: nobody has asked
}

// look says that a scan is being looked up, until done is called.
func (b *billScans) look() (done func()) {
	b.count(1)
	return func() { b.count(-1) }
}

func (b *billScans) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looking += n
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// looks reports a scan that is being looked up, and when to ask again.
func (b *billScans) looks() (looking bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.looking > 0, b.changed
}

// wait returns where the next scan comes; it is closed when somebody else waits instead. leave ends the waiting.
func (b *billScans) wait() (scans <-chan string, leave func()) {
	mine := make(chan string, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiter != nil {
		close(b.waiter)
	}
	b.waiter = mine
	return mine, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.waiter == mine {
			b.waiter = nil
		}
	}
}

func (b *billScans) give(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiter == nil {
		return false
	}
	b.waiter <- text // it has room, and its owner is gone from here at once
	b.waiter = nil
	return true
}
