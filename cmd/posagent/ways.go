package main

import (
	"context"
	"fmt"
	"time"

	"posagent/payflow"
	"posagent/queue"
	"posagent/wxclient"
)

// wechat is the way to WeChat Pay by one of its APIs.
type wechat interface {
	queue.Gateway
	queue.RefundGateway
	QueryByID(ctx context.Context, o payflow.Order, id payflow.TransactionID) (payflow.Outcome, error)
	Run(ctx context.Context)
	Close()
	State() wxclient.State
	LinkUp() bool
	Warm(ctx context.Context) error
	Now() time.Time
}

// ways is the way by the configured API, which new payments take and the status shows, and the way by the other one where its key
// is installed. An order is asked for, and taken back, by the API that it was made with: no document says that the other one knows it.
type ways struct {
	wechat
	api   payflow.API
	other wechat // nil: none
}

// Query asks by the order's own API.
func (w *ways) Query(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	by, err := w.of("query", o.API, o.OutTradeNo)
	if err != nil {
		return payflow.Outcome{}, err
	}
	return by.Query(ctx, o)
}

// Reverse takes back by the order's own API.
func (w *ways) Reverse(ctx context.Context, o payflow.Order) (payflow.Outcome, error) {
	by, err := w.of("reverse", o.API, o.OutTradeNo)
	if err != nil {
		return payflow.Outcome{}, err
	}
	return by.Reverse(ctx, o)
}

// Refund asks by the API that the payment was made with.
func (w *ways) Refund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	by, err := w.of("refund", o.API, o.OutTradeNo)
	if err != nil {
		return payflow.RefundOutcome{}, err
	}
	return by.Refund(ctx, o)
}

// QueryRefund asks by the API that the payment was made with.
func (w *ways) QueryRefund(ctx context.Context, o payflow.RefundOrder) (payflow.RefundOutcome, error) {
	by, err := w.of("query the refund of", o.API, o.OutTradeNo)
	if err != nil {
		return payflow.RefundOutcome{}, err
	}
	return by.QueryRefund(ctx, o)
}

// Refunds asks by the API that the payment was made with.
func (w *ways) Refunds(ctx context.Context, o payflow.Order) ([]payflow.RefundReport, error) {
	by, err := w.of("list the refunds of", o.API, o.OutTradeNo)
	if err != nil {
		return nil, err
	}
	return by.Refunds(ctx, o)
}

// speaks reports that a payment made by an API can be asked for, taken back and refunded.
func (w *ways) speaks(api payflow.API) bool {
	return api == w.api || api == "" || w.other != nil
}

func (w *ways) of(call string, api payflow.API, no payflow.OutTradeNo) (wechat, error) {
	switch {
	case api == w.api || api == "":
		return w.wechat, nil
	case w.other != nil:
		return w.other, nil
	}
	return nil, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonConfiguration}, Err: fmt.Errorf(
		"%s %s: it was made by API %s; put api_%s_key back in the [wechat] section until it has ended", call, no, api, api)}
}

// Run runs both ways until ctx ends.
func (w *ways) Run(ctx context.Context) {
	if w.other == nil {
		w.wechat.Run(ctx)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.other.Run(ctx)
	}()
	w.wechat.Run(ctx)
	<-done
}

// Close ends both.
func (w *ways) Close() {
	w.wechat.Close()
	if w.other != nil {
		w.other.Close()
	}
}
