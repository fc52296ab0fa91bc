package payflow

import (
	"errors"
	"fmt"
	"time"
)

// ArmRequest asks for a payment to be armed: the next scanned code pays it.
type ArmRequest struct {
	Amount      Amount  `json:"amount"`
	SaleRef     SaleRef `json:"sale_ref"` // 1 to 64 characters
	Description string  `json:"description,omitempty"`
	Operator    string  `json:"operator,omitempty"`
	Attach      string  `json:"attach,omitempty"`
	GoodsTag    string  `json:"goods_tag,omitempty"`
	LimitPay    string  `json:"limit_pay,omitempty"`
	Detail      string  `json:"detail,omitempty"`
	// AdditionalTender says that a sale with a paid payment takes one more.
	AdditionalTender bool `json:"additional_tender,omitempty"`
	// IdempotencyKey, 1 to 64 printable ASCII characters: the same key with the same request is the same payment, whatever has happened since.
	IdempotencyKey string `json:"-"`
}

// Entry is one payment as the journal holds it.
type Entry struct {
	Payment
	Sequence     uint64          `json:"sequence"`   // of the journal's last event about it
	StoreDay     string          `json:"store_day"`  // 2006-01-02 in the store's time zone
	WeChatDay    string          `json:"wechat_day"` // 2006-01-02 in GMT+8, as statements count
	Acknowledged Acknowledgement `json:"acknowledged,omitzero"`
	Links        []Link          `json:"links,omitempty"` // what was learnt later (I5)
	Late         Late            `json:"late,omitzero"`   // what became of it after its end
	// Notice is the last scan that was refused while this payment held the till. It is shown, and never journaled.
	Notice Notice `json:"-"`
}

// GivenBack reports that a person has recorded that the money went back to the customer by another way than a refund of posagent's.
func (e Entry) GivenBack() bool { return e.Acknowledged.How == MoneyGivenBack }

// Notice says that a scan was refused, and why. It holds no digit of what was scanned.
type Notice struct {
	At     time.Time
	Kind   string // a CodeKind, or one of the refusals below
	Device string
}

// The refusals of a scan that are no kind of code.
const (
	NoticeNothingArmed = "nothing_armed"
	NoticeBusy         = "busy"
	NoticeSameCode     = "same_code"
	NoticeMisread      = "misread" // the scan did not come whole
)

// NoticeKind names why a scan was refused, for a notice and for the statistics of a scanner: a CodeKind, one of the
// refusals, or a NotReadyError's code.
func NoticeKind(err error) string {
	var wrong *WrongCodeError
	var notReady *NotReadyError
	switch {
	case errors.As(err, &wrong):
		return string(wrong.Kind)
	case errors.As(err, &notReady):
		return notReady.Code
	case errors.Is(err, ErrSameCode):
		return NoticeSameCode
	case errors.Is(err, ErrScanBusy):
		return NoticeBusy
	case errors.Is(err, ErrMisread):
		return NoticeMisread
	}
	return NoticeNothingArmed
}

// Acknowledgement is the till's word that the cashier was told, and what the cashier did.
type Acknowledgement struct {
	At       time.Time `json:"at"`
	How      Handover  `json:"how"`
	Operator string    `json:"operator,omitempty"`
}

// Handover is what became of goods or money once the cashier knew.
type Handover string

// The ways a result leaves the "paid, not announced" list; a result that took no money is merely seen.
const (
	GoodsGiven     Handover = "goods_given"
	MoneyGivenBack Handover = "money_given_back"
	Seen           Handover = "seen"
)

// Link ties a later event to a payment that is final.
type Link struct {
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"` // LinkLateSuccess and its sisters, or "refund"
	Ref      string    `json:"ref,omitempty"`
}

// JournalEvent is one entry of the journal's chain, as a list shows it.
type JournalEvent struct {
	Sequence   uint64     `json:"sequence"`
	At         time.Time  `json:"at"`
	Kind       string     `json:"kind"` // an EventKind, or one of the journal's own: created, armed, acknowledged, linked, restored
	OutTradeNo OutTradeNo `json:"out_trade_no,omitempty"`
	SaleRef    SaleRef    `json:"sale_ref,omitempty"`
	Status     Status     `json:"status,omitempty"`
	Reason     Reason     `json:"reason,omitempty"`
	Attention  Reason     `json:"attention,omitempty"`
	Amount     Amount     `json:"amount,omitzero"`
	Operator   string     `json:"operator,omitempty"`
	Via        string     `json:"via,omitempty"` // the way by which the wish came that led to it (ViaKey); older entries lack it
	Note       string     `json:"note,omitempty"`
	// Refund is set on an event of a refund. OutTradeNo is then its payment's, and Amount what it gives back.
	Refund RefundMark `json:"refund,omitzero"`
}

