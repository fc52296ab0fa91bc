package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"posagent/payflow"
	"posagent/wxsim"
)

// trial is simulated WeChat Pay for trial tills, with the folder of credentials that their configurations name.
type trial struct {
	sim *wxsim.Sim
	url string
	dir string
	api payflow.API // that its tills speak

	mu   sync.Mutex // guards used
	used int        // codes handed out
}

// openTrial starts simulated WeChat Pay on loopback, for tills that speak api, and writes its credentials into dir.
func openTrial(dir string, api payflow.API) (*trial, error) {
	return openTrialAt(dir, "127.0.0.1:0", api)
}

// openTrialAt is openTrial on a given address.
func openTrialAt(dir, address string, api payflow.API) (*trial, error) {
	sim, err := wxsim.New(wxsim.Config{})
	if err != nil {
		return nil, err
	}
	if err := sim.WriteCredentials(dir); err != nil {
		return nil, err
	}
	url, err := sim.Start(address)
	if err != nil {
		return nil, err
	}
	return &trial{sim: sim, dir: dir, url: url, api: api}, nil
}

func (t *trial) close() { t.sim.Close() }

// account is the [wechat] section for a till of this trial. For API v2 the certificate comes as the bundle, with its key in it.
func (t *trial) account() string {
	lines := fmt.Sprintf("certificate = %q\nprivate_key = %q\napi_v3_key = %q\n", t.dir+"/apiclient_cert.pem", t.dir+"/apiclient_key.pem", t.dir+"/api_v3_key")
	if t.api == payflow.APIv2 {
		lines = fmt.Sprintf("certificate = %q\napi_v2_key = %q\n", t.dir+"/apiclient_cert.p12", t.dir+"/api_v2_key")
	}
	return fmt.Sprintf(`api = %q
mode = "institution"
app_id = "wx2421b1c4370ec43b"
merchant_id = "10000100"
sub_merchant_id = "20000100"
merchant_category_code = "4111"
hosts = [%q]
ca_file = %q
%s`, t.api, t.url, t.dir+"/ca.pem", lines)
}

// code returns a fresh payment code whose wallet behaves as the scenario of that name says.
func (t *trial) code(scenario string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used++
	return wxsim.CodeFor(scenario, t.used)
}

// books returns WeChat Pay's books, in the order of their numbers, with what callers did that the documents forbid.
func (t *trial) books() []bookLine {
	books := t.sim.Books()
	var lines []bookLine
	for _, o := range books.Orders {
		if o.State == wxsim.None || o.Foreign {
			continue
		}
		lines = append(lines, bookLine{
			OutTradeNo: payflow.OutTradeNo(o.Number), State: string(o.State), Amount: payflow.Amount{Minor: o.Total, Currency: payflow.Currency(o.Currency)},
			Held: o.Held, Charged: o.Charged, Arrivals: o.PayWhole, Attach: o.Attach, CodeSum: o.CodeSum, Refunds: refundLines(o.Refunds),
		})
	}
	slices.SortFunc(lines, func(a, b bookLine) int { return strings.Compare(string(a.OutTradeNo), string(b.OutTradeNo)) })
	for _, v := range books.Violations {
		lines = withViolation(lines, payflow.OutTradeNo(v.Number), v.What)
	}
	if t.sim.Carried("Idempotency-Key") > 0 {
		lines = withViolation(lines, "", "a request carried an Idempotency-Key")
	}
	return lines
}

func refundLines(refunds []wxsim.RefundBook) []refundLine {
	var lines []refundLine
	for _, r := range refunds {
		lines = append(lines, refundLine{Number: payflow.OutRefundNo(r.Number), Amount: r.Amount, Done: r.State == wxsim.RefundSuccess,
			Dead: r.State == wxsim.RefundClosed || r.State == wxsim.RefundAbnormal})
	}
	return lines
}

func withViolation(lines []bookLine, no payflow.OutTradeNo, what string) []bookLine {
	for i := range lines {
		if lines[i].OutTradeNo == no {
			lines[i].Violations = append(lines[i].Violations, what)
			return lines
		}
	}
	return append(lines, bookLine{OutTradeNo: no, Violations: []string{what}})
}

// awaitArrival returns when the pay call of an order has arrived whole.
func (t *trial) awaitArrival(ctx context.Context, no payflow.OutTradeNo) error {
	for {
		if order, known := t.sim.Books().Order(string(no)); known && order.PayWhole > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the pay call did not arrive")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// pullCable makes every connection, old or new, a black hole; the function that it returns puts the cable back.
func (t *trial) pullCable() func() {
	mend := t.sim.Inject(wxsim.Fault{On: wxsim.Connect, Kind: wxsim.DeadLink, Times: -1})
	t.sim.DeadenLinks()
	return func() {
		mend()
		t.sim.DropLinks()
	}
}

// networkDown refuses every connection and ends those that stand; the function that it returns brings the network back.
func (t *trial) networkDown() func() error {
	t.sim.NetworkDown()
	return t.sim.NetworkUp
}

// writeBooks writes the books as JSON, for whoever compares them with a journal; no file, no books.
func (t *trial) writeBooks(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(t.books(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
