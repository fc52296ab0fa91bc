package till

import (
	"cmp"
	"slices"
	"time"

	"posagent/health"
	"posagent/payflow"
)

// Payment is one payment as API and page show it. The names are fixed; more may come.
type Payment struct {
	ID         payflow.OutTradeNo `json:"id" doc:"The order number (out_trade_no)."`
	SaleRef    payflow.SaleRef    `json:"sale_ref" doc:"The till software's number of the sale."`
	Attempt    int                `json:"attempt" doc:"1 for the sale's first payment, then counting."`
	Amount     int64              `json:"amount" doc:"In minor units: 1250 is HK$ 12.50, and JP¥ 1250."`
	Currency   payflow.Currency   `json:"currency" doc:"ISO 4217."`
	AmountText string             `json:"amount_text" doc:"The amount as a person reads it."`

	Status               payflow.Status `json:"status" enum:"waiting,paying,confirming,reversing,paid,declined,reversed,cancelled"`
	Final                bool           `json:"final" doc:"The status never changes again."`
	Attention            payflow.Reason `json:"attention" doc:"Why a person must look; empty while nobody needs to. A flag, not an end."`
	SaleMayUseOtherMeans bool           `json:"sale_may_use_other_means" doc:"This payment can't take the customer's money for good, now or later: other means are allowed."`
	SetAside             bool           `json:"set_aside" doc:"An operator has freed the till from this payment; it is still asked about."`
	CancelAsked          bool           `json:"cancel_asked" doc:"The cashier wants it cancelled; carried out from the 15 s on."`

	Reason   payflow.Reason `json:"reason" doc:"A stable code."`
	Message  health.Words   `json:"message" doc:"What happened."`
	NextStep health.Words   `json:"next_step" doc:"What to do now."`

	TransactionID payflow.TransactionID `json:"transaction_id" doc:"WeChat Pay's number, once it is known; it stands on the customer's bill."`
	PayerAmount   int64                 `json:"payer_amount" doc:"What left the customer's wallet, in minor units of payer_currency; 0 while unknown."`
	PayerCurrency payflow.Currency      `json:"payer_currency"`
	CodeTail      string                `json:"code_tail" doc:"The payment code's last four digits. The code itself is never shown."`
	Proof         payflow.Proof         `json:"proof,omitempty" enum:"signed,not_sent,transport" doc:"What a final status rests on."`
	WeChatCode    string                `json:"wechat_code,omitempty" doc:"WeChat Pay's error code, for the manager."`
	WeChatText    string                `json:"wechat_text,omitempty" doc:"WeChat Pay's own words, for the manager."`

	Times   Times  `json:"times"`
	Version uint64 `json:"version" doc:"Counts every change; pass it as since to wait for the next."`

	Acknowledged bool             `json:"acknowledged" doc:"The cashier was told the final result."`
	How          payflow.Handover `json:"how,omitempty" doc:"What became of goods or money: goods_given, money_given_back, seen."`
	AnsweredBy   string           `json:"acknowledged_by,omitempty" doc:"The operator who said so."`

	Operator         string       `json:"operator,omitempty"`
	Description      string       `json:"description,omitempty"`
	AdditionalTender bool         `json:"additional_tender,omitempty"`
	StoreDay         string       `json:"store_day,omitempty" doc:"2006-01-02 in the store's time zone."`
	Sequence         uint64       `json:"sequence" doc:"The journal's last entry about this payment."`
	Links            []LinkView   `json:"links,omitempty" doc:"What was learnt after the end."`
	Refunds          []Refund     `json:"refunds,omitempty" doc:"Its refunds, the oldest first."`
	Refunded         int64        `json:"refunded" doc:"What refunds gave back for good, in minor units."`
	Refundable       int64        `json:"refundable" doc:"What can still be given back, in minor units: refunds that are not at their end count as given back. Nothing where a person has recorded that the money went back in another way (how is money_given_back)."`
	Late             *LateView    `json:"late,omitempty" doc:"What became of it after its end, where that is more than nothing."`
	Notice           *NoticeView  `json:"notice,omitempty" doc:"The last scan that was refused while this payment held the till."`
	Money            *MoneyReturn `json:"money_return,omitempty" doc:"With reversed: whether money had been taken and goes back."`
}

