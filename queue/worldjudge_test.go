package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"posagent/payflow"
)

// worldBreach is an invariant that a world broke, by its name in the design.
type worldBreach struct {
	Invariant string
	At        time.Duration
	No        payflow.OutTradeNo
	Text      string
}

func (b worldBreach) String() string {
	return fmt.Sprintf("%s at %s, %s: %s", b.Invariant, b.At, b.No, b.Text)
}

// worldVerdict is what the judge makes of a world. SilentLosses counts payments whose money WeChat Pay took, and of which nobody was told.
type worldVerdict struct {
	Breaches     []worldBreach
	SilentLosses int
	Charged      int // sales whose money was taken
	Final        int // payments that are final
	Attention    int // payments that a person must look at, at the end
}

// first is the breach that came first, or none.
func (v worldVerdict) first() string {
	if len(v.Breaches) == 0 {
		return ""
	}
	return v.Breaches[0].Invariant
}

// The judge's bounds. It knows the rules' numbers by itself, and takes none from the code that it judges.
const (
	judgeGuard   = 15 * time.Second  // I3
	judgeDead    = 75 * time.Second  // L10: the code's life and a margin
	judgeHeals   = 150 * time.Second // L4
	judgeSilence = 150 * time.Second // I6: no open payment is left alone for longer
	judgeDecides = time.Second       // from an answer to the commit of what it decides
	judgeWaiting = 100 * time.Second // an armed payment that nobody scans for
)

// judgedOrder is what the judge keeps of one order number.
type judgedOrder struct {
	no     payflow.OutTradeNo
	sale   int
	status payflow.Status
	net    int64
	amount payflow.Amount

	attention   bool
	aside       bool
	reversing   bool
	final       bool
	finalAt     time.Duration
	scannedAt   time.Duration
	shownPaid   bool
	absentDead  int // "no such order" after T_dead and a verified 204
	absentSince time.Duration
	done204     bool

	payCall int
	paying  bool          // the pay call is in flight
	payEnd  time.Duration // its end, or the start after it
	payBoot int

	sent, sentBoot int // the newest call
	sentAsk        payflow.CallKind
	sentAt         time.Duration
	flying         bool

	answer    worldAnswer
	endedCall int
	endedAsk  payflow.CallKind
	endedBoot int
	endedAt   time.Duration

	late      payflow.LateStage // what the disk says of it after its end
	moneyAt   time.Duration
	asOf      time.Duration // when WeChat Pay took the newest call
	refunded  bool          // by a wish
	lateMoney bool          // WeChat Pay took it after the end
	theirs    bool          // the last verified word on whose order it is, as this start knows it
	kept      bool          // theirs, as the disk has it: a start that ends before its next commit takes what it has heard with it
	collided  bool          // verified: the number is in use, so that what carries no tag is nobody's
	wasHeard  bool          // collided, as the disk has it
	moneySeen bool
	acted     time.Duration // of the last thing that the till did about it
}

// worldJudge reads a world's log from its beginning to its end, beside what WeChat Pay and the disk hold at the end.
type worldJudge struct {
	script  *worldScript
	orders  map[payflow.OutTradeNo]*judgedOrder
	inTurn  []payflow.OutTradeNo
	keys    map[string]payflow.OutTradeNo
	codes   map[int]payflow.OutTradeNo
	failed  map[int]bool
	boots   []time.Duration // starts
	up      bool
	now     time.Duration
	over    time.Duration
	late    time.Duration // end of the last call that a fault may have held up
	found   []worldLine
	wishes  map[payflow.OutTradeNo]map[string]payflow.OutRefundNo // key → refund
	refunds []worldRefund                                         // on disk at the end
	result  worldVerdict
}

