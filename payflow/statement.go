package payflow

import "time"

// StatementRow is one line of WeChat Pay's statement of a day: a payment, a refund, or an order taken back. WeChat Pay's day runs
// from midnight to midnight in GMT+8. Amounts stand in major units in the file; here they are minor units, as everywhere.
type StatementRow struct {
	At            time.Time     `json:"at"`
	MerchantID    string        `json:"merchant_id"`
	SubMerchantID string        `json:"sub_merchant_id,omitempty"`
	TransactionID TransactionID `json:"transaction_id"`
	OutTradeNo    OutTradeNo    `json:"out_trade_no"`
	TradeType     string        `json:"trade_type,omitempty"`
	State         TradeState    `json:"state"` // SUCCESS, REFUND or REVOKED, as the file says it
	Amount        Amount        `json:"amount"`
	PayerAmount   Amount        `json:"payer_amount,omitzero"`
	RefundID      RefundID      `json:"refund_id,omitempty"`
	OutRefundNo   OutRefundNo   `json:"out_refund_no,omitempty"`
	Refund        Amount        `json:"refund,omitzero"`
	RefundState   RefundState   `json:"refund_state,omitempty"`
	BankType      string        `json:"bank_type,omitempty"`
	Description   string        `json:"description,omitempty"`
	Attach        string        `json:"attach,omitempty"`
	Fee           string        `json:"fee,omitempty"`  // as it stands in the file: it has more decimals than the currency
	Rate          string        `json:"rate,omitempty"` // the fee's, as it stands in the file
}

// Settlement is one line of what WeChat Pay has paid out to the merchant, or will (settlement query).
type Settlement struct {
	BatchID      string `json:"batch_id,omitempty"`
	Settled      bool   `json:"settled"`
	Date         string `json:"date,omitempty"`        // YYYYMMDD, of the payout
	TradesFrom   string `json:"trades_from,omitempty"` // YYYYMMDD
	TradesTo     string `json:"trades_to,omitempty"`
	WalletRegion string `json:"wallet_region,omitempty"` // CHINA_MAINLAND or CHINA_HONGKONG
	Payout       Amount `json:"payout"`                  // what is, or will be, paid out
	Pay          Amount `json:"pay"`                     // paid by customers
	Refund       Amount `json:"refund"`
	Net          Amount `json:"net"`
	Fee          Amount `json:"fee"`
}