// Times are a payment's times, RFC 3339 by this machine's clock; one that has not come is left out. Those that lie ahead are for
// countdowns, and move.
type Times struct {
	Now           time.Time `json:"now" doc:"When this answer was made."`
	ArmedAt       time.Time `json:"armed_at,omitempty,omitzero"`
	ScanUntil     time.Time `json:"scan_until,omitempty,omitzero" doc:"While waiting: without a scan it is cancelled then."`
	ScannedAt     time.Time `json:"scanned_at,omitempty,omitzero"`
	PayStartedAt  time.Time `json:"pay_started_at,omitempty,omitzero" doc:"The seconds on the screen count from here."`
	NextStepAt    time.Time `json:"next_step_at,omitempty,omitzero" doc:"When WeChat Pay is asked next, or what is waited for is done."`
	CancelFrom    time.Time `json:"cancel_from,omitempty,omitzero" doc:"While confirming: a cancel is carried out from then on."`
	ReverseAt     time.Time `json:"reverse_at,omitempty,omitzero" doc:"While confirming: with no result by then it is taken back."`
	ReversingAt   time.Time `json:"reversing_at,omitempty,omitzero"`
	SetAsideFrom  time.Time `json:"set_aside_from,omitempty,omitzero" doc:"An operator may set it aside from then on; at once with attention."`
	SetAsideAt    time.Time `json:"set_aside_at,omitempty,omitzero"`
	FinalAt       time.Time `json:"final_at,omitempty,omitzero"`
	AcknowledgeAt time.Time `json:"acknowledged_at,omitempty,omitzero"`
}

// LinkView is something learnt after a payment's end.
type LinkView struct {
	Kind string    `json:"kind" doc:"late_success, refund."`
	Ref  string    `json:"ref,omitempty"`
	At   time.Time `json:"at"`
}

// LateView says what WeChat Pay turned out to hold of a payment after its end.
type LateView struct {
	Stage     payflow.LateStage   `json:"stage" enum:"check_owed,clear,taking_back,refunding,given_back,settled"`
	MoneySeen bool                `json:"money_seen" doc:"An answer showed money taken after the payment's end."`
	Person    bool                `json:"needs_person" doc:"A person may settle it: the till alone can't end it."`
	Refund    payflow.OutRefundNo `json:"refund,omitempty" doc:"The refund that gives it back."`
	By        payflow.LateBy      `json:"by,omitempty" enum:"reverse,refund" doc:"With given_back: how the money went back."`
	FoundAt   time.Time           `json:"found_at,omitempty,omitzero" doc:"When the money was first seen."`
	EndedAt   time.Time           `json:"ended_at,omitempty,omitzero"`
}

func lateView(e payflow.Entry) *LateView {
	l, twice := e.Late, e.BackTwice()
	if twice {
		l.Stage = cmp.Or(l.Stage, payflow.LateClear)
	}
	if l.Stage == payflow.LateNothing {
		return nil
	}
	return &LateView{Stage: l.Stage, MoneySeen: l.MoneySeen, Person: twice || !l.Stage.Over() && l.Attention != "", Refund: l.OutRefundNo, By: l.By, FoundAt: l.FoundAt, EndedAt: l.EndedAt}
}

// heldLate reports money that was seen taken after a payment's end, and is not back. An unpaid order that is being closed holds none.
func heldLate(l payflow.Late) bool { return l.MoneySeen && l.HoldsMoney() }

// attentionOf is why a person must look at a payment: its own reason, or what was learnt after its end.
func attentionOf(e payflow.Entry) payflow.Reason {
	switch {
	case e.Attention != "":
		return e.Attention
	case e.BackTwice():
		return payflow.AttentionBackTwice
	case heldLate(e.Late) && e.Late.Attention == "":
		return payflow.AttentionLateSuccess
	}
	return e.Late.Attention
}