// judgeWorld returns which invariants a world broke, in the order in which they were broken.
// refunds are those that WeChat Pay holds at the end.
func judgeWorld(script *worldScript, lines []worldLine, orders []worldOrder, ends []worldEntry, refunds ...worldRefund) worldVerdict {
	j := &worldJudge{script: script, orders: map[payflow.OutTradeNo]*judgedOrder{}, keys: map[string]payflow.OutTradeNo{},
		codes: map[int]payflow.OutTradeNo{}, failed: map[int]bool{}, wishes: map[payflow.OutTradeNo]map[string]payflow.OutRefundNo{}}
	for i := range lines {
		j.now = lines[i].At
		j.hear(&lines[i])
	}
	j.end(orders, ends)
	j.judgeRefunds(j.refunds, refunds)
	return j.result
}

func (j *worldJudge) breach(invariant string, no payflow.OutTradeNo, format string, args ...any) {
	if len(j.result.Breaches) < 20 {
		j.result.Breaches = append(j.result.Breaches, worldBreach{invariant, j.now, no, fmt.Sprintf(format, args...)})
	}
}

func (j *worldJudge) order(no payflow.OutTradeNo) *judgedOrder {
	o, ok := j.orders[no]
	if !ok {
		o = &judgedOrder{no: no}
		j.orders[no] = o
		j.inTurn = append(j.inTurn, no)
	}
	return o
}

func (j *worldJudge) hear(l *worldLine) {
	if l.aboutRefund() {
		if l.Kind == worldSent {
			j.refundSent(l)
		}
		return
	}
	switch l.Kind {
	case worldAsked:
		j.wishHeard(l)
	case worldNoted:
		if l.Refunds != nil {
			j.refunds = l.Refunds
		}
	case worldBooted:
		j.booted(l)
	case worldArmed:
		j.armed(l)
	case worldSent:
		j.sent(j.order(l.No), l)
	case worldArrived:
		if o := j.order(l.No); o.sent == l.Call {
			o.asOf = l.At
		}
	case worldMoney:
		j.money(j.order(l.No), l)
	case worldEnded:
		j.ended(j.order(l.No), l)
	case worldDurable:
		j.durable(j.order(l.No), l)
	case worldFailed:
		j.failed[l.Boot] = true
	case worldShown, worldTold:
		j.seen(j.order(l.No), l)
	case worldPowerCut, worldStopped:
		j.down()
	case worldOver:
		j.over = l.At
		j.down()
	case worldFound:
		j.found = append(j.found, *l)
	case worldAsserted:
		j.breach("assert", l.No, "%s", l.Text)
		j.down()
	}
}

// booted: rule 11, and what I6 and I8 say of a start.
func (j *worldJudge) booted(l *worldLine) {
	j.boots, j.up = append(j.boots, l.At), true
	for _, o := range j.orders {
		o.flying, o.acted, o.theirs, o.collided = false, l.At, o.kept, o.wasHeard
		o.done204, o.absentDead = false, 0
		if o.payCall != 0 {
			o.paying, o.payEnd, o.payBoot = false, l.At, l.Boot
		}
	}
	if !slices.Equal(l.Open, l.NonFinal) {
		j.breach("I6", "", "the open index holds %v, not final are %v", l.Open, l.NonFinal)
	}
	if !slices.Equal(l.Untold, l.Owed) {
		j.breach("I8", "", "the list of what nobody has heard holds %v, and should hold %v", l.Untold, l.Owed)
	}
}

// down: whatever was open when the till went down must not have been left alone before.
func (j *worldJudge) down() {
	if !j.up {
		return
	}
	j.up = false
	for _, no := range j.inTurn {
		j.notForgotten(j.orders[no])
	}
}

// notForgotten is I6 while a till is up.
func (j *worldJudge) notForgotten(o *judgedOrder) {
	switch alone := j.now - o.acted; {
	case o.status == "" || o.final && o.late.Over():
	case o.final && alone > judgeSilence:
		j.breach("I6", o.no, "%s, its late check is %s, and nothing was done for %s", o.status, o.late, alone)
	case o.final:
	case o.status == payflow.Waiting && alone > judgeWaiting:
		j.breach("I6", o.no, "armed, and forgotten for %s", alone)
	case o.status != payflow.Waiting && alone > judgeSilence:
		j.breach("I6", o.no, "%s, and nothing was done for %s", o.status, alone)
	}
}

