package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

// The bounds of the listener for WeChat Pay's notifications.
const (
	noticeHeadMax = 16 << 10
	noticeTimeout = 5 * time.Second // WeChat Pay waits as long for the answer
	noticePath    = "/"             // the path of notify_url is the shop's choice, and no secret
)

const noticeFix = "stop the program that has the address (ss -tlnp), or write in the [wechat] section a notify_listen that is this PC's and free"

// openNotices listens on notify_listen, where one is set. Nothing waits for a notification: all it may tell is asked for as well.
func (a *agent) openNotices(agentOptions) error {
	if a.cfg.WeChat.NotifyListen == "" {
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.WeChat.NotifyListen)
	if err != nil {
		return &Failure{Code: ExitFailed, What: "can't listen on " + a.cfg.WeChat.NotifyListen + ": " + listenCause(err),
			Next: noticeFix, Err: err}
	}
	a.noticeListener = l
	return nil
}

// takeNotices serves them until ctx ends.
func (a *agent) takeNotices(ctx context.Context) {
	if a.noticeListener == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle(noticePath, a.noticeHandler())
	server := &http.Server{Handler: mux, MaxHeaderBytes: noticeHeadMax, ReadHeaderTimeout: noticeTimeout, ReadTimeout: noticeTimeout,
		WriteTimeout: 2 * noticeTimeout, IdleTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(a.noticeListener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.log.Error().Err(err).Msg("the listener for WeChat Pay's notifications has stopped; refunds and payments are asked for all the same")
	}
}

// noticeHandler is the one of the configured API.
func (a *agent) noticeHandler() http.Handler {
	if a.cfg.WeChat.API == string(payflow.APIv2) {
		return a.v2.Notifications(noticeDesk{a})
	}
	return a.v3.Notifications(noticeDesk{a})
}

// noticeDesk compares notifications with the journal.
type noticeDesk struct{ agent *agent }

var _ wxclient.NotificationJournal = noticeDesk{}

// Refund finds none: this till journals no refund of its own, so a notification of one is another's.
func (d noticeDesk) Refund(payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	return payflow.RefundOrder{}, false
}

// Payment returns the order of that number.
func (d noticeDesk) Payment(no payflow.OutTradeNo) (payflow.Order, bool) {
	entry, err := d.agent.engine.Payment(no)
	return entry.Order, err == nil
}

// RefundNotified is told of no refund, for none is found.
func (d noticeDesk) RefundNotified(context.Context, payflow.RefundReport) error {
	return errors.New("no refund is journaled here")
}

// PaymentNotified notes that WeChat Pay has told of a payment. What became of it is decided by the query alone.
func (d noticeDesk) PaymentNotified(_ context.Context, t payflow.Trade) error {
	d.agent.log.Info().Str("out_trade_no", string(t.OutTradeNo)).Str("trade_state", string(t.State)).Msg("WeChat Pay has sent a notification of a payment; it is asked for as every payment is")
	return nil
}
