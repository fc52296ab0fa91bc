package payflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counter is a manager's counter: one refund, and the time.
type counter struct {
	t        *testing.T
	r        Refund
	now      time.Time
	commands []RefundCommand
	kept     Refund // by the journal, where a story needs it
}

func atCounter(t *testing.T, wish RefundWish) *counter {
	c := &counter{t: t, now: beginning}
	c.r, c.commands = NewRefund(aRefundOrder(), wish, "Amy", c.now)
	return c
}

// sends returns the call that the last event began.
func (c *counter) sends() RefundCommandKind {
	for _, command := range c.commands {
		switch command.Kind {
		case SendRefund, SendRefundList, SendRefundQuery:
			return command.Kind
		}
	}
	return ""
}

func (c *counter) hear(kind RefundEventKind, e RefundEvent) *counter {
	e.Kind, e.At, e.Call = kind, c.now, c.r.Calls
	c.r, c.commands = RefundStep(c.r, e)
	return c
}

func (c *counter) after(d time.Duration) *counter {
	c.now = c.now.Add(d)
	return c
}

// woken goes to the refund's own time.
func (c *counter) woken() *counter {
	c.now = later(c.now, c.r.WakeAt)
	return c.hear(RefundWoken, RefundEvent{})
}

func (c *counter) listed(refunds ...RefundReport) *counter {
	return c.hear(RefundListed, RefundEvent{Listed: refunds})
}

func (c *counter) answered(kind RefundOutcomeKind, code string) *counter {
	return c.hear(RefundAnswered, RefundEvent{Outcome: RefundOutcome{Kind: kind, Code: code, Refund: reportOf(c.r.RefundOrder, refundProcessing)}})
}

func (c *counter) found(truth refundTruth) *counter {
	return c.hear(RefundQueryAnswered, RefundEvent{Outcome: RefundOutcome{Kind: RefundFound, Refund: reportOf(c.r.RefundOrder, truth)}})
}

func (c *counter) absent() *counter {
	return c.hear(RefundQueryAnswered, RefundEvent{Outcome: RefundOutcome{Kind: NoSuchRefund}})
}

func (c *counter) lost() *counter {
	return c.hear(RefundCallLost, RefundEvent{Lost: Lost{Reason: ReasonTimeout}})
}

// claimedAbsent is a "no such refund" that nobody signed.
func (c *counter) claimedAbsent() *counter {
	return c.hear(RefundCallLost, RefundEvent{Lost: Lost{Reason: ReasonUnverified, Claim: NoSuchOrder, Code: "RESOURCE_NOT_EXISTS"}})
}

func (c *counter) stands(status RefundStatus, why, attention Reason) {
	c.t.Helper()
	assert.Equal(c.t, [3]string{string(status), string(why), string(attention)}, [3]string{string(c.r.Status), string(c.r.Why), string(c.r.Attention)})
}

func TestARefundIsTakenOnAndAskedAboutUntilTheMoneyIsBack(t *testing.T) {
	c := atCounter(t, WishPerson)
	assert.Equal(t, SendRefundList, c.sends(), "who else has refunded is asked first")
	c.listed()
	require.Equal(t, SendRefund, c.sends())
	c.answered(RefundAccepted, "").stands(RefundProcessing, ReasonRefundProcessing, "")
	began := c.now
	for range 6 {
		c.woken().found(refundProcessing).stands(RefundProcessing, ReasonRefundProcessing, "")
	}
	assert.Less(t, c.now.Sub(began), 5*time.Minute, "somebody may be waiting")
	for range 30 {
		c.woken().found(refundProcessing)
	}
	assert.Greater(t, c.now.Sub(began), 24*time.Hour, "a bank takes days")
	c.woken().found(refundSuccess).stands(RefundDone, ReasonRefundDone, "")
	assert.Equal(t, 1, c.r.Requests)
}