// ViaKey is the key under which the context of a call to a desk names the way by which a wish came: "page", "token kiosk (1a2b3c4d)",
// "socket uid 1000". The operator of a program's wish is what the program says; this is what the till itself knows.
type ViaKey struct{}

// RefundMark says of which refund an event of the journal is, and where that stands.
type RefundMark struct {
	OutRefundNo OutRefundNo  `json:"out_refund_no"`
	Status      RefundStatus `json:"status"`
	Why         Reason       `json:"why"`
	Attention   Reason       `json:"attention,omitempty"`
}

// Announcement tells a till that a payment has changed. Sequence is the journal's; zero where the change was not worth a record.
type Announcement struct {
	Sequence uint64
	Entry    Entry
	// Refund is set where what has changed is a refund of the payment: Entry is then the payment as it stands.
	Refund *RefundEntry
}

// Refusals of the desk. Each says what to do now; none has cost an order number, a code or money.
var (
	ErrNoPayment     = errors.New("no such payment in this till's journal; look at the list of payments for its id")
	ErrNothingArmed  = errors.New("nothing is armed; enter the amount first, then scan")
	ErrScanBusy      = errors.New("a payment is already being made; wait for its result")
	ErrSameCode      = errors.New("this code was read already; ask the customer for a new code")
	ErrMisread       = errors.New("the scan did not come whole; scan the code again")
	ErrKeyReused     = errors.New("this Idempotency-Key was used for another request; use a new key for a new one")
	ErrKeyMissing    = errors.New("an Idempotency-Key of 1 to 64 printable characters is required; send one for each payment, and one for each refund")
	ErrSaleRef       = errors.New("sale_ref must be 1 to 64 printable characters; send the till software's number of the sale")
	ErrNotAside      = errors.New("this payment can't be set aside yet; it is still being asked about")
	ErrJournalClosed = errors.New("the journal cannot be written: no payment is taken; see the warnings for what to do")
)

// BadRequestError says which field of a request is wrong and what it must be. It never holds the field's value.
type BadRequestError struct{ Field, Text string }

func (e *BadRequestError) Error() string { return e.Field + " " + e.Text }

// TillBusyError says which payment holds the till.
type TillBusyError struct{ ID OutTradeNo }

func (e *TillBusyError) Error() string {
	return fmt.Sprintf("payment %s is armed or open on this till; wait for its result, or cancel it", e.ID)
}

// SaleOpenError says which payment of the same sale is still open, on the side.
type SaleOpenError struct{ ID OutTradeNo }

func (e *SaleOpenError) Error() string {
	return fmt.Sprintf("payment %s of the same sale is still open; take other means, or wait for its result", e.ID)
}

// AlreadyPaidError says which payment has paid the sale. Late says that it was not called paid: WeChat Pay turned out to hold its
// money after its end, and that has not been given back yet.
//
// Found says that it is an order which a restored journal lost and WeChat Pay holds.
type AlreadyPaidError struct {
	ID    OutTradeNo
	Late  bool
	Found bool
}

func (e *AlreadyPaidError) Error() string {
	if e.Found {
		return fmt.Sprintf("order %s of this sale was lost in a restore, and WeChat Pay holds it; look at it with posagent journal found, and ask for an additional tender only if the customer is to pay more", e.ID)
	}
	if e.Late {
		return fmt.Sprintf("WeChat Pay holds this sale's money by payment %s after all, and it is being given back; wait for that, or ask for an additional tender", e.ID)
	}
	return fmt.Sprintf("this sale was paid by payment %s; ask for an additional tender if the customer pays more", e.ID)
}

// WrongStateError says that the payment no longer takes the wish.
type WrongStateError struct{ Entry Entry }

func (e *WrongStateError) Error() string {
	return fmt.Sprintf("payment %s is %s already", e.Entry.OutTradeNo, e.Entry.Status)
}

// NotReadyError says why no payment can be taken now. Code is stable: starting, no_network, not_verified, clock, journal, recovering, key_mismatch.
type NotReadyError struct {
	Code string
	Text string
}

func (e *NotReadyError) Error() string { return e.Text }
