package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// refundWorldsByDefault is the sample of every run; POSAGENT_REFUNDS=N asks for N worlds with new seeds, POSAGENT_REFUND_SEED=S for one.
const refundWorldsByDefault = 15

// Whatever becomes of calls, answers and power: one wish has one refund, the sum never exceeds what was paid, and when the faults are
// over each refund says what WeChat Pay says.
func TestNeverTwoRefundsForOneWish(t *testing.T) {
	if text := os.Getenv("POSAGENT_REFUND_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		refundWorld(t, seed)
		return
	}
	first, count := uint64(1), refundWorldsByDefault
	if text := os.Getenv("POSAGENT_REFUNDS"); text != "" {
		var err error
		count, err = strconv.Atoi(text)
		require.NoError(t, err)
		first = rand.Uint64() >> 1
	}
	seen := map[string]int{}
	for i := range uint64(count) {
		for what := range namedRefundWorld(t, first+i) {
			seen[what]++
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d worlds; in how many of them each was seen: %v", count, seen)
	for _, what := range []string{"crash before a commit", "crash behind a commit", "power", "lost", "taken on and lost", "late", "refunded", "refused", "too much"} {
		require.NotZero(t, seen[what], "no world meets: %s", what)
	}
}

// namedRefundWorld says how to see a world again that fails, however it ends.
func namedRefundWorld(t *testing.T, seed uint64) map[string]bool {
	defer func() {
		if t.Failed() {
			t.Logf("POSAGENT_REFUND_SEED=%d go test -run TestNeverTwoRefundsForOneWish ./queue", seed)
		}
	}()
	return refundWorld(t, seed)
}

// aRefundWorld is one till, a counter, a cashbox, and what goes wrong, all from one seed.
type aRefundWorld struct {
	t     *testing.T
	s     *shop
	c     *cashbox
	r     *rand.Rand
	fates *rand.Rand // guarded by the cashbox, as calm is
	calm  bool

	mu    sync.Mutex // guards crash and seen
	crash string     // the step of the next commit at which the power goes
	seen  map[string]bool

	paid  []payflow.OutTradeNo
	wants map[string]payflow.RefundRequest // by key: what persons want, and ask for again and again
	made  map[string]payflow.OutRefundNo
}

func refundWorld(t *testing.T, seed uint64) map[string]bool {
	w := &aRefundWorld{r: rand.New(rand.NewPCG(seed, 2)), fates: rand.New(rand.NewPCG(seed, 3)), seen: map[string]bool{}, wants: map[string]payflow.RefundRequest{}, made: map[string]payflow.OutRefundNo{}}
	story(t, func(t *testing.T, s *shop) {
		w.t, w.s, w.c = t, s, &cashbox{}
		w.c.meets = w.meets
		s.refunds = w.c
		s.cfg.fault = w.fault
		s.restart()
		w.paid = append(w.paid, s.paid("A-1", codeA), s.paid("A-2", codeB))
		for range 30 + w.r.IntN(40) {
			w.happen()
		}
		w.heal()
		w.judge()
	})
	return w.seen
}

// fault cuts the power before a commit or behind it.
func (w *aRefundWorld) fault(step string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crash != step {
		return nil
	}
	w.crash = ""
	w.seen[map[string]string{"commit": "crash before a commit", "committed": "crash behind a commit"}[step]] = true
	return errors.New("the power is gone")
}

func (w *aRefundWorld) saw(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what] = true
}

// cutAt has the power go at a step of the next commit; empty: not at all.
func (w *aRefundWorld) cutAt(step string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crash = step
}

// meets is the fate of a call. It is called with the cashbox locked.
func (w *aRefundWorld) meets(call string, o payflow.RefundOrder) string {
	if w.calm {
		return ""
	}
	fates := []string{"", "", "", "lost", "lost"}
	if call == "refund" {
		fates = []string{"", "", "lost", "taken on and lost", "taken on and lost", "refused", "later", "late"}
	}
	fate := fates[w.fates.IntN(len(fates))]
	w.saw(fate)
	if fate != "late" {
		return fate
	}
	after := time.Duration(w.fates.Int64N(int64(10 * time.Minute)))
	c := w.c
	time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.takeOn(o)
	})
	return "lost"
}

// happen is one thing at the counter, or a fault, and then some time.
func (w *aRefundWorld) happen() {
	switch w.r.IntN(10) {
	case 0, 1, 2:
		w.ask(fmt.Sprint("key-", w.r.IntN(6)))
	case 3:
		w.cutAt([]string{"commit", "committed"}[w.r.IntN(2)])
	case 4:
		w.saw("power")
		w.s.restart()
	case 5, 6:
		w.turn()
	case 7:
		w.platform()
	case 8:
		for no := range w.made {
			_ = w.s.engine.TakeRefundNotice(w.t.Context(), payflow.RefundReport{OutRefundNo: w.made[no]})
			break
		}
	}
	pauses := []time.Duration{0, time.Second, 20 * time.Second, time.Minute, 7 * time.Minute, time.Hour}
	time.Sleep(pauses[w.r.IntN(len(pauses))])
	synctest.Wait()
	w.powerBack()
}

