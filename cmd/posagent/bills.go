package main

import (
	"context"

	"posagent/payflow"
	"posagent/till"
)

var _ till.BillDesk = (*ways)(nil)

// AskBill asks by the configured API about a number that the journal does not know. Nothing comes of the answer but words on a screen.
func (w *ways) AskBill(ctx context.Context, id payflow.TransactionID, no payflow.OutTradeNo) (payflow.Outcome, error) {
	if id == "" {
		return w.wechat.Query(ctx, payflow.Order{OutTradeNo: no, API: w.api})
	}
	return w.wechat.QueryByID(ctx, payflow.Order{API: w.api}, id)
}