func TestALostRequestIsAskedForByItsNumberAndMadeAgainUnderTheSame(t *testing.T) {
	c := atCounter(t, WishPerson)
	number := c.r.OutRefundNo
	c.listed().after(10 * time.Second).lost()
	assert.Equal(t, SendRefundQuery, c.sends())
	c.stands(RefundRequested, ReasonRefundUnknown, "")
	c.absent()
	assert.Empty(t, c.sends(), "a minute between two requests")
	assert.Equal(t, c.now.Add(time.Minute), c.r.WakeAt)
	c.woken()
	assert.Equal(t, SendRefundQuery, c.sends(), "and before the second one it is asked once more")
	c.absent()
	assert.Equal(t, SendRefundList, c.sends())
	c.listed()
	assert.Equal(t, SendRefund, c.sends())
	assert.Equal(t, number, c.r.OutRefundNo)
	c.answered(RefundAccepted, "").woken().found(refundSuccess).stands(RefundDone, ReasonRefundDone, "")
}

// Where no error is ever signed, a request that was lost is made again all the same: the list of the order's refunds is signed.
func TestALostRequestIsMadeAgainThoughNoSuchRefundIsNeverSigned(t *testing.T) {
	c := atCounter(t, WishPerson).listed()
	c.after(6 * time.Second).lost()
	require.Equal(t, SendRefundQuery, c.sends(), "asked about at once")
	c.claimedAbsent()
	assert.Empty(t, c.sends())
	assert.Equal(t, RefundGap, c.r.WakeAt.Sub(c.now), "and asked for again no sooner than a minute after")
	c.woken().claimedAbsent()
	require.Equal(t, SendRefundList, c.sends(), "what is not signed lets nothing go: the list does")
	no := c.r.OutRefundNo
	c.listed()
	require.Equal(t, SendRefund, c.sends())
	assert.Equal(t, no, c.r.OutRefundNo, "the same request")
	c.answered(RefundAccepted, "").stands(RefundProcessing, ReasonRefundProcessing, "")

	c = atCounter(t, WishPerson).listed().lost()
	c.claimedAbsent().woken().claimedAbsent().listed(reportOf(c.r.RefundOrder, refundProcessing))
	assert.Empty(t, c.sends(), "the list holds it: the lost request had arrived")
	c.stands(RefundProcessing, ReasonRefundProcessing, "")

	c.woken().claimedAbsent().stands(RefundProcessing, ReasonRefundProcessing, "") // an unsigned word does not make it vanish
}

func TestAnUnsignedNoSuchRefundEndsNothing(t *testing.T) {
	c := atCounter(t, WishPerson).listed().answered(RefundDeclined, "NOTENOUGH")
	require.Equal(t, SendRefundQuery, c.sends())
	for range 5 {
		c.claimedAbsent().stands(RefundRequested, ReasonRefundChecking, "")
		c.woken()
	}
	c.absent().stands(RefundRefused, ReasonRefundNoFunds, AttentionRefundRefused)
}

// How long a refund waits before a person is told ends whatever the PC's clock does: it is counted by the processes.
func TestAPersonIsToldOfALongWaitWhateverTheClockSays(t *testing.T) {
	set := map[string]func(*counter){
		"right": func(*counter) {}, "stands at 1970": func(c *counter) { c.now = time.Unix(0, 0) }, "goes back": func(c *counter) { c.after(-300 * time.Hour) },
		"goes on": func(c *counter) { c.after(20000 * time.Hour) },
	}
	for name, clock := range set {
		t.Run(name, func(t *testing.T) {
			c, used := atCounter(t, WishPerson), time.Duration(0)
			for c.r.Attention == "" {
				require.Less(t, used, 40*time.Minute, "six minutes, a power cut, and so on: at least five of each are kept")
				used += c.lifeOf(6*time.Minute, 3*time.Second)
				clock(c)
				c.restarted()
			}
			assert.Greater(t, used, 11*time.Minute, "but not too soon")
			c.stands(RefundRequested, ReasonRefundAsking, AttentionRefundUnsettled)

			c, used = atCounter(t, WishPerson).listed().answered(RefundAccepted, ""), 0
			days := 0
			for ; c.r.Attention == ""; days++ {
				require.Less(t, days, 27, "ten hours a day come to ten days")
				used += c.lifeOf(10*time.Hour, 3*time.Second)
				clock(c)
				c.after(14 * time.Hour).restarted()
			}
			assert.GreaterOrEqual(t, days, 7, "but not too soon")
			c.stands(RefundProcessing, ReasonRefundProcessing, AttentionRefundSlow)
		})
	}
}