// NoticeView names a refused scan, and no digit of it.
type NoticeView struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind" doc:"What was scanned (alipay, unionpay, goods, …) or why it was refused (busy, same_code, nothing_armed, misread)."`
	Device string    `json:"device,omitempty"`

	Message  health.Words `json:"message"`
	NextStep health.Words `json:"next_step"`
}

// MoneyReturn says of a reversed payment what the customer is told about money.
type MoneyReturn struct {
	WasTaken bool `json:"was_taken" doc:"An answer showed the money taken: it goes back (wallet within 20 minutes, bank within 5 working days)."`
}

// view shows an entry at a time.
func (s *Server) view(e payflow.Entry, now time.Time) Payment {
	p := Payment{
		ID: e.OutTradeNo, SaleRef: e.SaleRef, Attempt: e.Attempt, Amount: e.Amount.Minor, Currency: e.Amount.Currency, AmountText: e.Amount.String(),
		Status: e.Status, Final: e.Status.Final(), Attention: attentionOf(e), SaleMayUseOtherMeans: e.SaleMayUseOtherMeans(),
		SetAside: !e.SetAside.At.IsZero(), CancelAsked: e.CancelAsked,
		Reason: e.Reason, Message: inAll(s.cfg.Words.Message(e)), NextStep: inAll(s.cfg.Words.NextStep(e)),
		TransactionID: e.Trade.TransactionID, PayerAmount: e.Trade.PayerAmount.Minor, PayerCurrency: e.Trade.PayerAmount.Currency,
		CodeTail: e.CodeTail, Proof: e.Proof, WeChatCode: e.Refusal.Code, WeChatText: maskDigits(e.Refusal.Text),
		Times: timesOf(e, now), Version: e.Version,
		Acknowledged: !e.Acknowledged.At.IsZero(), How: e.Acknowledged.How, AnsweredBy: e.Acknowledged.Operator,
		Operator: e.Operator, Description: e.Description, AdditionalTender: e.AdditionalTender, StoreDay: e.StoreDay, Sequence: e.Sequence,
	}
	if s.cfg.ReadOnly && e.Open() && !e.SaleMayUseOtherMeans() {
		s.sayReadOnly(e, &p)
	}
	p.Late = lateView(e)
	p.Refunds, p.Refunded, p.Refundable = s.refundsOf(e, now)
	if e.Status == payflow.Paid && p.Attention == "" {
		s.sayBack(e, &p)
	}
	for _, l := range e.Links {
		p.Links = append(p.Links, LinkView{Kind: l.Kind, Ref: l.Ref, At: l.At})
	}
	if e.Notice.Kind != "" {
		p.Notice = s.notice(e.Notice)
	}
	if e.Status == payflow.Reversed {
		p.Money = &MoneyReturn{WasTaken: e.MoneySeen}
	}
	return p
}

// sayReadOnly has an open payment say that it stands still: nobody waits for what can't come before the journal is written again, and nobody scans. One that
// waits was never sent; one that is being taken back says the truth already, that the sale may take other means.
func (s *Server) sayReadOnly(e payflow.Entry, p *Payment) {
	kind := "read_only_open"
	if e.Status == payflow.Waiting {
		kind = "read_only_waiting"
	}
	p.Message, p.NextStep = s.noticeWords(kind)
}

// sayBack has a paid payment whose whole money went back, or is on its way back, say so: goods are given for none.
func (s *Server) sayBack(e payflow.Entry, p *Payment) {
	switch {
	case e.GivenBack():
		p.Message, p.NextStep = s.noticeWords("bill_money_back_by_hand")
	case wholeBack(*p) && p.Refunded < p.Amount:
		p.Message, _ = s.noticeWords("bill_money_going_back")
		open := slices.IndexFunc(p.Refunds, func(r Refund) bool { return r.Status != payflow.RefundDone && r.Status != payflow.RefundRefused })
		if open >= 0 {
			p.NextStep = p.Refunds[open].NextStep
		}
	case wholeBack(*p):
		p.Message, p.NextStep = s.noticeWords("bill_money_back")
	}
}

