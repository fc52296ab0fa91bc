package payflow

// Status is where one of our payments stands. It is never WeChat Pay's word: that is TradeState.
type Status string

// The statuses; doc.go draws the ways between them.
const (
	Waiting    Status = "waiting"    // armed, no code yet
	Paying     Status = "paying"     // the pay call may have left
	Confirming Status = "confirming" // asking what became of it
	Reversing  Status = "reversing"  // decided: taken back, until that is proven
	Paid       Status = "paid"
	Declined   Status = "declined"
	Reversed   Status = "reversed"
	Cancelled  Status = "cancelled" // armed, never sent
)

// Statuses returns every status, in the order of a payment's life.
func Statuses() []Status {
	return []Status{Waiting, Paying, Confirming, Reversing, Paid, Declined, Reversed, Cancelled}
}

// Final reports a status that never changes again.
func (s Status) Final() bool {
	return s == Paid || s == Declined || s == Reversed || s == Cancelled
}

// TradeState is WeChat Pay's word for the state of an order. An unknown value is kept as it came, and means unknown.
type TradeState string

// The trade states of the documents (query order).
const (
	TradeSuccess    TradeState = "SUCCESS"
	TradeRefund     TradeState = "REFUND" // paid, then at least one refund
	TradeNotPay     TradeState = "NOTPAY"
	TradeClosed     TradeState = "CLOSED"
	TradeRevoked    TradeState = "REVOKED" // reversed
	TradeUserPaying TradeState = "USERPAYING"
	TradePayError   TradeState = "PAYERROR"
)

// RefundStatus is where one of our refunds stands.
type RefundStatus string

// The refund statuses.
const (
	RefundRequested  RefundStatus = "requested"  // journaled; the call may have left
	RefundProcessing RefundStatus = "processing" // accepted by WeChat Pay
	RefundDone       RefundStatus = "refunded"
	RefundRefused    RefundStatus = "refused"
	RefundAbnormal   RefundStatus = "abnormal" // the customer's account cannot take it; a person acts on the merchant platform
)