// lifeOf lives on for a time in which nothing is answered, then forgets what the journal did not keep, and returns how long it was.
func (c *counter) lifeOf(d, lost time.Duration) time.Duration {
	began := c.now
	for c.now.Sub(began) < d {
		before := c.r
		if c.r.Call != NoRefundCall {
			c.after(lost).lost()
		} else {
			c.woken()
		}
		if RefundDurable(before, c.r) {
			c.kept = c.r
		}
	}
	return c.now.Sub(began)
}

// restarted starts anew from what the journal kept.
func (c *counter) restarted() {
	if c.kept.OutRefundNo != "" {
		c.r = c.kept
	}
	c.hear(RefundRestarted, RefundEvent{})
}

func TestARefusalAfterARestartNeedsAPersonWhateverTheClockSays(t *testing.T) {
	c := atCounter(t, WishPerson).after(-50 * 365 * 24 * time.Hour)
	c.restarted()
	c.hear(RefundListed, RefundEvent{Held: 1250}).stands(RefundRefused, ReasonRefundExceeds, AttentionRefundRefused)
}

func TestAFoundRefundIsNotAskedForAgain(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed().lost().found(refundProcessing).stands(RefundProcessing, ReasonRefundProcessing, "")
	assert.Equal(t, 1, c.r.Requests)
}

func TestARefusalIsBelievedAfterAQuery(t *testing.T) {
	for code, why := range map[string]Reason{"NOTENOUGH": ReasonRefundNoFunds, "USERACCOUNTABNORMAL": ReasonRefundAccount, "TRADEOVERDUE": ReasonRefundOverdue,
		"NOAUTH": ReasonRefundConfiguration, "ERROR": ReasonRefundDeclined} {
		c := atCounter(t, WishPerson)
		c.listed().answered(RefundDeclined, code).stands(RefundRequested, ReasonRefundChecking, "")
		assert.Equal(t, SendRefundQuery, c.sends())
		c.absent().stands(RefundRefused, why, "")
	}
	c := atCounter(t, WishPerson)
	c.listed().answered(RefundDeclined, "ERROR").found(refundProcessing).stands(RefundProcessing, ReasonRefundProcessing, "")
	assert.Empty(t, c.r.Refusal, "a refusal that the query does not bear out is none")
}

func TestARefusalOfARepeatSaysNothingOfTheFirst(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed().lost().absent().woken().absent().listed()
	lostAt := c.now.Add(-time.Minute)
	c.answered(RefundDeclined, "NOTENOUGH").absent().stands(RefundRequested, ReasonRefundChecking, "")
	for c.r.Open() {
		require.Less(t, c.now.Sub(lostAt), RefundRequestLife+time.Second)
		c.woken().absent()
	}
	assert.GreaterOrEqual(t, c.now.Sub(lostAt), RefundRequestLife, "the first request may arrive late")
	c.stands(RefundRefused, ReasonRefundNoFunds, AttentionRefundRefused)
}

func TestABusyWeChatPayIsAskedForTheSameRefundLater(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed()
	for _, pause := range []time.Duration{1, 2, 4, 8, 15, 15} {
		c.answered(RefundLater, "INVALIDREQTOOMUCH").stands(RefundRequested, ReasonRefundBusy, c.r.Attention)
		assert.Equal(t, c.now.Add(pause*time.Minute), c.r.WakeAt)
		c.woken().absent().listed()
		require.Equal(t, SendRefund, c.sends())
	}
	assert.Equal(t, 7, c.r.Requests)
}

