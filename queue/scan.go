package queue

import (
	"context"
	"time"

	"posagent/payflow"
)

// Scan hands the engine what a scanner read: text without its framing, the AIM identifier if the scanner sent one, and the
// device's name. One scan pays one armed payment: a second read of the same code, a scan while busy and a scan while
// nothing is armed are refused and named, and cost nothing.
func (e *Engine) Scan(ctx context.Context, text, aim, device string) (payflow.Entry, error) {
	return onLoop(ctx, e, func() (payflow.Entry, error) { return e.scan("", text, aim, device) })
}

// Code takes a code that was typed, or scanned by the till software itself, for the payment that it names.
func (e *Engine) Code(ctx context.Context, id payflow.OutTradeNo, text string) error {
	_, err := onLoop(ctx, e, func() (payflow.Entry, error) { return e.scan(id, text, "", "typed") })
	return err
}

// Misread says on the page that a scanner gave something that was no whole scan. It changes no payment.
func (e *Engine) Misread(ctx context.Context, device string) error {
	_, err := onLoop(ctx, e, func() (payflow.Entry, error) {
		e.notice(e.holding(), payflow.ErrMisread, device)
		return payflow.Entry{}, nil
	})
	return err
}

func (e *Engine) scan(id payflow.OutTradeNo, text, aim, device string) (payflow.Entry, error) {
	l := e.holding()
	if id != "" {
		entry, err := e.Payment(id)
		if err != nil {
			return payflow.Entry{}, err
		}
		if l == nil || l.entry.OutTradeNo != id {
			return entry, &payflow.WrongStateError{Entry: entry}
		}
	}
	if err := e.writable(); err != nil {
		return payflow.Entry{}, err
	}
	code, err := e.acceptScan(l, text, aim)
	if err != nil {
		e.notice(l, err, device)
		if l == nil {
			return payflow.Entry{}, err
		}
		return l.entry, err
	}
	err = e.apply(l, payflow.Event{Kind: payflow.CodeScanned, Code: code, CodeHash: e.cfg.hooks.ledger.HashCode(code), Clock: e.correctedClock()})
	return l.entry, err
}

// acceptScan returns the code where it may pay the payment that holds the till.
func (e *Engine) acceptScan(l *live, text, aim string) (payflow.AuthCode, error) {
	if l == nil {
		return payflow.AuthCode{}, payflow.ErrNothingArmed
	}
	code, err := payflow.ParseAuthCode(text, aim, e.cfg.CodePrefixes)
	if err != nil && l.entry.Status == payflow.Waiting {
		return payflow.AuthCode{}, err
	}
	if err != nil {
		return payflow.AuthCode{}, payflow.ErrScanBusy
	}
	_, spent, found, err := e.cfg.hooks.ledger.ByCodeHash(e.cfg.hooks.ledger.HashCode(code))
	switch {
	case err != nil:
		return payflow.AuthCode{}, err
	case found && spent:
		return payflow.AuthCode{}, payflow.ErrSameCode
	case l.entry.Status != payflow.Waiting:
		return payflow.AuthCode{}, payflow.ErrScanBusy
	}
	return code, e.readyToPay()
}

// readyToPay refuses a scan that could not be seen through: the link or the credentials may have gone since arming.
func (e *Engine) readyToPay() error {
	if e.cfg.Ready == nil {
		return nil
	}
	return e.cfg.Ready()
}

// notice shows a refused scan on the payment that holds the till, or on the idle page.
func (e *Engine) notice(l *live, err error, device string) {
	n := payflow.Notice{At: time.Now(), Device: device, Kind: payflow.NoticeKind(err)}
	e.cfg.Log.Info().Str("notice", n.Kind).Str("device", device).Msg("a scan was refused")
	e.board.notice(n)
	if l == nil {
		return
	}
	l.entry.Notice = n
	l.entry.Version++
	e.board.put(l.entry)
}
