package payflow

import "time"

// OutcomeKind is what a verified answer, or the certainty that nothing was sent, tells us.
type OutcomeKind string

// The kinds of outcome. All else is an error: we do not know.
const (
	NotSent        OutcomeKind = "not_sent"         // pay: no byte left on any host (rule 1)
	Found          OutcomeKind = "found"            // pay, query: the order with its trade state
	NoSuchOrder    OutcomeKind = "no_such_order"    // query: WeChat Pay does not know the number (so far)
	Refused        OutcomeKind = "refused"          // pay: a listed, definite refusal (rule 4)
	Collision      OutcomeKind = "collision"        // pay: the number is in use; judge by attach (rule 4)
	ReverseDone    OutcomeKind = "reverse_done"     // reverse: 204 or 200; proves nothing by itself
	ReverseRefused OutcomeKind = "reverse_refused"  // reverse: any refusal; proves nothing
	ReverseTooLate OutcomeKind = "reverse_too_late" // reverse: older than seven days (rule 13)
)

// Outcome is what a call brought for certain. It comes from wxclient, which has verified it.
type Outcome struct {
	Kind   OutcomeKind `json:"kind"`
	Trade  Trade       `json:"trade,omitzero"`   // with Found
	Code   string      `json:"code,omitempty"`   // WeChat Pay's error code: upper case, no underscores
	Reason Reason      `json:"reason,omitempty"` // what the cashier is told of a refusal
	Text   string      `json:"text,omitempty"`   // WeChat Pay's own words, at most 256 characters, for the manager
}

// Trade is an order as WeChat Pay reports it. Fields that an answer lacks are zero.
type Trade struct {
	State         TradeState    `json:"state"`
	OutTradeNo    OutTradeNo    `json:"out_trade_no,omitempty"`
	TransactionID TransactionID `json:"transaction_id,omitempty"`
	Amount        Amount        `json:"amount,omitzero"`
	AppID         string        `json:"app_id,omitempty"`
	MerchantID    string        `json:"merchant_id,omitempty"`
	SubMerchantID string        `json:"sub_merchant_id,omitempty"`
	Attach        string        `json:"attach,omitempty"`
	PayerAmount   Amount        `json:"payer_amount,omitzero"` // what left the customer's wallet, in the wallet's currency
	RateType      string        `json:"rate_type,omitempty"`
	Rate          int64         `json:"rate,omitempty"` // scaled by 10^8; shown, never computed with
	BankType      string        `json:"bank_type,omitempty"`
	SuccessTime   time.Time     `json:"success_time,omitzero"`
	StateText     string        `json:"state_text,omitempty"`
	Payer         string        `json:"-"`                    // the customer's open id: never journaled, never shown; the engine replaces it by PayerHash
	PayerHash     string        `json:"payer_hash,omitempty"` // a keyed hash of it, to see one payer twice; the key is outside the journal
	Refunds       RefundSum     `json:"refunds,omitzero"`     // with REFUND, where the refunds could be added up
}

// Lost says why a call's outcome is not known, and what an answer that could not be verified claimed. A claim is
// shown to the cashier and chooses how soon we ask; it never decides (rule 9 names the one exception).
type Lost struct {
	Reason Reason      `json:"reason,omitempty"`
	Claim  OutcomeKind `json:"claim,omitempty"` // Refused or NoSuchOrder, from an unsigned answer over verified TLS
	Code   string      `json:"code,omitempty"`
	Busy   bool        `json:"busy,omitempty"` // 429: ask more slowly
}

// LostError is the error of a gateway's call: nothing is known. Its Lost travels in the CallLost event.
type LostError struct {
	Lost Lost
	Err  error // what happened, for the log
}

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns what happened.
func (e *LostError) Unwrap() error { return e.Err }
