package payflow

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever WeChat Pay says of an order and its refunds, in whatever order, and whatever is lost: an end by REFUND rests on refunds that
// add up, no end comes while the last word on our order is a refund that does not, and none is Paid.
func TestNoEndOnRefundsThatDoNotAddUp(t *testing.T) {
	runs := 20_000
	if testing.Short() || underRace {
		runs = 2_000
	}
	ends := map[Status]int{}
	byRefund := 0
	for seed := range runs {
		p := anyEnd(t, rand.New(rand.NewPCG(uint64(seed), 1)))
		ends[p.Status]++
		if p.Trade.State == TradeRefund && p.Status == Reversed {
			byRefund++
		}
	}
	require.Greater(t, byRefund, runs/100, "the runs do not reach what they are for: %v", ends)
	require.Greater(t, ends[Declined], runs/1000, "%v", ends)
}

// anyEnd leads a payment through sixty steps of any kind, or to its end.
func anyEnd(t *testing.T, r *rand.Rand) Payment {
	p, _ := anArmed(DefaultTiming())
	now, refund := beginning, false // refund: the last word on our order is a refund that does not add up
	p, _ = Step(p, Event{Kind: CodeScanned, At: now, Code: aCode(), CodeHash: "h1"})
	for range 60 {
		e := anyEvent(r, p)
		if p.Call == NoCall {
			now = later(now, p.WakeAt)
		}
		now = now.Add(time.Duration(r.IntN(4)) * time.Second)
		e.At = now
		before := p
		p, _ = Step(p, e)
		if row := judgedAs(before, e); row != "" {
			refund = row.refund() && !(addsUp(e.Outcome.Trade))
		}
		require.False(t, p.Status == Paid && e.Outcome.Trade.State != TradeSuccess, "paid by %+v", e)
		if p.Status.Final() {
			notSent := e.Kind == PayAnswered && e.Outcome.Kind == NotSent
			require.False(t, refund && !notSent, "%s, while its refunds are %+v; by %+v", p.Status, p.Trade.Refunds, e)
			require.Empty(t, p.Attention)
			return p
		}
	}
	return p
}

// judgedAs is the row that an answer about our order counts as; empty where the event tells nothing of the order.
func judgedAs(p Payment, e Event) seen {
	if e.Outcome.Kind != Found || e.Kind == ReverseAnswered {
		return ""
	}
	if row := look(p, e.Outcome.Trade); row != seenLost && row != seenAnother && row != seenUnclaimed {
		return row
	}
	return ""
}

// anyEvent ends the call in flight somehow, or wakes; now and then the power goes.
func anyEvent(r *rand.Rand, p Payment) Event {
	e := Event{Call: p.Calls}
	switch dice := r.IntN(20); {
	case dice == 0:
		return Event{Kind: Restarted, Age: time.Duration(r.IntN(2)) * 8 * 24 * time.Hour}
	case p.Call == NoCall:
		return Event{Kind: Woken}
	case dice < 4:
		e.Kind, e.Lost = CallLost, Lost{Claim: []OutcomeKind{"", NoSuchOrder, Refused, Collision}[r.IntN(4)], Busy: r.IntN(9) == 0}
		return e
	}
	kinds := map[CallKind][]OutcomeKind{PayCall: {Found, Refused, Collision, NotSent}, QueryCall: {Found, Found, Found, NoSuchOrder}, ReverseCall: {ReverseDone, ReverseRefused, ReverseTooLate}}[p.Call]
	e.Kind = map[CallKind]EventKind{PayCall: PayAnswered, QueryCall: QueryAnswered, ReverseCall: ReverseAnswered}[p.Call]
	e.Outcome = Outcome{Kind: kinds[r.IntN(len(kinds))], Reason: ReasonRefused}
	if e.Outcome.Kind == Found {
		e.Outcome.Trade = anyTrade(r, p.Order)
	}
	return e
}

// anyTrade is an order in any state, mostly refunded, with any sum of refunds, and now and then not ours or not as we asked.
func anyTrade(r *rand.Rand, o Order) Trade {
	states := []TradeState{TradeRefund, TradeRefund, TradeRefund, TradeRefund, TradeSuccess, TradeNotPay, TradePayError, TradeUserPaying, TradeClosed, "SOMETHING_NEW"}
	odds := []twist{straight, straight, straight, straight, straight, withoutAttach, anothersOrder, wrongAmount, wrongCurrency, wrongMerchant, otherNumber, numberMissing}
	t := aTrade(o, states[r.IntN(len(states))], odds[r.IntN(len(odds))])
	some := []int64{0, 0, 1, 250, o.Amount.Minor - 1, o.Amount.Minor, o.Amount.Minor, o.Amount.Minor + 1, -1, 1 << 62}
	t.Refunds = RefundSum{Known: r.IntN(4) > 0, Done: some[r.IntN(len(some))], Pending: some[r.IntN(len(some))], Dead: max(0, r.IntN(6)-3)}
	if r.IntN(3) == 0 {
		t.Refunds.Pending, t.Refunds.Dead = 0, 0
	}
	return t
}