// powerBack starts the till anew where a commit failed: the engine has stopped by itself.
func (w *aRefundWorld) powerBack() {
	if w.s.engine.Err() != nil {
		w.s.restart()
	}
}

// ask is a person's wish, which is put again under its key until it is known to be journaled, as till software does.
func (w *aRefundWorld) ask(key string) {
	r, ok := w.wants[key]
	if !ok {
		r = payflow.RefundRequest{OutTradeNo: w.paid[w.r.IntN(len(w.paid))], Amount: payflow.Amount{Minor: 1 + w.r.Int64N(900)}, Operator: "Amy", IdempotencyKey: key}
		w.wants[key] = r
	}
	entry, err := w.s.engine.Refund(w.t.Context(), r)
	synctest.Wait()
	var much *payflow.RefundTooMuchError
	switch {
	case err == nil && w.made[key] != "" && w.made[key] != entry.OutRefundNo:
		w.t.Errorf("%s has two numbers: %s and %s", key, w.made[key], entry.OutRefundNo)
	case err == nil:
		w.made[key] = entry.OutRefundNo
	case errors.As(err, &much):
		w.saw("too much")
	}
}

// turn is the bank's: what is on its way ends, somehow.
func (w *aRefundWorld) turn() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for i := range w.c.refunds {
		r := &w.c.refunds[i]
		if (r.State == payflow.RefundStateProcessing || r.State == payflow.RefundStateAbnormal) && w.r.IntN(2) == 0 {
			r.State = []payflow.RefundState{payflow.RefundStateSuccess, payflow.RefundStateSuccess, payflow.RefundStateClosed, payflow.RefundStateAbnormal}[w.r.IntN(4)]
		}
	}
}

// platform is somebody who refunds on the merchant platform, where WeChat Pay itself refuses more than is left.
func (w *aRefundWorld) platform() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	no := w.paid[w.r.IntN(len(w.paid))]
	left := int64(1250)
	for _, r := range w.c.refunds {
		if r.OutTradeNo == no && r.State != payflow.RefundStateClosed {
			left -= r.Amount.Minor
		}
	}
	// What is on its way to WeChat Pay comes first, also where a crash kept the till from telling of it: the cashbox itself refuses nothing.
	ours, err := w.s.wechat.journal.RefundsOfPayment(no)
	require.NoError(w.t, err)
	for _, e := range ours {
		if !e.Dead() && w.c.find(e.OutRefundNo) == nil {
			left -= e.Amount.Minor
		}
	}
	if amount := 1 + w.r.Int64N(400); amount <= left {
		w.c.takeOn(payflow.RefundOrder{OutRefundNo: payflow.OutRefundNo(fmt.Sprint("P", len(w.c.refunds))), OutTradeNo: no,
			Amount: payflow.Amount{Minor: amount, Currency: "HKD"}, Total: hkd1250})
	}
}

// heal ends the faults; the bank and its persons do their work.
func (w *aRefundWorld) heal() {
	w.c.mu.Lock()
	w.calm = true
	w.c.mu.Unlock()
	w.cutAt("")
	w.powerBack()
	for range 40 {
		time.Sleep(time.Hour)
		synctest.Wait()
		w.c.mu.Lock()
		for i := range w.c.refunds {
			if r := &w.c.refunds[i]; r.State == payflow.RefundStateProcessing || r.State == payflow.RefundStateAbnormal {
				r.State = payflow.RefundStateSuccess
			}
		}
		w.c.mu.Unlock()
	}
}

func (w *aRefundWorld) judge() {
	assert.Empty(w.t, w.c.wrongs())
	for key, no := range w.made {
		entry, err := w.s.engine.RefundOf(no)
		require.NoError(w.t, err, "what was once told to a person is there for good")
		live := 0
		for _, r := range w.c.held() {
			if r.OutRefundNo == no && r.State != payflow.RefundStateClosed {
				live++
			}
		}
		want := map[payflow.RefundStatus]int{payflow.RefundDone: 1, payflow.RefundRefused: 0}
		count, final := want[entry.Status]
		assert.True(w.t, final, "%s is %s (%s) though the faults are over", key, entry.Status, entry.Why)
		assert.Equal(w.t, count, live, "%s is %s (%s)", key, entry.Status, entry.Why)
		w.saw(string(entry.Status))
	}
}