func TestWhatOthersHaveRefundedIsCounted(t *testing.T) {
	of := func(minor int64, state RefundState) RefundReport {
		return RefundReport{RefundID: "W9", OutRefundNo: "ELSEWHERE", OutTradeNo: anOrder().OutTradeNo, State: state, Amount: Amount{Minor: minor, Currency: "HKD"}}
	}
	for name, row := range map[string]struct {
		others []RefundReport
		wish   RefundWish
		why    Reason // of the refusal; "": it is asked for
	}{
		"room":                              {[]RefundReport{of(750, RefundStateSuccess)}, WishPerson, ""},
		"none":                              {[]RefundReport{of(751, RefundStateSuccess)}, WishPerson, ReasonRefundExceeds},
		"none, on its way":                  {[]RefundReport{of(751, RefundStateProcessing)}, WishPerson, ReasonRefundExceeds},
		"none, by an abnormal one":          {[]RefundReport{of(751, RefundStateAbnormal)}, WishPerson, ReasonRefundExceeds},
		"none, by a state of later":         {[]RefundReport{of(751, "SOMETHING")}, WishPerson, ReasonRefundExceeds},
		"a closed one holds nothing":        {[]RefundReport{of(1250, RefundStateClosed)}, WishPerson, ""},
		"where one failed a person decides": {[]RefundReport{of(100, RefundStateClosed)}, WishLateSuccess, ReasonRefundOthersFailed},
		"posagent's own, with room":         {[]RefundReport{of(750, RefundStateSuccess)}, WishReverseTooLate, ""},
	} {
		c := atCounter(t, row.wish)
		c.listed(row.others...)
		if row.why == "" {
			assert.Equal(t, SendRefund, c.sends(), name)
			continue
		}
		assert.Empty(t, c.sends(), name)
		assert.Equal(t, row.why, c.r.Why, name)
		assert.Equal(t, RefundRefused, c.r.Status, name)
		assert.Equal(t, row.wish.Automatic(), c.r.Attention != "", "%s: nobody waits for the answer of a wish that is posagent's own", name)
	}
	fifty := make([]RefundReport, RefundsMax)
	for i := range fifty {
		fifty[i] = of(1, RefundStateSuccess)
		fifty[i].OutRefundNo, fifty[i].RefundID = OutRefundNo(rune('a'+i)), RefundID(rune('a'+i))
	}
	c := atCounter(t, WishPerson)
	c.listed(fifty...).stands(RefundRefused, ReasonRefundTooMany, "")
}

// The journal lost a refund, and its key was used again for another amount: the number is that refund's for good. Asked about for ever, it would keep from the
// payment what it can never give back, and nobody could end it.
func TestARefundWhoseNumberIsThatOfAnotherAmountIsRefused(t *testing.T) {
	taken := reportOf(aRefundOrder(), refundSuccess)
	taken.Amount.Minor--
	c := atCounter(t, WishPerson)
	c.listed(taken).stands(RefundRefused, ReasonRefundNumberInUse, "")
	assert.Empty(t, c.sends())

	taken = reportOf(aRefundOrder(), refundSuccess)
	taken.Amount.Currency = "MOP"
	c = atCounter(t, WishPerson)
	c.listed(taken).stands(RefundRequested, ReasonRefundNumberInUse, "") // a list that can't be says nothing

	c = atCounter(t, WishPerson)
	taken = reportOf(aRefundOrder(), refundSuccess)
	taken.Amount.Minor--
	c.listed().lost().absent().woken().absent().listed(taken)
	c.stands(RefundRequested, ReasonRefundNumberInUse, "") // one that was asked for may be taken on yet
}

