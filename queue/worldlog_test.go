package queue

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"posagent/payflow"
)

// worldKind names what a line of a world's log tells.
type worldKind string

// The kinds. Sent to ended are the till's side of a call, arrived and money are WeChat Pay's; durable is what the disk holds, read from it and
// not told by the engine; shown and told are what people and the till software see.
const (
	worldBooted    worldKind = "booted"        // Open, NonFinal, Untold, Owed: what the start found
	worldArmed     worldKind = "armed"         // the till software was answered: Key, Sale, No
	worldScanned   worldKind = "scanned"       // a code was taken: Code, No
	worldSent      worldKind = "sent"          // the first byte of a call left: Call, Ask, No, Record
	worldArrived   worldKind = "arrived"       // at WeChat Pay: Call, Ask, No, Code
	worldMoney     worldKind = "money"         // what WeChat Pay holds for our order has changed: No, Net, State
	worldEnded     worldKind = "ended"         // the till has the answer, or gave up: Call, Ask, No, Answer
	worldDurable   worldKind = "durable"       // a commit is on disk: No, Event, Record
	worldFailed    worldKind = "commit failed" // the engine was told that a commit failed
	worldShown     worldKind = "shown"         // on the screen: No, Record (status and version)
	worldTold      worldKind = "told"          // to the till software: No, Record
	worldAsked     worldKind = "asked"         // a person's wish was taken: Text is cancel, set aside or acknowledge
	worldPowerCut  worldKind = "power cut"
	worldStopped   worldKind = "stopped" // the engine's process ended by itself: Text says why
	worldAsserted  worldKind = "assert"  // it ended by one of its own asserts
	worldClockSet  worldKind = "clock set"
	worldFaultless worldKind = "healed"
	worldOver      worldKind = "over"
	worldFound     worldKind = "found" // on the disk: Text begins with the invariant that it breaks
	worldNoted     worldKind = "note"  // for the reader only
)

// worldLine is one line of a world's log. Only the fields of its kind are set.
type worldLine struct {
	At   time.Duration // true time since the world began
	Kind worldKind
	Boot int // the start of the till that it is about, from 1; of money and arrivals zero

	No   payflow.OutTradeNo
	Sale int // number of the sale, from 1
	Key  string
	Code int // which payment code, never its digits

	Call int // number of the call, counted over the whole world
	Ask  payflow.CallKind

	Event  string      // of the journal
	Record worldRecord // what is on disk, or what was shown
	Answer worldAnswer
	// Refund is the refund that the line is about, Refunds what the disk holds of all.
	Refund  payflow.OutRefundNo
	Refunds []worldRefund
	Net     int64 // minor units that WeChat Pay holds for our order
	State   payflow.TradeState

	Open, NonFinal []payflow.OutTradeNo // the open index, and the payments that are not final
	Untold, Owed   []payflow.OutTradeNo // the list of results that nobody has acknowledged, and those that must be on it

	Text string
}

// worldRecord is what is on disk of a payment, or what a screen shows of it.
type worldRecord struct {
	There     bool
	Status    payflow.Status
	Attention payflow.Reason
	Reason    payflow.Reason
	Amount    payflow.Amount
	Merchant  string
	Proof     payflow.Proof
	Told      bool // acknowledged
	Money     bool // an answer has shown the money taken
	Aside     bool
	Late      payflow.LateStage // what became of it after its end
	LateMoney bool              // money that turned up after its end was seen
}

func recordOf(e *payflow.Entry) worldRecord {
	return worldRecord{
		There: true, Status: e.Status, Attention: e.Attention, Reason: e.Reason, Amount: e.Amount, Merchant: e.Merchant.MerchantID, Proof: e.Proof,
		Told: !e.Acknowledged.At.IsZero(), Money: e.MoneySeen, Aside: !e.SetAside.At.IsZero(),
		Late: e.Late.Stage, LateMoney: learntOfMoney(e.Links),
	}
}

// worldAnswer is how a call ended at the till, by what really came, not by what was made of it.
type worldAnswer struct {
	Verified bool // signed, and the signature holds
	Says     payflow.OutcomeKind
	State    payflow.TradeState // with payflow.Found
	About    payflow.OutTradeNo // the order that it names
	Ours     bool               // it carries our tag
	Tagless  bool               // it carries none
	Amount   payflow.Amount
	AllBack  bool // with REFUND: every minor unit is back
	Call     int  // the call that the answer was made for
	Refund   payflow.RefundOutcomeKind
}

// worldRefund is what the disk, or WeChat Pay, holds of a refund.
type worldRefund struct {
	Refund    payflow.OutRefundNo
	No        payflow.OutTradeNo
	Minor     int64
	Status    payflow.RefundStatus // on disk
	Attention bool
	State     payflow.RefundState // at WeChat Pay
}

// worldOrder is what WeChat Pay holds under a number at the end.
type worldOrder struct {
	No     payflow.OutTradeNo
	Sale   int // whose customer paid
	Others bool
	State  payflow.TradeState
	// Refund is the refund that the line is about, Refunds what the disk holds of all.
	Refund  payflow.OutRefundNo
	Refunds []worldRefund
	Net     int64 // minor units that it holds
}

// worldEntry is what is on disk of a payment at the end.
type worldEntry struct {
	No     payflow.OutTradeNo
	Sale   int
	Record worldRecord
	Untold bool // it stands on the list of results that nobody has acknowledged
	InOpen bool // it stands in the open index
}

// worldLog is the world's own record, with true times.
type worldLog struct {
	mu    sync.Mutex // guards lines
	began time.Time
	lines []worldLine
}

func (l *worldLog) now() time.Duration { return time.Since(l.began) }

func (l *worldLog) add(line worldLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line.At = l.now()
	l.lines = append(l.lines, line)
}

// String is the log as a person reads it.
func (l *worldLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	for _, line := range l.lines {
		text.WriteString(line.String())
		text.WriteByte('\n')
	}
	return text.String()
}

// String is one line, without what differs between two runs of one seed.
func (l worldLine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%14s  %-13s", l.At, l.Kind)
	say := func(yes bool, format string, args ...any) {
		if yes {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	say(l.Boot != 0, "start=%d", l.Boot)
	say(l.Sale != 0, "sale=%d", l.Sale)
	say(l.No != "", "%s", l.No)
	say(l.Refund != "", "refund=%s", l.Refund)
	say(l.Key != "", "key=%s", l.Key)
	say(l.Code != 0, "code=%d", l.Code)
	say(l.Call != 0, "call=%d", l.Call)
	say(l.Ask != "", "%s", l.Ask)
	say(l.Event != "", "%s", l.Event)
	say(l.Kind == worldMoney, "net=%d %s", l.Net, l.State)
	say(l.Record.There, "%s %s", l.Record.Status, l.Record.Reason)
	say(l.Record.Attention != "", "attention=%s", l.Record.Attention)
	say(l.Record.Late != "", "late=%s", l.Record.Late)
	if l.Kind == worldEnded {
		a := l.Answer
		say(a.Says == "" && a.Refund == "", "nothing")
		say(a.Refund != "", "says=%s", a.Refund)
		say(a.Says != "", "says=%s verified=%t ours=%t", a.Says, a.Verified, a.Ours)
		say(a.Tagless, "without a tag")
		say(a.State != "", "%s", a.State)
		say(a.Call != 0 && a.Call != l.Call, "(made for call %d)", a.Call)
	}
	if l.Kind == worldBooted {
		fmt.Fprintf(&b, " open=%v untold=%v", l.Open, l.Untold)
	}
	say(l.Text != "", "%s", l.Text)
	return b.String()
}