// armed: the same key is the same payment.
func (j *worldJudge) armed(l *worldLine) {
	before, ok := j.keys[l.Key]
	if j.failed[l.Boot] && !ok {
		j.breach("I9", l.No, "armed after a commit failed")
	}
	if ok && before != l.No {
		j.breach("I7", l.No, "the key %s has made payment %s already", l.Key, before)
	}
	j.keys[l.Key] = l.No
}

func (j *worldJudge) sent(o *judgedOrder, l *worldLine) {
	j.notForgotten(o)
	switch {
	case j.failed[l.Boot]:
		j.breach("I12", o.no, "%s was sent after a commit failed", l.Ask)
	case l.Ask == payflow.PayCall && o.payCall != 0:
		j.breach("I2", o.no, "a second pay call under one number")
	case o.flying && o.sentBoot == l.Boot:
		j.breach("L13", o.no, "%s was sent while call %d is in flight", l.Ask, o.sent)
	}
	switch l.Ask {
	case payflow.PayCall:
		j.paySent(o, l)
	case payflow.ReverseCall:
		j.reverseSent(o, l)
	}
	o.sent, o.sentBoot, o.sentAsk, o.sentAt, o.flying, o.acted = l.Call, l.Boot, l.Ask, l.At, true, l.At
}

// paySent: I1 and I2.
func (j *worldJudge) paySent(o *judgedOrder, l *worldLine) {
	if before, ok := j.codes[l.Code]; ok && before != o.no {
		j.breach("I2", o.no, "the code was sent for %s before", before)
	}
	j.codes[l.Code] = o.no
	if !l.Record.There || l.Record.Status != payflow.Paying || l.Record.Amount.Minor != l.Net {
		j.breach("I1", o.no, "pay of %d left while the disk says %q, %d", l.Net, l.Record.Status, l.Record.Amount.Minor)
	}
	o.payCall, o.paying, o.payBoot = l.Call, true, l.Boot
}

// reverseSent: I1, I3 and rule 3.
func (j *worldJudge) reverseSent(o *judgedOrder, l *worldLine) {
	if !l.Record.There || l.Record.Status != payflow.Reversing && l.Record.Late != payflow.LateTakingBack {
		j.breach("I1", o.no, "a reverse left while the disk says %q", l.Record.Status)
	}
	if o.paying || l.At-o.payEnd < judgeGuard {
		j.breach("I3", o.no, "a reverse left %s after the end of the pay call", l.At-o.payEnd)
	}
	if o.theirs {
		j.breach("rule 3", o.no, "a reverse of an order that is another's")
	}
	o.done204, o.absentDead = false, 0
}

// ended keeps what really came.
func (j *worldJudge) ended(o *judgedOrder, l *worldLine) {
	if l.Call == o.sent {
		o.flying = false
	}
	o.acted = l.At
	if !j.script.healed(o.sentAt) {
		j.late = l.At
	}
	a := l.Answer
	o.answer, o.endedCall, o.endedAsk, o.endedBoot, o.endedAt = a, l.Call, l.Ask, l.Boot, l.At
	dead := o.sentAt >= o.payEnd+judgeDead
	if l.Ask == payflow.PayCall {
		o.paying, o.payEnd = false, l.At
	}
	if l.Ask == payflow.ReverseCall {
		o.done204 = a.Verified && a.Says == payflow.ReverseDone && dead
	}
	if a.Says == payflow.NoSuchOrder && !a.Verified && o.done204 && dead {
		if o.absentDead++; o.absentDead == 1 {
			o.absentSince = l.At
		}
	}
	o.collided = o.collided || a.Verified && a.Says == payflow.Collision
	if a.Verified && a.Says == payflow.Found && a.About == o.no && a.Tagless {
		o.moneySeen = o.moneySeen || a.State == payflow.TradeSuccess || a.State == payflow.TradeRefund
	} else if a.Verified && a.Says == payflow.Found && a.About == o.no {
		open := a.State != payflow.TradeClosed && a.State != payflow.TradeRevoked
		o.theirs = o.theirs && !a.Ours || open && !a.Ours
		o.moneySeen = o.moneySeen || a.Ours && (a.State == payflow.TradeSuccess || a.State == payflow.TradeRefund)
	}
}

