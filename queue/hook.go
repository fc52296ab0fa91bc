package queue

import (
	"time"

	"posagent/payflow"
)

// hooks are what the engine's loop takes from elsewhere: the step, what of it must be on disk, the time, and where it is kept. The simulation puts
// its own clock, its planted bugs and a journal in memory there; nothing outside this package can.
type hooks struct {
	ledger  ledger // nil: Config.Journal
	step    func(payflow.Payment, payflow.Event) (payflow.Payment, []payflow.Command)
	durable func(before, after payflow.Payment) bool
	now     func() time.Time // with this process's monotonic reading
}

// ledger is what the engine keeps payments in, and reads them from. The Journal is one, and says what each of these promises.
type ledger interface {
	Arm(key, digest string, sale payflow.SaleRef, prepare func(no payflow.OutTradeNo, attempt int) payflow.Payment) (payflow.Entry, error)
	Commit(kind string, e payflow.Event, after payflow.Payment) (payflow.Entry, error)
	Acknowledge(no payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error)

	Payment(no payflow.OutTradeNo) (payflow.Entry, error)
	OpenPayments() ([]payflow.Entry, error)
	Unannounced() ([]payflow.Entry, error)
	CountUnannounced() (int, error)
	PaidBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, found bool, err error)
	ByKey(key string) (no payflow.OutTradeNo, digest string, found bool, err error)
	ByCodeHash(hash string) (no payflow.OutTradeNo, spent bool, found bool, err error)
	Day(day string, after payflow.OutTradeNo, n int) ([]payflow.Entry, error)
	Recent(n int) ([]payflow.Entry, error)
	Events(after uint64, n int) ([]payflow.JournalEvent, error)

	Link(no payflow.OutTradeNo, link payflow.Link) (payflow.Entry, error)
	CommitLate(no payflow.OutTradeNo, e payflow.Event, before, after payflow.Late) (payflow.Entry, error)
	LateTruths() ([]payflow.Entry, error)
	lateOpen() ([]payflow.Entry, error)
	heldBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, held bool, err error)
	SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error)
	newestTouched(n int) ([]payflow.Entry, error)
	HashPayer(openID string) string

	AddRefund(key, digest string, r payflow.Refund) (payflow.RefundEntry, error)
	CommitRefund(e payflow.RefundEvent, after payflow.Refund) (payflow.RefundEntry, error)
	Refund(no payflow.OutRefundNo) (payflow.RefundEntry, error)
	RefundByKey(key string) (r payflow.RefundEntry, digest string, found bool, err error)
	OpenRefunds() ([]payflow.RefundEntry, error)
	RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error)
	RefundsOfDay(day string, after payflow.OutRefundNo, n int) ([]payflow.RefundEntry, error)

	startCount() uint64
	HashCode(code payflow.AuthCode) string
	NewTag() payflow.AttachTag
}

// whole puts the real thing where nothing was put.
func (h hooks) whole(j *Journal) hooks {
	if h.ledger == nil && j != nil {
		h.ledger = j
	}
	if h.step == nil {
		h.step = payflow.Step
	}
	if h.durable == nil {
		h.durable = payflow.Durable
	}
	if h.now == nil {
		h.now = time.Now
	}
	return h
}
