package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxclient/v2"
	"posagent/wxsim"
)

// lineFaults are all the ways in which the line goes wrong.
var lineFaults = []lineFault{
	refusedLine, strangerLine, silentLine, brokenShake, nobodyByName, strangersName, nobodyListens,
	dropBefore, resetBefore, stallBefore, cutRequest, badGateway, redirected, loginPage,
	dropAfter, resetAfter, stallAfter, cutHead, cutBody, badGatewayLate, dripForEver, altered,
	slowDrip, twice,
}

// lineCalls are the calls of each API.
var lineCalls = map[payflow.API][]string{
	payflow.APIv3: {"pay", "query", "reverse", "refund", "certificates"},
	payflow.APIv2: {"pay", "query", "reverse", "refund"},
}

// TestNoLineMakesTheTillBelieveOrPayTwice makes each call of each API on real sockets with TLS, while the line between till and WeChat Pay goes
// wrong in each way: POSAGENT_NETWORK times (1), on a fresh connection or a kept one, once or for good, as the seed has it
// (POSAGENT_NETWORK_SEED). A call that asks may arrive twice, a pay call never; what is believed is so; what is called not sent was
// not; and no goroutine and no file handle is left.
func TestNoLineMakesTheTillBelieveOrPayTwice(t *testing.T) {
	times := asked(t, "POSAGENT_NETWORK", 1)
	seed := uint64(asked(t, "POSAGENT_NETWORK_SEED", int(rand.Uint32())))
	t.Logf("seed %d: POSAGENT_NETWORK_SEED=%d POSAGENT_NETWORK=%d go test -run %s ./cmd/posagent", seed, seed, times, t.Name())
	first, err := net.Listen("tcp", "127.0.0.1:0") // the runtime keeps what it needs for the first socket
	require.NoError(t, err)
	require.NoError(t, first.Close())
	goroutines, handles := runtime.NumGoroutine(), countHandles(t)
	var results lineResults
	t.Run("calls", func(t *testing.T) {
		for api, calls := range lineCalls {
			for i, call := range calls {
				t.Run(string(api)+" "+call, func(t *testing.T) {
					t.Parallel()
					chance := rand.New(rand.NewPCG(seed, uint64(i)+100*uint64(len(calls))))
					l := newLineTill(t, api)
					defer l.close()
					for round := range times {
						for _, f := range lineFaults {
							if f == silentLine && payflow.Pace == 1 && round%5 != 4 {
								continue // three seconds each in real time; wxclient's own tests have it in a bubble
							}
							l.try(t, call, f, chance, &results)
						}
					}
				})
			}
		}
	})
	t.Log(results.tell())
	for _, f := range []lineFault{slowDrip, twice} {
		assert.Greater(t, results.count(f, "believed"), results.count(f, "lost"), "%s: the answer comes, and is believed", f)
	}
	assert.LessOrEqual(t, leastOf(runtime.NumGoroutine, goroutines), goroutines, "goroutines are left")
	assert.LessOrEqual(t, leastOf(func() int { return countHandles(t) }, handles), handles, "file handles are left")
}

// leastOf waits a while for a count to come down to its base, and returns it.
func leastOf(count func() int, base int) (n int) {
	for range 500 {
		if n = count(); n <= base {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return n
}

func countHandles(t testing.TB) int {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("handles are not counted here: %v", err)
		return 0
	}
	return len(open)
}

// lineResults counts what became of the calls, by fault.
type lineResults struct {
	mu  sync.Mutex // guards all
	all map[string]int
}

func (r *lineResults) note(f lineFault, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]int{}
	}
	r.all[string(f)+": "+what]++
}

func (r *lineResults) count(f lineFault, what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[string(f)+": "+what]
}

func (r *lineResults) tell() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := ""
	for _, f := range lineFaults {
		for _, what := range []string{"not sent", "lost", "believed"} {
			if n := r.all[string(f)+": "+what]; n > 0 {
				text += fmt.Sprintf("%s: %d %s; ", f, n, what)
			}
		}
	}
	return text
}

// lineTill is a client of one API behind a bad line.
type lineTill struct {
	api      payflow.API
	sim      *wxsim.Sim
	line     *badLine
	v3       *wxclient.Client
	v2       *v2.Client
	merchant payflow.Merchant
	made     int           // numbers and codes drawn
	paid     payflow.Order // a paid order, to be asked about and refunded
	refunds  int           // of paid

	resolver *net.Resolver
	shut     string                    // an address where nobody listens
	way      atomic.Pointer[lineFault] // what dialling does
	open     atomic.Int64              // connections that the client holds
}

