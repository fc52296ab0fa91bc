package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"posagent/payflow"
	"posagent/till"
)

// paymentLine is one payment as journal list prints it, the same whether the daemon or the file told it.
type paymentLine struct {
	ID            payflow.OutTradeNo    `json:"id"`
	SaleRef       payflow.SaleRef       `json:"sale_ref"`
	Attempt       int                   `json:"attempt"`
	Amount        int64                 `json:"amount"` // minor units
	Currency      payflow.Currency      `json:"currency"`
	Status        payflow.Status        `json:"status"`
	Final         bool                  `json:"final"`
	Reason        payflow.Reason        `json:"reason"`
	Attention     payflow.Reason        `json:"attention"`
	SetAside      bool                  `json:"set_aside"`
	Acknowledged  bool                  `json:"acknowledged"`
	TransactionID payflow.TransactionID `json:"transaction_id"`
	CodeTail      string                `json:"code_tail"`
	Operator      string                `json:"operator,omitempty"`
	StoreDay      string                `json:"store_day"`
	ArmedAt       time.Time             `json:"armed_at,omitzero"`
	FinalAt       time.Time             `json:"final_at,omitzero"`
	Refunded      int64                 `json:"refunded"`            // minor units that refunds gave back for good
	Late          payflow.LateStage     `json:"late,omitempty"`      // what became of it after its end
	LateHeld      bool                  `json:"late_held,omitempty"` // WeChat Pay holds its money, though it was not paid
}

// paymentShown is one payment as journal show prints it.
type paymentShown struct {
	paymentLine
	Proof      payflow.Proof    `json:"proof"`
	WeChatCode string           `json:"wechat_code,omitempty"`
	WeChatText string           `json:"wechat_text,omitempty"`
	How        payflow.Handover `json:"how,omitempty"`
	Links      []till.LinkView  `json:"links"`
	Refunds    []refundRow      `json:"refunds"`
	Events     []eventLine      `json:"events"`
}

// refundRow is one refund of a payment as journal show prints it, the same whether the daemon or the file told it.
type refundRow struct {
	ID          payflow.OutRefundNo  `json:"id"`
	Amount      int64                `json:"amount"` // minor units
	Currency    payflow.Currency     `json:"currency"`
	Status      payflow.RefundStatus `json:"status"`
	Why         payflow.Reason       `json:"why"`
	Attention   payflow.Reason       `json:"attention"`
	Reason      string               `json:"reason,omitempty"`
	Operator    string               `json:"operator,omitempty"`
	RequestedAt time.Time            `json:"requested_at,omitzero"`
	FinalAt     time.Time            `json:"final_at,omitzero"`
}

func rowOfRefundView(r till.Refund) refundRow {
	return refundRow{ID: r.ID, Amount: r.Amount, Currency: r.Currency, Status: r.Status, Why: r.Why, Attention: r.Attention, Reason: r.Reason,
		Operator: r.Operator, RequestedAt: r.Times.RequestedAt, FinalAt: r.Times.FinalAt}
}

func rowOfRefund(r payflow.RefundEntry) refundRow {
	return refundRow{ID: r.OutRefundNo, Amount: r.Amount.Minor, Currency: r.Amount.Currency, Status: r.Status, Why: r.Why, Attention: r.Attention,
		Reason: r.RefundOrder.Reason, Operator: r.Operator, RequestedAt: r.RequestedAt, FinalAt: r.FinalAt}
}

func (r refundRow) text(zone *time.Location) string {
	tail := strings.Join([]string{when(r.Attention != "", "A PERSON MUST LOOK: "+string(r.Attention)), when(r.Operator != "", "by "+r.Operator), r.Reason}, " ")
	return strings.TrimSpace(fmt.Sprintf("%s  %s  %s (%s)  %s  %s", r.RequestedAt.In(zone).Format(time.DateTime),
		payflow.Amount{Minor: r.Amount, Currency: r.Currency}, r.Status, r.Why, r.ID, strings.TrimSpace(tail)))
}

// eventLine is one entry of the chain about a payment.
type eventLine struct {
	Sequence  uint64         `json:"sequence"`
	At        time.Time      `json:"at"`
	Kind      string         `json:"kind"`
	Status    payflow.Status `json:"status"`
	Reason    payflow.Reason `json:"reason,omitempty"`
	Attention payflow.Reason `json:"attention,omitempty"`
	Operator  string         `json:"operator,omitempty"`
	Via       string         `json:"via,omitempty"` // the way by which the wish came; older entries lack it
	Note      string         `json:"note,omitempty"`
}

func lineOfView(p till.Payment) paymentLine {
	l := paymentLine{
		ID: p.ID, SaleRef: p.SaleRef, Attempt: p.Attempt, Amount: p.Amount, Currency: p.Currency, Status: p.Status, Final: p.Final,
		Reason: p.Reason, Attention: p.Attention, SetAside: p.SetAside, Acknowledged: p.Acknowledged, TransactionID: p.TransactionID,
		CodeTail: p.CodeTail, Operator: p.Operator, StoreDay: p.StoreDay, ArmedAt: p.Times.ArmedAt, FinalAt: p.Times.FinalAt,
		Refunded: p.Refunded,
	}
	if p.Late != nil {
		l.Late, l.LateHeld = p.Late.Stage, p.Late.MoneySeen && !p.Late.Stage.Over()
	}
	return l
}