// money: what a verdict said must stay true (I4).
func (j *worldJudge) money(o *judgedOrder, l *worldLine) {
	o.net, o.moneyAt = l.Net, l.At
	o.refunded = o.refunded || l.Text == wishedRefund
	switch {
	case !o.final:
	case o.status == payflow.Paid && l.Net == 0 && l.Text != wishedRefund:
		j.breach("I4", o.no, "paid, and then the money went back")
	case o.status != payflow.Paid && l.Net != 0 && o.payCall != 0 && l.At < o.payEnd+judgeDead:
		o.lateMoney = true // the code was alive: the check at its death must find it, and at the end nothing may be held
	case o.status != payflow.Paid && l.Net != 0:
		j.breach("I4", o.no, "%s, and then WeChat Pay took %d", o.status, l.Net)
	}
}

// wishedRefund is the text of a money line that a person's refund made.
const wishedRefund = "refund"

func (j *worldJudge) durable(o *judgedOrder, l *worldLine) {
	before := o.status
	r := l.Record
	if o.final && r.Status != before {
		j.breach("I5", o.no, "%s became %s", before, r.Status)
	}
	if o.reversing && r.Status == payflow.Paid {
		j.breach("I13", o.no, "paid after the decision to reverse")
	}
	if l.Event == EventArmed {
		o.sale, o.amount = l.Sale, r.Amount
		j.mayArm(o)
	}
	if l.Event == string(payflow.SetAsideAsked) {
		o.aside = true
	}
	if l.Event == string(payflow.CodeScanned) {
		o.scannedAt = l.At
	}
	if r.Attention == payflow.AttentionReverseTooLate || r.Late == payflow.LateRefunding {
		j.breach("rule 13", o.no, "called too late for a reverse, %s after the world began", l.At)
	}
	o.reversing = o.reversing || r.Status == payflow.Reversing
	o.attention = o.attention || r.Attention != ""
	o.status, o.late, o.kept, o.wasHeard = r.Status, r.Late, o.theirs, o.collided
	o.acted = l.At
	if !o.final && r.Status.Final() {
		j.decided(o, l)
		o.final, o.finalAt = true, l.At
	}
}

// mayArm: I7 and L13.
func (j *worldJudge) mayArm(o *judgedOrder) {
	for _, no := range j.inTurn {
		other := j.orders[no]
		switch {
		case other == o || other.status == "":
		case other.sale == o.sale && other.status == payflow.Paid:
			j.breach("I7", o.no, "sale %d was paid by %s already", o.sale, no)
		case other.sale == o.sale && (other.late == payflow.LateTakingBack || other.late == payflow.LateRefunding):
			j.breach("I7", o.no, "sale %d has its money taken by %s, which is %s", o.sale, no, other.late)
		case other.sale == o.sale && !other.final && !other.theirs:
			j.breach("I7", o.no, "sale %d has %s, which is %s", o.sale, no, other.status)
		case !other.final && !other.aside:
			j.breach("L13", o.no, "armed while %s holds the till", no)
		}
	}
}