var lineKeys = sync.OnceValues(wxsim.NewKeys)

func newLineTill(t *testing.T, api payflow.API) *lineTill {
	t.Helper()
	keys, err := lineKeys()
	require.NoError(t, err)
	l := &lineTill{api: api, resolver: nameServer(t)}
	l.sim, err = wxsim.New(wxsim.Config{Keys: keys, OrdersMax: 500})
	require.NoError(t, err)
	gateway, err := l.sim.Start("")
	require.NoError(t, err)
	k, err := l.sim.Credentials("")
	require.NoError(t, err)
	certificate, err := tls.X509KeyPair(k.Certificate, k.PrivateKey)
	require.NoError(t, err)
	l.line = newBadLine(t, gateway, k.Roots, certificate)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l.shut = nobody.Addr().String()
	require.NoError(t, nobody.Close())
	l.merchant = payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID, CategoryCode: k.CategoryCode}
	const patience = 400 * time.Millisecond
	if api == payflow.APIv3 {
		l.v3, err = wxclient.New(wxclient.Config{Hosts: []string{l.line.url}, RootCAs: l.line.roots, Merchant: l.merchant, SerialNo: k.Serial, PrivateKey: k.Key,
			APIv3Key: []byte(k.APIv3Key), Dial: l.dial, PayTimeout: patience, QueryTimeout: patience})
	} else {
		l.v2, err = v2.New(v2.Config{Hosts: []string{l.line.url}, RootCAs: l.line.roots, Merchant: l.merchant, APIKey: k.APIv2Key, Certificate: certificate,
			Dial: l.dial, PayTimeout: patience, QueryTimeout: patience})
	}
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.firstTrip(t.Context()) == nil }, 20*time.Second, 10*time.Millisecond, "the first round trip over a sound line")
	return l
}

func (l *lineTill) close() {
	if l.v3 != nil {
		l.v3.Close()
	} else {
		l.v2.Close()
	}
	l.line.close()
	l.sim.Close()
}

func (l *lineTill) firstTrip(ctx context.Context) error {
	if l.v3 != nil {
		return l.v3.FirstRoundTrip(ctx)
	}
	return l.v2.FirstRoundTrip(ctx)
}

// dial connects as the fault has it, and counts what stands.
func (l *lineTill) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{KeepAlive: -1, Resolver: l.resolver}
	switch way := l.way.Load(); {
	case way != nil && *way == nobodyByName:
		addr = "gateway.invalid:443"
	case way != nil && *way == nobodyListens:
		addr = l.shut
	}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &lineConn{TCPConn: conn.(*net.TCPConn), gone: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
}

// lineConn tells when it is closed.
type lineConn struct {
	*net.TCPConn
	gone func()
}

func (c *lineConn) Close() error {
	c.gone()
	return c.TCPConn.Close()
}

func (l *lineTill) order() payflow.Order {
	l.made++
	return payflow.Order{OutTradeNo: payflow.OutTradeNo(fmt.Sprintf("SZTX001L%06d", l.made)), Amount: payflow.Amount{Minor: 1250, Currency: "HKD"},
		Tag: "ABCDEFGH01234567", Merchant: l.merchant, API: l.api, Description: "Branch L-1",
		Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building", Address: "Nanshan", Till: "L1"}}
}

func (l *lineTill) pay(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	code, err := payflow.ParseAuthCode(wxsim.CodeFor("pays-at-once", l.made), "", nil)
	if err != nil {
		return payflow.Outcome{}, err
	}
	leave := make(chan struct{})
	close(leave)
	if l.v3 != nil {
		return l.v3.Pay(ctx, o, code, leave)
	}
	return l.v2.Pay(ctx, o, code, leave)
}

func (l *lineTill) query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	if l.v3 != nil {
		return l.v3.Query(ctx, o)
	}
	return l.v2.Query(ctx, o)
}

func (l *lineTill) reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	if l.v3 != nil {
		return l.v3.Reverse(ctx, o)
	}
	return l.v2.Reverse(ctx, o)
}

func (l *lineTill) refund(ctx context.Context, r payflow.RefundOrder) (payflow.RefundOutcome, error) {
	if l.v3 != nil {
		return l.v3.Refund(ctx, r)
	}
	return l.v2.Refund(ctx, r)
}