func (s *Server) noticeWords(kind string) (message, next health.Words) {
	m, n := s.cfg.Words.Notice(kind)
	return inAll(m), inAll(n)
}

func (s *Server) notice(n payflow.Notice) *NoticeView {
	message, next := s.cfg.Words.Notice(n.Kind)
	return &NoticeView{At: n.At, Kind: n.Kind, Device: n.Device, Message: inAll(message), NextStep: inAll(next)}
}

func timesOf(e payflow.Entry, now time.Time) Times {
	t := Times{
		Now: now, ArmedAt: e.ArmedAt, ScannedAt: e.ScannedAt, PayStartedAt: e.FirstPayAt, ReversingAt: e.ReversingAt,
		SetAsideAt: e.SetAside.At, FinalAt: e.FinalAt, AcknowledgeAt: e.Acknowledged.At,
	}
	if e.Open() {
		t.SetAsideFrom = e.DeadAt()
		t.NextStepAt = e.WakeAt
	}
	switch {
	case e.Status == payflow.Waiting:
		t.ScanUntil = e.WakeAt
	case e.Status == payflow.Confirming && !e.PayEndedAt.IsZero():
		t.CancelFrom = e.PayEndedAt.Add(payflow.ReverseGuard)
		t.ReverseAt = e.ReverseDue()
	}
	return t
}

// inAll makes one text object out of a text for each language.
func inAll(texts map[string]string) health.Words {
	return health.Words{EN: texts["en"], ZhHans: texts["zh-Hans"], ZhHant: texts["zh-Hant"]}
}

// JournalEntry is one entry of the journal's chain, as lists and the event stream show it.
type JournalEntry struct {
	Sequence  uint64             `json:"sequence"`
	At        time.Time          `json:"at"`
	Kind      string             `json:"kind" doc:"What was recorded: armed, code_scanned, pay_answered, query_answered, reverse_answered, call_lost, woken, cancel_asked, restarted, expired, set_aside_asked, acknowledged, late, and of a refund refund_wished, refund_listed, refund_answered, refund_query_answered, …"`
	Payment   payflow.OutTradeNo `json:"payment,omitempty"`
	SaleRef   payflow.SaleRef    `json:"sale_ref,omitempty"`
	Status    payflow.Status     `json:"status,omitempty"`
	Reason    payflow.Reason     `json:"reason,omitempty"`
	Attention payflow.Reason     `json:"attention,omitempty"`
	Amount    int64              `json:"amount,omitempty" doc:"Minor units."`
	Currency  payflow.Currency   `json:"currency,omitempty"`
	Operator  string             `json:"operator,omitempty"`
	Via       string             `json:"via,omitempty" doc:"The way by which the wish came that led to it: page, token kiosk (1a2b3c4d), socket uid 1000. What a program says of its operator is its word; this is what the till knows."`
	Note      string             `json:"note,omitempty"`

	Refund       payflow.OutRefundNo  `json:"refund,omitempty" doc:"Of an entry about a refund: its id. Payment is then the refund's payment, amount what goes back, and reason why it stands where it does."`
	RefundStatus payflow.RefundStatus `json:"refund_status,omitempty"`
}

func journalEntry(j payflow.JournalEvent) JournalEntry {
	e := JournalEntry{
		Sequence: j.Sequence, At: j.At, Kind: j.Kind, Payment: j.OutTradeNo, SaleRef: j.SaleRef, Status: j.Status, Reason: j.Reason,
		Attention: j.Attention, Amount: j.Amount.Minor, Currency: j.Amount.Currency, Operator: j.Operator, Via: j.Via, Note: j.Note,
	}
	if j.Refund.OutRefundNo != "" {
		e.Refund, e.RefundStatus, e.Reason, e.Attention = j.Refund.OutRefundNo, j.Refund.Status, j.Refund.Why, j.Refund.Attention
	}
	return e
}