// decided: every end rests on an answer of this till's newest call, and on the truth.
func (j *worldJudge) decided(o *judgedOrder, l *worldLine) {
	if l.Record.Status == payflow.Cancelled {
		if o.payCall != 0 {
			j.breach("I4", o.no, "cancelled, though the pay call may have left")
		}
		return
	}
	a := o.answer
	if a.Says == payflow.NotSent && o.endedAsk == payflow.PayCall && o.payCall == 0 {
		if l.Record.Status != payflow.Declined {
			j.breach("I14", o.no, "%s, though nothing was sent", l.Record.Status)
		}
		return
	}
	if o.endedBoot != l.Boot || o.endedCall != o.sent || a.Call != o.sent || a.About != o.no || l.At-o.endedAt > judgeDecides {
		j.breach("I14", o.no, "%s without an answer to its newest call", l.Record.Status)
		return
	}
	closed := a.Says == payflow.Found && (a.State == payflow.TradeClosed || a.State == payflow.TradeRevoked)
	absent := a.Says == payflow.NoSuchOrder
	switch l.Record.Status {
	case payflow.Paid:
		if !a.Verified || a.Says != payflow.Found || a.State != payflow.TradeSuccess || !a.Ours && (!a.Tagless || o.collided) || a.Amount != l.Record.Amount {
			j.breach("I14", o.no, "paid on %+v", a)
		} else if o.net == 0 {
			j.breach("I4", o.no, "paid, and WeChat Pay holds nothing")
		}
		return
	case payflow.Declined:
		if o.endedAsk == payflow.PayCall && a.Says == payflow.Refused && a.Verified {
			j.breach("I4", o.no, "declined on a refusal that no query has confirmed")
		} else if !a.Verified || !closed && !absent {
			j.breach("I14", o.no, "declined on %+v", a)
		}
	case payflow.Reversed:
		j.reversedOn(o, a, closed, absent)
	}
	switch {
	case o.net == 0:
	case absent && o.moneyAt >= o.asOf && o.moneyAt < o.payEnd+judgeDead:
		o.lateMoney = true // taken after the answer was made
	default:
		j.breach("I4", o.no, "%s, and WeChat Pay holds %d", l.Record.Status, o.net)
	}
}

// reversedOn: L10, I14 and the exception of rule 9.
func (j *worldJudge) reversedOn(o *judgedOrder, a worldAnswer, closed, absent bool) {
	back := a.Says == payflow.Found && a.State == payflow.TradeRefund && a.AllBack
	switch {
	case absent && o.moneySeen:
		j.breach("I4", o.no, "reversed on the absence of an order whose money was seen")
	case absent && o.sentAt < o.payEnd+judgeDead:
		j.breach("L10", o.no, "absence believed %s after the pay call", o.sentAt-o.payEnd)
	case absent && !a.Verified && (o.absentDead < 2 || j.now-o.absentSince < 3*time.Second):
		j.breach("I14", o.no, "unsigned absence believed without the proof of rule 9")
	case absent:
	case !a.Verified || !closed && !back:
		j.breach("I14", o.no, "reversed on %+v", a)
	}
}

// seen is L8: nothing is shown that a power cut could take back.
func (j *worldJudge) seen(o *judgedOrder, l *worldLine) {
	shown := l.Record.Status
	if shown == payflow.Paid && o.status == payflow.Paid {
		o.shownPaid = true
	}
	if !shown.Final() && shown != payflow.Reversing {
		return
	}
	ok := shown == o.status || shown == payflow.Reversing && o.reversing
	switch {
	case ok:
	case j.failed[l.Boot]:
		j.breach("I12", o.no, "%s was %s after a commit failed; the disk says %q", shown, l.Kind, o.status)
	default:
		j.breach("L8", o.no, "%s was %s while the disk says %q", shown, l.Kind, o.status)
	}
}

