package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

// The bounds of the listener for WeChat Pay's notifications.
const (
	noticeHeadMax  = 16 << 10
	noticeTimeout  = 5 * time.Second // WeChat Pay waits as long for the answer
	noticePath     = "/"             // the path of notify_url is the shop's choice, and no secret
	noticeConnsMax = 64              // connections at one time: the service has 1024 files in all, and payments need theirs
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
	if a.noticeListener != nil {
		a.serveNotices(ctx, a.noticeHandler())
	}
}

func (a *agent) serveNotices(ctx context.Context, handler http.Handler) {
	mux := http.NewServeMux()
	mux.Handle(noticePath, handler)
	server := &http.Server{Handler: mux, MaxHeaderBytes: noticeHeadMax, ReadHeaderTimeout: noticeTimeout, ReadTimeout: noticeTimeout,
		WriteTimeout: 2 * noticeTimeout, IdleTimeout: noticeTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(bound(a.noticeListener, noticeConnsMax)); err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.log.Error().Err(err).Msg("the listener for WeChat Pay's notifications has stopped; refunds and payments are asked for all the same")
	}
}

// boundedListener accepts so many connections at one time; more wait with the system, which needs no file of ours for them.
type boundedListener struct {
	net.Listener
	room chan struct{} // one for each connection
	shut chan struct{}
	once sync.Once // closes shut
}

func bound(l net.Listener, most int) *boundedListener {
	return &boundedListener{Listener: l, room: make(chan struct{}, most), shut: make(chan struct{})}
}

// Accept waits for room, and then for a connection.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.shut:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

// Close ends a wait for room as well.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.shut) })
	return l.Listener.Close()
}

// boundedConn gives its room back when it is closed.
type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
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

// Refund returns the refund of that number.
func (d noticeDesk) Refund(no payflow.OutRefundNo) (payflow.RefundOrder, bool) {
	entry, err := d.agent.engine.RefundOf(no)
	return entry.RefundOrder, err == nil
}

// Payment returns the order of that number.
func (d noticeDesk) Payment(no payflow.OutTradeNo) (payflow.Order, bool) {
	entry, err := d.agent.engine.Payment(no)
	return entry.Order, err == nil
}

// RefundNotified has the engine ask what became of the refund. The notification decides nothing by itself.
func (d noticeDesk) RefundNotified(ctx context.Context, report payflow.RefundReport) error {
	return d.agent.engine.TakeRefundNotice(ctx, report)
}

// PaymentNotified notes that WeChat Pay has told of a payment. What became of it is decided by the query alone.
func (d noticeDesk) PaymentNotified(_ context.Context, t payflow.Trade) error {
	d.agent.log.Info().Str("out_trade_no", string(t.OutTradeNo)).Str("trade_state", string(t.State)).Msg("WeChat Pay has sent a notification of a payment; it is asked for as every payment is")
	return nil
}