func lineOfEntry(e payflow.Entry, refunds []payflow.RefundEntry) paymentLine {
	return paymentLine{
		ID: e.OutTradeNo, SaleRef: e.SaleRef, Attempt: e.Attempt, Amount: e.Amount.Minor, Currency: e.Amount.Currency, Status: e.Status,
		Final: e.Status.Final(), Reason: e.Reason, Attention: e.Attention, SetAside: !e.SetAside.At.IsZero(),
		Acknowledged: !e.Acknowledged.At.IsZero(), TransactionID: e.Trade.TransactionID, CodeTail: e.CodeTail, Operator: e.Operator,
		StoreDay: e.StoreDay, ArmedAt: e.ArmedAt, FinalAt: e.FinalAt,
		Refunded: wentBack(refunds), Late: e.Late.Stage, LateHeld: e.Late.MoneySeen && !e.Late.Stage.Over(),
	}
}

// wentBack adds up the refunds that are done.
func wentBack(refunds []payflow.RefundEntry) (minor int64) {
	for _, r := range refunds {
		if r.Status == payflow.RefundDone {
			minor += r.Amount.Minor
		}
	}
	return minor
}

func (l paymentLine) amount() string {
	return payflow.Amount{Minor: l.Amount, Currency: l.Currency}.String()
}

// marks are what a person must not overlook.
func (l paymentLine) marks() string {
	var marks []string
	if l.Attention != "" {
		marks = append(marks, "A PERSON MUST LOOK: "+string(l.Attention))
	}
	if l.LateHeld {
		marks = append(marks, "WECHAT PAY HOLDS ITS MONEY, and it was not paid")
	}
	if l.Refunded > 0 {
		marks = append(marks, payflow.Amount{Minor: l.Refunded, Currency: l.Currency}.String()+" given back")
	}
	if l.SetAside && !l.Final {
		marks = append(marks, "set aside")
	}
	if l.Status == payflow.Paid && !l.Acknowledged {
		marks = append(marks, "nobody has acknowledged it")
	}
	return strings.Join(marks, ", ")
}

// writeLines prints payments as a table, with times in the store's time zone.
func writeLines(w io.Writer, lines []paymentLine, zone *time.Location) {
	if len(lines) == 0 {
		fmt.Fprintln(w, "no such payment")
		return
	}
	for _, l := range lines {
		text := fmt.Sprintf("%s  %-32s  %-16s  %14s  %-10s  %-24s  %s", l.ArmedAt.In(zone).Format(time.DateTime), l.ID, l.SaleRef, l.amount(), l.Status, l.Reason, l.marks())
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
}

// write prints a payment and its history.
func (s paymentShown) write(w io.Writer, zone *time.Location) {
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-14s %s\n", name, text)
		}
	}
	row("payment", string(s.ID))
	row("sale", fmt.Sprintf("%s, attempt %d", s.SaleRef, s.Attempt))
	row("amount", s.amount())
	row("status", fmt.Sprintf("%s (%s)", s.Status, s.Reason))
	row("marks", s.marks())
	row("proof", proofText(s.Proof))
	row("transaction", string(s.TransactionID))
	row("code ends in", s.CodeTail)
	row("WeChat Pay", strings.TrimSpace(s.WeChatCode+" "+s.WeChatText))
	row("operator", s.Operator)
	row("handed over", string(s.How))
	for _, l := range s.Links {
		row("later", fmt.Sprintf("%s  %s %s", l.At.In(zone).Format(time.DateTime), l.Kind, l.Ref))
	}
	for _, r := range s.Refunds {
		row("refund", r.text(zone))
	}
	for _, e := range s.Events {
		fmt.Fprintln(w, strings.TrimRight(e.text(zone), " "))
	}
}

// text is the entry as one line: sequence, time, what happened, and where the payment stood after it.
func (e eventLine) text(zone *time.Location) string {
	tail := strings.TrimSpace(strings.Join([]string{when(e.Attention != "", "attention: "+string(e.Attention)), byAndVia(e.Operator, e.Via), e.Note}, " "))
	return fmt.Sprintf("%8d  %s  %-16s  %-10s  %-24s  %s", e.Sequence, e.At.In(zone).Format("2006-01-02 15:04:05.000"), e.Kind, cmp.Or(e.Status, "-"), e.Reason, tail)
}

// byAndVia names who wished it, and by which way.
func byAndVia(operator, via string) string {
	return strings.TrimSpace(when(operator != "", "by "+operator) + when(via != "", " via "+via))
}

// proofText says what a final status rests on.
func proofText(p payflow.Proof) string {
	switch p {
	case payflow.ProofSigned:
		return "signed: an answer to this very order, with WeChat Pay's signature"
	case payflow.ProofNotSent:
		return "not sent: no byte of the order left this PC"
	case payflow.ProofTransport:
		return "transport: WeChat Pay's host said twice that it has no such order, without a signature; look at it in the reconciliation"
	}
	return string(p)
}
