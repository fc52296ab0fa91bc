package queue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"posagent/payflow"
)

// Arm makes a payment that waits for a scan. The same idempotency key with the same request returns the same payment,
// whatever has happened since. Errors are payflow's desk errors.
func (e *Engine) Arm(ctx context.Context, r payflow.ArmRequest) (payflow.Entry, error) {
	if err := checkArmRequest(r); err != nil {
		return payflow.Entry{}, err
	}
	digest, err := digestOf(r)
	if err != nil {
		return payflow.Entry{}, err
	}
	return onLoop(ctx, e, func() (payflow.Entry, error) { return e.arm(r, digest) })
}

func (e *Engine) arm(r payflow.ArmRequest, digest string) (payflow.Entry, error) {
	no, known, found, err := e.cfg.hooks.ledger.ByKey(r.IdempotencyKey)
	switch {
	case err != nil:
		return payflow.Entry{}, err
	case found && known != digest:
		return payflow.Entry{}, payflow.ErrKeyReused
	case found:
		return e.Payment(no)
	}
	if err := e.writable(); err != nil {
		return payflow.Entry{}, err
	}
	if err := e.mayArm(r); err != nil {
		return payflow.Entry{}, err
	}
	entry, err := e.cfg.hooks.ledger.Arm(r.IdempotencyKey, digest, r.SaleRef, func(no payflow.OutTradeNo, attempt int) payflow.Payment {
		p, _ := payflow.Arm(e.order(r, no, attempt), e.cfg.Timing, e.cfg.hooks.now())
		return p
	})
	if err != nil {
		e.fail(err)
		return payflow.Entry{}, e.Err()
	}
	l := &live{entry: entry}
	e.open[entry.OutTradeNo] = l
	e.wakeAt(l, e.cfg.hooks.now().Add(e.cfg.Timing.ScanWithin))
	e.keepWarm()
	e.logChange(payflow.Payment{}, entry)
	e.board.put(entry)
	return entry, nil
}

// mayArm holds I7 and rules 9 and 11: one payment on the till, one charge for a sale, and none before we can see it through.
func (e *Engine) mayArm(r payflow.ArmRequest) error {
	if l := e.holding(); l != nil {
		return &payflow.TillBusyError{ID: l.entry.OutTradeNo}
	}
	for _, l := range e.open {
		if l.entry.SaleRef == r.SaleRef && l.entry.LocksSale() {
			return &payflow.SaleOpenError{ID: l.entry.OutTradeNo}
		}
	}
	if r.AdditionalTender {
		return e.ready()
	}
	paid, found, err := e.cfg.hooks.ledger.PaidBySale(r.SaleRef)
	switch {
	case err != nil:
		return err
	case found:
		return &payflow.AlreadyPaidError{ID: paid}
	}
	held, found, err := e.cfg.hooks.ledger.heldBySale(r.SaleRef)
	switch {
	case err != nil:
		return err
	case found:
		return &payflow.AlreadyPaidError{ID: held, Late: true}
	}
	if e.cfg.Journal != nil {
		if lost, found, err := e.cfg.Journal.foundOfSale(r.SaleRef); err != nil || found {
			return cmp.Or[error](err, &payflow.AlreadyPaidError{ID: lost, Found: true})
		}
	}
	return e.ready()
}

// Ready returns nil when a payment can be armed, or a *payflow.NotReadyError that says why not.
func (e *Engine) Ready() error {
	_, err := onLoop(context.Background(), e, func() (struct{}, error) { return struct{}{}, e.ready() })
	return err
}

func (e *Engine) ready() error {
	if err := e.writable(); err != nil {
		return err
	}
	if e.recovering() {
		return &payflow.NotReadyError{Code: "recovering", Text: "a payment from before the restart is being asked about; wait for its result"}
	}
	if len(e.open) >= openMax {
		return &payflow.NotReadyError{Code: "too_many_open", Text: "too many payments are set aside and still open; call the manager"}
	}
	if e.cfg.Ready == nil {
		return nil
	}
	return e.cfg.Ready()
}

func (e *Engine) order(r payflow.ArmRequest, no payflow.OutTradeNo, attempt int) payflow.Order {
	description := r.Description
	if description == "" {
		description = e.cfg.Store.Name + " " + string(r.SaleRef)
	}
	attach := r.Attach
	if attach == "" {
		attach = payflow.AttachOfSale(r.SaleRef)
	}
	return payflow.Order{
		OutTradeNo: no, Amount: r.Amount, Tag: e.cfg.hooks.ledger.NewTag(), Merchant: e.cfg.Merchant, API: e.cfg.API, HostFamily: e.cfg.HostFamily,
		SaleRef: r.SaleRef, Attempt: attempt, Description: description, Attach: attach, GoodsTag: r.GoodsTag, LimitPay: r.LimitPay,
		Detail: r.Detail, Operator: r.Operator, Store: e.cfg.Store, AdditionalTender: r.AdditionalTender,
	}
}

// Bounds of what a till may send with a payment, in bytes; WeChat Pay's own limits are cut to in wxclient.
const (
	keyMax         = 64
	saleRefMax     = 64
	descriptionMax = 512
	attachMax      = 100 // 127 less the tag and a blank
	shortTextMax   = 64
	detailMax      = 6000
)

func checkArmRequest(r payflow.ArmRequest) error {
	if !printable(r.IdempotencyKey, keyMax) {
		return payflow.ErrKeyMissing
	}
	if !printable(string(r.SaleRef), saleRefMax) {
		return payflow.ErrSaleRef
	}
	if _, err := payflow.NewAmount(r.Amount.Minor, string(r.Amount.Currency)); err != nil {
		return &payflow.BadRequestError{Field: "amount", Text: err.Error()}
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{
		{"description", r.Description, descriptionMax}, {"attach", r.Attach, attachMax}, {"goods_tag", r.GoodsTag, shortTextMax},
		{"operator", r.Operator, shortTextMax}, {"detail", r.Detail, detailMax}, {"limit_pay", r.LimitPay, shortTextMax},
	} {
		if len(f.text) > f.max || !utf8.ValidString(f.text) {
			return &payflow.BadRequestError{Field: f.name, Text: fmt.Sprintf("must be UTF-8 of at most %d bytes", f.max)}
		}
	}
	if r.LimitPay != "" && r.LimitPay != "no_credit" {
		return &payflow.BadRequestError{Field: "limit_pay", Text: `must be "no_credit" or empty`}
	}
	if r.Detail != "" && !json.Valid([]byte(r.Detail)) {
		return &payflow.BadRequestError{Field: "detail", Text: "must be a JSON object"}
	}
	return nil
}

// printable reports 1 to limit characters of printable ASCII, without a blank at either end.
func printable(s string, limit int) bool {
	if len(s) == 0 || len(s) > limit || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// digestOf names the request, so that a key that comes again can be compared.
func digestOf(r payflow.ArmRequest) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("read the request: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}