// paidOrder returns an order that is paid and has few refunds yet.
func (l *lineTill) paidOrder(t *testing.T) payflow.Order {
	t.Helper()
	if l.paid.OutTradeNo == "" || l.refunds > 30 || l.made%300 == 0 {
		require.Eventually(t, func() bool {
			o := l.order()
			outcome, err := l.pay(t.Context(), o)
			l.paid, l.refunds = o, 0
			return err == nil && outcome.Trade.State == payflow.TradeSuccess
		}, 20*time.Second, time.Millisecond, "a payment over a sound line")
	}
	return l.paid
}

// oneCall is a call that is to be made, and what is true of it.
type oneCall struct {
	number payflow.OutTradeNo // under which it is in the books
	make   func(ctx context.Context) (kind string, err error)
	holds  func(order wxsim.OrderBook, kind string) bool // what was believed is so
}

// prepare makes ready what the call needs, over a sound line.
func (l *lineTill) prepare(t *testing.T, call string) oneCall {
	t.Helper()
	paid := l.paidOrder(t)
	switch call {
	case "pay":
		o := l.order()
		return oneCall{o.OutTradeNo, func(ctx context.Context) (string, error) {
			outcome, err := l.pay(ctx, o)
			return string(outcome.Kind) + " " + string(outcome.Trade.State), err
		}, func(book wxsim.OrderBook, kind string) bool {
			return kind == "found SUCCESS" && book.State == wxsim.Success && book.Charged == 1
		}}
	case "query":
		return oneCall{paid.OutTradeNo, func(ctx context.Context) (string, error) {
			outcome, err := l.query(ctx, paid)
			return string(outcome.Kind) + " " + string(outcome.Trade.State), err
		}, func(book wxsim.OrderBook, kind string) bool { return kind == "found "+string(book.State) }}
	case "reverse":
		o := l.order()
		return oneCall{o.OutTradeNo, func(ctx context.Context) (string, error) {
			outcome, err := l.reverse(ctx, o)
			return string(outcome.Kind), err
		}, func(book wxsim.OrderBook, kind string) bool {
			return kind == string(payflow.ReverseDone) && len(book.Arrivals) > 0
		}}
	case "refund":
		l.refunds++
		r := payflow.RefundOrder{OutRefundNo: payflow.OutRefundNo("R" + strconv.Itoa(l.refunds) + "-" + string(paid.OutTradeNo)), OutTradeNo: paid.OutTradeNo,
			Merchant: paid.Merchant, API: paid.API, Total: paid.Amount, Amount: payflow.Amount{Minor: 1, Currency: "HKD"}, Reason: "goods back"}
		return oneCall{paid.OutTradeNo, func(ctx context.Context) (string, error) {
			outcome, err := l.refund(ctx, r)
			return string(outcome.Kind), err
		}, func(book wxsim.OrderBook, kind string) bool {
			made := slices.ContainsFunc(book.Refunds, func(b wxsim.RefundBook) bool { return b.Number == string(r.OutRefundNo) })
			return kind == string(payflow.RefundAccepted) && made
		}}
	}
	return oneCall{"", func(ctx context.Context) (string, error) { return "certificates", l.firstTrip(ctx) },
		func(wxsim.OrderBook, string) bool { return l.v3.State().Verified }}
}

// try makes one call while the line goes wrong, and judges what came back against the books.
func (l *lineTill) try(t *testing.T, call string, f lineFault, chance *rand.Rand, results *lineResults) {
	t.Helper()
	c := l.prepare(t, call)
	fresh, once := chance.IntN(2) == 0 || f.beforeTLS(), chance.IntN(2) == 0
	if fresh {
		l.line.hangUp()
		require.Eventually(t, func() bool { return l.open.Load() == 0 }, 10*time.Second, time.Millisecond, "connections that the gateway closed are held")
	}
	require.Eventually(t, func() bool { return l.line.standing() == int(l.open.Load()) }, 20*time.Second, time.Millisecond, "a call from before is still on the line")
	before, _ := l.sim.Books().Order(string(c.number))
	times := -1
	if once {
		times = 1
	}
	l.line.set(f, times)
	l.way.Store(&f)
	kind, err := c.make(t.Context())
	l.way.Store(nil)
	struck, heard := l.line.seen()
	l.line.set(soundLine, -1)
	time.Sleep(time.Duration(chance.IntN(2)) * time.Millisecond)
	after, _ := l.sim.Books().Order(string(c.number))
	facts := callFacts{call: call, fault: f, fresh: fresh, once: once, kind: kind, err: err, struck: struck, heard: heard,
		arrived: len(after.Arrivals) - len(before.Arrivals), holds: c.holds(after, kind)}
	what, wrong := facts.judge()
	results.note(f, what)
	assert.Empty(t, wrong, "%+v", facts)
	assert.LessOrEqual(t, l.open.Load(), int64(8), "connections held: %+v", facts)
}

