package till

import (
	"context"

	"posagent/payflow"
)

// Desk is what arms, follows and ends payments: the engine. Errors are those that payflow/desk.go names; any other is a fault of this
// machine, of which the till says only that it is one. All methods may be called by several goroutines at once.
type Desk interface {
	// Arm makes a payment that the next scanned code pays. The same IdempotencyKey with the same request is the same payment.
	Arm(ctx context.Context, r payflow.ArmRequest) (payflow.Entry, error)
	// Payment returns a payment as it is now, or payflow.ErrNoPayment.
	Payment(id payflow.OutTradeNo) (payflow.Entry, error)
	// WaitFor returns as soon as the payment's version is above since, or its present form when ctx ends.
	WaitFor(ctx context.Context, id payflow.OutTradeNo, since uint64) (payflow.Entry, error)
	// Code hands in a code typed on the page or given by the till itself.
	Code(ctx context.Context, id payflow.OutTradeNo, text string) error
	// Cancel is the cashier's wish: carried out at once while waiting, remembered while paying or confirming, else a WrongStateError.
	Cancel(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error)
	// SetAside frees the till from a payment that does not end, never the sale; payflow.ErrNotAside before it may.
	SetAside(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error)
	// Acknowledge records that the cashier was told a final result; a second one changes nothing.
	Acknowledge(ctx context.Context, id payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error)
	// Holding returns the payment that holds the till.
	Holding() (payflow.Entry, bool)
	// Unannounced returns the final payments that nobody has acknowledged, the newest last.
	Unannounced() ([]payflow.Entry, error)
	// CountUnannounced returns how many final payments nobody has acknowledged.
	CountUnannounced() (int, error)
	// Recent returns the newest n payments, the newest first.
	Recent(n int) ([]payflow.Entry, error)
	// Day returns at most n payments of a store day (2006-01-02) by order number, beginning behind after.
	Day(day string, after payflow.OutTradeNo, n int) ([]payflow.Entry, error)
	// JournalEvents returns at most n entries of the journal, beginning behind the sequence after.
	JournalEvents(after uint64, n int) ([]payflow.JournalEvent, error)
	// LastNotice returns the last scan that was refused, whether a payment held the till or not; its time is zero when none was.
	LastNotice() payflow.Notice
	// Subscribe announces changes until ctx ends; the channel is closed then, and when its reader is too slow.
	Subscribe(ctx context.Context) <-chan payflow.Announcement
	// Ready returns nil when a payment can be armed, or a *payflow.NotReadyError that says why not.
	Ready() error
}

// RefundDesk is what gives money back: the engine. Errors are those that payflow/refunddesk.go names, and the desk's. All methods may be
// called by several goroutines at once.
type RefundDesk interface {
	// Refund journals a refund and returns at once; it is made in any case from then on. The same IdempotencyKey with the same request
	// is the same refund.
	Refund(ctx context.Context, r payflow.RefundRequest) (payflow.RefundEntry, error)
	// RefundOf returns a refund as it is now, or payflow.ErrNoRefund.
	RefundOf(id payflow.OutRefundNo) (payflow.RefundEntry, error)
	// WaitForRefund returns as soon as the refund's version is above since, or its present form when ctx ends.
	WaitForRefund(ctx context.Context, id payflow.OutRefundNo, since uint64) (payflow.RefundEntry, error)
	// RefundsOfPayment returns the refunds of a payment, the oldest first.
	RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error)
	// OpenRefunds returns every refund that is not at its end, and every one that a person must look at, the oldest first.
	OpenRefunds() []payflow.RefundEntry
	// AcknowledgeRefund records that a person has seen what needed one; a *payflow.RefundOpenError before the refund's end.
	AcknowledgeRefund(ctx context.Context, id payflow.OutRefundNo, operator, note string) (payflow.RefundEntry, error)
}
