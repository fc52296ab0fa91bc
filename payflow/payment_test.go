package payflow

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestArmedPaymentWaitsForAScan(t *testing.T) {
	p, commands := anArmed(DefaultTiming())
	assert.Equal(t, Waiting, p.Status)
	assert.Equal(t, []Command{{Kind: Wake, At: beginning.Add(90 * time.Second)}, {Kind: Announce}}, commands)
	assert.True(t, p.Open() && p.HoldsTill() && p.LocksSale())
	assert.False(t, p.SaleMayUseOtherMeans() || p.CodeSpent || p.MayBeSetAside(beginning.Add(time.Hour)))
	assert.Zero(t, p.DeadAt())
}

// What the till may do in each status: other means, and another payment of the same sale.
func TestWhatASaleMayDo(t *testing.T) {
	for status, want := range map[Status]struct{ otherMeans, locked, final bool }{
		Waiting: {false, true, false}, Paying: {false, true, false}, Confirming: {false, true, false}, Reversing: {true, true, false},
		Paid: {false, true, true}, Declined: {true, false, true}, Reversed: {true, false, true}, Cancelled: {true, false, true},
	} {
		p := Payment{Status: status}
		assert.Equal(t, want.otherMeans, p.SaleMayUseOtherMeans(), status)
		assert.Equal(t, want.locked, p.LocksSale(), status)
		assert.Equal(t, want.final, status.Final(), status)
	}
	assert.Len(t, Statuses(), 8)
	strange := Payment{Status: Confirming, Stranger: Another}
	assert.True(t, strange.SaleMayUseOtherMeans() && !strange.LocksSale(), "another till's order can't have charged this sale")
	doubtful := Payment{Status: Confirming, Stranger: Unclaimed}
	assert.True(t, !doubtful.SaleMayUseOtherMeans() && doubtful.LocksSale(), "a doubtful one may have")
	refunded := Payment{Status: Confirming, MoneySeen: true, Trade: Trade{State: TradeRefund, Refunds: RefundSum{Known: true, Done: 1}}}
	assert.True(t, !refunded.SaleMayUseOtherMeans() && refunded.LocksSale(), "a refund that is seen frees nothing before the one-way door")
	aside := Payment{Status: Confirming, SetAside: SetAside{At: beginning}}
	assert.True(t, aside.LocksSale() && !aside.HoldsTill(), "set aside frees the till, never the sale")
}

// Polling writes nothing; a change of status, flag or right does.
func TestWhatIsWorthACommit(t *testing.T) {
	before := Payment{Status: Confirming, Reason: ReasonUnknown}
	for name, change := range map[string]func(*Payment){
		"queries": func(p *Payment) { p.Queries++ }, "calls": func(p *Payment) { p.Calls++; p.Call = QueryCall }, "times": func(p *Payment) { p.WakeAt = beginning },
		"the reason on the screen": func(p *Payment) { p.Reason = ReasonPassword }, "slower": func(p *Payment) { p.Slowness = time.Minute },
		"another reverse": func(p *Payment) { p.Reverses++; p.DeadReverse = true },
	} {
		after := before
		change(&after)
		assert.False(t, Durable(before, after), name)
	}
	for name, change := range map[string]func(*Payment){
		"status": func(p *Payment) { p.Status = Reversing }, "attention": func(p *Payment) { p.Attention = AttentionMismatch },
		"stranger": func(p *Payment) { p.Stranger = Another }, "refusal": func(p *Payment) { p.Refusal.Kind = Refused }, "cancel": func(p *Payment) { p.CancelAsked = true },
		"set aside": func(p *Payment) { p.SetAside.At = beginning }, "code": func(p *Payment) { p.CodeHash = "h" }, "too late": func(p *Payment) { p.ReverseTooLate = true },
		"an old start": func(p *Payment) { p.OldStarts++ }, "money seen": func(p *Payment) { p.MoneySeen = true }, "in a hurry": func(p *Payment) { p.Hurry = true },
		"WeChat Pay's number": func(p *Payment) { p.Trade.TransactionID = "42" },
	} {
		after := before
		change(&after)
		assert.True(t, Durable(before, after), name)
	}
}

// Step works on a copy: a failed commit leaves the engine with the payment that it had.
func TestStepChangesNoInput(t *testing.T) {
	p, _ := anArmed(DefaultTiming())
	held := p
	Step(p, Event{Kind: CodeScanned, At: beginning, Code: aCode()})
	assert.Equal(t, held, p)
}

func TestBrokenInvariantsPanicInWords(t *testing.T) {
	assert.PanicsWithValue(t, "payflow: paid after the decision to reverse", func() {
		table := answerTable{whileReversing: {seenOurs: becomePaid}}
		p := Payment{Order: anOrder(), Status: Reversing, Call: QueryCall, Calls: 3, Timing: DefaultTiming()}
		step(p, Event{Kind: QueryAnswered, Call: 3, At: beginning, Outcome: Outcome{Kind: Found, Trade: aTrade(p.Order, TradeSuccess, straight)}}, table)
	})
	assert.PanicsWithValue(t, "payflow: an open payment has neither a call in flight nor a wake time", func() {
		Step(Payment{Status: Confirming}, Event{Kind: Expired, At: beginning})
	})
}

func ExampleStep() {
	p, _ := Arm(anOrder(), DefaultTiming(), beginning)
	code, _ := ParseAuthCode("134567890123454321", "", nil)

	p, commands := Step(p, Event{Kind: CodeScanned, At: beginning.Add(5 * time.Second), Code: code})
	fmt.Println(p.Status, commands[0].Kind, commands[0].Code)

	p, commands = Step(p, Event{Kind: CallLost, Call: p.Calls, At: beginning.Add(17 * time.Second), Lost: Lost{Reason: ReasonTimeout}})
	fmt.Println(p.Status, commands[0].Kind)

	answer := Trade{State: TradeSuccess, OutTradeNo: p.OutTradeNo, Amount: p.Amount, Attach: string(p.Tag),
		MerchantID: p.Merchant.MerchantID, SubMerchantID: p.Merchant.SubMerchantID}
	p, commands = Step(p, Event{Kind: QueryAnswered, Call: p.Calls, At: beginning.Add(18 * time.Second), Outcome: Outcome{Kind: Found, Trade: answer}})
	fmt.Println(p.Status, p.Proof, commands[0].Kind)
	// Output:
	// paying send_pay **************4321
	// confirming send_query
	// paid signed announce
}