// callFacts is what is known of one call over a bad line.
type callFacts struct {
	call        string
	fault       lineFault
	fresh, once bool
	kind        string
	err         error
	arrived     int  // requests under its number that reached WeChat Pay, whole or in part
	struck      int  // how often the fault struck
	heard       int  // bytes of requests that came out of the till's TLS
	holds       bool // what the outcome says is so in WeChat Pay's books
}

// judge says what the call came to, and what is wrong with that.
func (c callFacts) judge() (what string, wrong []string) {
	unless := func(good bool, text string) {
		if !good {
			wrong = append(wrong, text)
		}
	}
	pay := c.call == "pay"
	most := 2 // a connection that was kept may have died, and a new one is tried
	if pay || c.fresh {
		most = 1
	}
	unless(c.arrived <= most, "it arrived again")
	unless(!pay || c.fault.beforeTLS() || c.struck <= 1, "a pay call was written twice")
	lost := (*payflow.LostError)(nil)
	switch unsent := c.kind == string(payflow.NotSent)+" "; {
	case c.err != nil:
		unless(c.call == "certificates" || errors.As(c.err, &lost), "its error is none that says that nothing is known")
		unless(!pay || !c.fault.beforeTLS(), "nothing was sent, and the till does not know it")
		return "lost", wrong
	case unsent:
		unless(c.arrived+c.heard == 0, "it was sent")
		return "not sent", wrong
	}
	unless(c.fault == slowDrip || c.fault == twice || c.once && !c.fresh && !pay, "an answer over a broken line was believed")
	unless(c.holds, "it is not so")
	return "believed", wrong
}

// The judge finds what is planted.
func TestAPlantedFaultOfTheClientIsFound(t *testing.T) {
	lost := &payflow.LostError{Err: errors.New("cut")}
	for name, facts := range map[string]callFacts{
		"it arrived again": {call: "pay", fault: dropAfter, err: lost, arrived: 2},
		"it arrived again, though the connection was fresh": {call: "query", fault: dropAfter, fresh: true, err: lost, arrived: 2},
		"a pay call was written twice":                      {call: "pay", fault: dropBefore, err: lost, struck: 2},
		"its error is none that says that nothing is known": {call: "query", fault: stallAfter, err: errors.New("no")},
		"nothing was sent, and the till does not know it":   {call: "pay", fault: refusedLine, err: lost},
		"it was sent":                                         {call: "pay", fault: refusedLine, kind: "not_sent ", heard: 7},
		"it was sent, and cut then":                           {call: "pay", fault: cutBody, kind: "not_sent ", arrived: 1},
		"an answer over a broken line was believed":           {call: "query", fault: altered, kind: "found SUCCESS", holds: true},
		"a pay call's answer over a broken line was believed": {call: "pay", fault: altered, once: true, kind: "found SUCCESS", holds: true},
		"it is not so":                                        {call: "pay", fault: slowDrip, kind: "found SUCCESS"},
	} {
		_, wrong := facts.judge()
		assert.Len(t, wrong, 1, name)
	}
}

// The proxy does to the bytes what each fault says.
func TestTheBadLineDoesWhatItSays(t *testing.T) {
	l := newLineTill(t, payflow.APIv3)
	defer l.close()
	u, err := url.Parse(l.line.url)
	require.NoError(t, err)
	for f, want := range map[lineFault]string{dropBefore: "EOF", resetBefore: "reset", badGateway: "502", redirected: "307", dropAfter: "EOF", cutHead: "EOF", loginPage: "200"} {
		l.line.set(f, 1)
		conn, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: l.line.roots})
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET /v3/global/certificates HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		got := make([]byte, 0, 4096)
		for {
			n, err := conn.Read(got[len(got):cap(got)])
			got = got[:len(got)+n]
			if err != nil {
				got = append(got, " "+err.Error()...)
			}
			if err != nil || n > 0 && f != cutHead {
				break
			}
		}
		assert.Contains(t, string(got), want, f)
		conn.Close()
	}
}