func TestARefundBesideOneThatTheJournalLostIsAPersonsWork(t *testing.T) {
	beside := []RefundReport{{RefundID: "W9", OutRefundNo: NewOutRefundNo(anOrder().OutTradeNo, WishPerson, "lost"), OutTradeNo: anOrder().OutTradeNo, State: RefundStateSuccess, Amount: Amount{Minor: 100, Currency: "HKD"}}}
	assert.True(t, beside[0].OutRefundNo.Of(anOrder().OutTradeNo))
	assert.False(t, OutRefundNo("5030000").Of(anOrder().OutTradeNo))

	c := atCounter(t, WishPerson)
	c.hear(RefundListed, RefundEvent{Listed: beside, Forgotten: true}).stands(RefundRefused, ReasonRefundForgotten, "")
	assert.Empty(t, c.sends())

	c = atCounter(t, WishReverseTooLate) // the money has to go back, and there is room for it
	c.hear(RefundListed, RefundEvent{Listed: beside, Forgotten: true})
	assert.Equal(t, SendRefund, c.sends())

	c = atCounter(t, WishPerson) // sent already: it may be taken on, and is asked for on
	c.listed().lost().absent().woken().absent()
	c.hear(RefundListed, RefundEvent{Listed: beside, Forgotten: true})
	assert.Equal(t, RefundRequested, c.r.Status)
	assert.Equal(t, SendRefund, c.sends())
}

func TestAGivenUpRefundIsAPersonsWorkAndBringsNoNewOne(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed().answered(RefundAccepted, "").woken().found(refundClosed).stands(RefundRefused, ReasonRefundClosed, AttentionRefundClosed)
	assert.Empty(t, c.sends())
	before := c.r
	c.woken()
	assert.Equal(t, before, c.r)
	c.hear(RefundSeen, RefundEvent{Operator: "Bo", Note: "paid in cash"}).stands(RefundRefused, ReasonRefundClosed, "")
	assert.Equal(t, SetAside{At: c.now, Operator: "Bo", Note: "paid in cash"}, c.r.Seen)
}

func TestAnAbnormalRefundIsAPersonsWorkAndAskedAboutOn(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed().answered(RefundAccepted, "").woken().found(refundAbnormal).stands(RefundAbnormal, AttentionRefundAbnormal, AttentionRefundAbnormal)
	c.woken().found(refundAbnormal).woken().found(refundProcessing).stands(RefundProcessing, ReasonRefundProcessing, AttentionRefundAbnormal)
	c.woken().found(refundSuccess).stands(RefundDone, ReasonRefundDone, "")
	assert.Equal(t, 1, c.r.Requests)
}

func TestANotificationOnlyMakesUsAsk(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed().answered(RefundAccepted, "")
	for range 12 {
		c.woken().found(refundProcessing)
	}
	c.after(time.Minute).hear(RefundNoticed, RefundEvent{})
	assert.Equal(t, SendRefundQuery, c.sends())
	c.stands(RefundProcessing, ReasonRefundProcessing, "")
	c.hear(RefundNoticed, RefundEvent{})
	assert.Empty(t, c.sends(), "one call at a time")
	c.found(refundProcessing)
	assert.Equal(t, c.now.Add(5*time.Second), c.r.WakeAt, "and soon again, because something has happened")
}

func TestAPowerCutBetweenTheRecordAndTheRequest(t *testing.T) {
	c := atCounter(t, WishPerson)
	c.listed()
	require.True(t, c.r.MayArrive)
	c.after(time.Hour).hear(RefundRestarted, RefundEvent{})
	assert.Equal(t, SendRefundQuery, c.sends(), "asked before anything is decided")
	c.absent().woken().absent().listed()
	assert.Equal(t, SendRefund, c.sends())
	assert.Equal(t, aRefundOrder(), c.r.RefundOrder)
}

