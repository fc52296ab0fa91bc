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
	if !s.polls.enter() {
		return nil, newProblem(TooMany, "")
	}
	defer s.polls.leave()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.Body.Wait)*time.Second)
	defer cancel()
	scans, leave := s.billScans.wait()
	defer leave()
	select {
	case text, ok := <-scans:
		if !ok {
			return s.billSays(BillNoScan, nil, nil), nil
		}
		return s.bill(ctx, &billInput{Body: BillBody{Number: text}})
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

// billScans hands one scan to the one who waits for it.
type billScans struct {
	mu     sync.Mutex // guards waiter
	waiter chan string
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