// end judges the last state: silent losses, one charge a sale, and what must have been decided.
func (j *worldJudge) end(orders []worldOrder, ends []worldEntry) {
	entries := map[payflow.OutTradeNo]worldEntry{}
	for _, e := range ends {
		entries[e.No] = e
		j.endOfEntry(e)
	}
	charged := map[int]payflow.OutTradeNo{}
	for _, w := range orders {
		if w.Others || w.Net == 0 {
			continue
		}
		j.result.Charged++
		if j.script.Heal == 0 && j.order(w.No).lateMoney && !entries[w.No].Record.Late.Over() {
			continue // money that came late, as the judge itself has seen, and whose check the end of the world has cut short: it is still owed
		}
		if other, ok := charged[w.Sale]; ok {
			j.breach("I7", w.No, "sale %d is charged twice: by %s too", w.Sale, other)
		}
		charged[w.Sale] = w.No
		j.toldOf(w, entries[w.No])
	}
	for _, no := range j.inTurn {
		j.inTime(j.orders[no], entries[no])
	}
	for _, l := range j.found { // after all else: what the journal's own check says of an index was said by its name already
		invariant, text, _ := strings.Cut(l.Text, " ")
		j.breach(invariant, l.No, "%s", text)
	}
}

// toldOf counts money that was taken, and that nobody hears of.
func (j *worldJudge) toldOf(w worldOrder, e worldEntry) {
	o := j.order(w.No)
	silent := ""
	switch {
	case !e.Record.There:
		silent = "the journal does not know the payment"
	case e.Record.Status == payflow.Paid && !o.shownPaid && !e.Record.Told && !e.Untold:
		silent = "paid, and nobody was told"
	case e.Record.Status.Final() && e.Record.Status != payflow.Paid && e.Record.Late.Over():
		silent = "WeChat Pay holds the money, and the journal says " + string(e.Record.Status)
	case !e.Record.Status.Final() && !e.InOpen:
		silent = "open, and not in the open index"
	}
	if silent == "" {
		return
	}
	j.result.SilentLosses++
	j.breach("I8", w.No, "silent loss: %s", silent)
}

func (j *worldJudge) endOfEntry(e worldEntry) {
	r := e.Record
	if r.Status.Final() {
		j.result.Final++
	} else if r.Attention != "" {
		j.result.Attention++
	}
	if e.InOpen == r.Status.Final() {
		j.breach("I6", e.No, "%s, in the open index: %t", r.Status, e.InOpen)
	}
	if e.Untold != owed(r) {
		j.breach("I8", e.No, "%s, told %t, on the list of what nobody has heard: %t", r.Status, r.Told, e.Untold)
	}
	o := j.order(e.No)
	if r.Status == payflow.Paid && o.net == 0 && !o.refunded {
		j.breach("I4", e.No, "paid, and WeChat Pay holds nothing at the end")
	}
	if o.lateMoney && (r.Late.Over() || j.script.Heal != 0) && (o.net != 0 || !r.LateMoney) {
		j.breach("I4", e.No, "%s, late money %t, and WeChat Pay holds %d at the end", r.Status, r.LateMoney, o.net)
	}
	if j.script.Heal != 0 && !r.Late.Over() {
		j.breach("L4", e.No, "%s, and what became of it is %s at the end", r.Status, r.Late)
	}
}

// owed is I8 in the judge's words: a result that goods or money may depend on.
func owed(r worldRecord) bool {
	return r.Status.Final() && !r.Told && (r.Status == payflow.Paid || r.Status == payflow.Reversed || r.Money || r.LateMoney)
}

// inTime is L4: once faults have healed, everything is decided within 150 s, or a person is asked to look.
func (j *worldJudge) inTime(o *judgedOrder, e worldEntry) {
	if j.script.Heal == 0 || o.status == "" || o.attention || o.status == payflow.Cancelled {
		return
	}
	until := j.over
	if o.final {
		until = o.finalAt
	}
	since := max(j.script.Heal.after(), o.scannedAt, j.late)
	for _, b := range j.boots {
		if b <= until {
			since = max(since, b)
		}
	}
	if until-since > judgeHeals {
		j.breach("L4", o.no, "%s %s after the last fault healed", e.Record.Status, until-since)
	}
}