func TestRefundNumbersAreOfTheWish(t *testing.T) {
	no := OutTradeNo("SZTX001XXXXXT1AA260302000AZZZZZ9") // as long as they come
	seen := map[OutRefundNo]bool{}
	for _, number := range []OutRefundNo{
		NewOutRefundNo(no, WishPerson, "k1"), NewOutRefundNo(no, WishPerson, "k2"), NewOutRefundNo(no, WishLateSuccess, "k1"), NewOutRefundNo(no, WishReverseTooLate, "k1"),
		NewOutRefundNo("T1", WishPerson, "k1"),
	} {
		assert.LessOrEqual(t, len(number), RefundNoMax)
		assert.Regexp(t, `^[0-9A-Z]+-[0-9A-Z]+$`, string(number))
		assert.False(t, seen[number])
		seen[number] = true
	}
	assert.Equal(t, NewOutRefundNo(no, WishPerson, "k1"), NewOutRefundNo(no, WishPerson, "k1"), "also in a journal that knows nothing of the first")
	assert.Equal(t, NewOutRefundNo(no, WishLateSuccess, "a"), NewOutRefundNo(no, WishLateSuccess, "b"), "one order has one late success")
}

func TestRefundReasonsAreToldApart(t *testing.T) {
	seen := map[Reason]bool{}
	for _, r := range append(RefundReasons(), Reasons()...) {
		assert.False(t, seen[r], string(r))
		seen[r] = true
	}
}

// Whatever happens to a refund, in whatever order: no panic, one number, no request without the list and the query, an end only on
// WeChat Pay's word, and never forgotten.
func FuzzRefundStep(f *testing.F) {
	f.Add([]byte{0, 0, 3, 0, 255, 0, 8, 0})
	f.Add([]byte{0, 0, 1, 1, 7, 60, 255, 0, 7, 0, 0, 0, 4, 0, 7, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		wish := WishPerson
		if len(input)%2 == 1 {
			wish = WishReverseTooLate
		}
		c := atCounter(t, wish)
		for i := 0; i+1 < len(input) && i < 400; i += 2 {
			c.after(time.Duration(input[i+1]) * time.Duration(input[i+1]) * time.Second)
			before := c.r
			c.fuzzed(input[i])
			require.Equal(t, before.RefundOrder, c.r.RefundOrder)
			if before.Status.Final() {
				require.Equal(t, before.Status, c.r.Status, "I5")
				require.Empty(t, c.sends(), "I5")
			}
			require.True(t, c.r.Status.Final() || c.r.Call != NoRefundCall || !c.r.WakeAt.IsZero(), "I6")
			if c.sends() == SendRefund {
				require.Equal(t, RefundListCall, before.Call)
				require.Equal(t, RefundRequested, c.r.Status)
				require.True(t, c.r.MayArrive)
			}
			require.False(t, c.r.Status == RefundDone && c.r.Report.State != RefundStateSuccess)
		}
	})
}

// fuzzed is one event by a byte.
func (c *counter) fuzzed(b byte) {
	truths := []refundTruth{refundProcessing, refundSuccess, refundClosed, refundAbnormal}
	switch truth := truths[int(b/16)%4]; b % 16 {
	case 0:
		c.listed()
	case 1:
		c.lost()
	case 2:
		c.listed(RefundReport{RefundID: "W9", OutRefundNo: "ELSEWHERE", State: refundTruthStates[truth], Amount: Amount{Minor: int64(b) * 9, Currency: "HKD"}})
	case 3:
		c.answered(RefundAccepted, "")
	case 4:
		c.answered(RefundDeclined, "NOTENOUGH")
	case 5:
		c.answered(RefundLater, "")
	case 6:
		c.listed(reportOf(c.r.RefundOrder, truth))
	case 7:
		c.absent()
	case 8, 9:
		c.found(truth)
	case 10:
		c.hear(RefundNoticed, RefundEvent{})
	case 11:
		c.hear(RefundRestarted, RefundEvent{})
	case 12:
		c.hear(RefundSeen, RefundEvent{Operator: "Bo"})
	case 13:
		c.hear(RefundQueryAnswered, RefundEvent{Outcome: RefundOutcome{Kind: RefundFound, Refund: RefundReport{OutRefundNo: "X", State: RefundStateSuccess}}})
	default:
		c.woken()
	}
}
