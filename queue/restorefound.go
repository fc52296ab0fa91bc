package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// Events of the chain about what a restore lost.
const (
	EventFoundAfterRestore = "found_after_restore" // WeChat Pay holds an order that the journal lost
	EventFoundSettled      = "found_settled"       // a person has said what became of it
	EventSearched          = "restore_searched"    // WeChat Pay was asked for all of them
)

// bucketFound holds what was found after a restore, by out_trade_no. A journal that was never restored has none.
var bucketFound = []byte("found_after_restore")

// foundRecord is one order as it stands in that bucket.
type foundRecord struct {
	Format int    `json:"v"`
	Before uint64 `json:"before,omitempty"` // the sequence of the event about it before the last
	payflow.FoundAfterRestore
}

// isOfFound reports an event about an order that is in no bucket of payments.
func isOfFound(kind string) bool { return kind == EventFoundAfterRestore || kind == EventFoundSettled }

// found reads one record; ok is false where there is none.
func (j *Journal) foundRecord(tx *bbolt.Tx, no payflow.OutTradeNo) (r foundRecord, mark string, ok bool, err error) {
	bucket := tx.Bucket(bucketFound)
	if bucket == nil {
		return r, "", false, nil
	}
	sealed := bucket.Get([]byte(no))
	if sealed == nil {
		return r, "", false, nil
	}
	mark, err = unseal(j.keys.state, string(bucketFound), []byte(no), sealed, &r)
	return r, mark, err == nil, err
}

// notThere says why there is no payment under that number.
func (j *Journal) notThere(tx *bbolt.Tx, no payflow.OutTradeNo) error {
	r, _, found, err := j.foundRecord(tx, no)
	switch {
	case err != nil:
		return err
	case found:
		return &payflow.FoundOrderError{Found: r.FoundAfterRestore}
	}
	return j.neverWas(tx, no)
}

// putFound writes the record with its event, in the step that calls it.
func (j *Journal) putFound(tx *bbolt.Tx, r foundRecord, event eventRecord) (Head, error) {
	bucket, err := tx.CreateBucketIfNotExists(bucketFound)
	if err != nil {
		return Head{}, err
	}
	r.Format, r.Before, r.Sequence = formatVersion, r.Sequence, j.head.Sequence+1
	sealed, mark, err := seal(j.keys.state, string(bucketFound), []byte(r.OutTradeNo), r)
	if err != nil {
		return Head{}, err
	}
	if err := bucket.Put([]byte(r.OutTradeNo), sealed); err != nil {
		return Head{}, err
	}
	event.Sequence, event.OutTradeNo, event.Amount, event.Before, event.State = r.Sequence, r.OutTradeNo, r.Amount, r.Before, mark
	event.TradeState, event.TransactionID = payflow.TradeState(cut(string(r.State))), payflow.TransactionID(cut(string(r.TransactionID)))
	return j.appendEvent(tx, event)
}

// keepFound stores an order that WeChat Pay holds and this journal lost, and how far the search has come, in one commit.
func (j *Journal) keepFound(s search, t payflow.Trade) error {
	return j.update(func(tx *bbolt.Tx) (Head, error) {
		if isPayment(tx, t.OutTradeNo) {
			return Head{}, fmt.Errorf("%s is a payment of this journal, and was not lost", t.OutTradeNo)
		}
		_, _, known, err := j.foundRecord(tx, t.OutTradeNo)
		if err == nil {
			_, err = j.replaceSearch(tx, s)
		}
		if err != nil || known {
			return j.head, err
		}
		r := foundRecord{FoundAfterRestore: payflow.FoundAfterRestore{OutTradeNo: t.OutTradeNo, State: payflow.TradeState(cut(string(t.State))), Amount: t.Amount, PayerAmount: t.PayerAmount,
			TransactionID: payflow.TransactionID(cut(string(t.TransactionID))), SuccessTime: t.SuccessTime, Attach: cut(t.Attach), FoundAt: j.cfg.Now()}}
		return j.putFound(tx, r, eventRecord{JournalEvent: payflow.JournalEvent{At: r.FoundAt, Kind: EventFoundAfterRestore,
			Note: cut(fmt.Sprintf("%s %s %s", t.State, t.TransactionID, t.Attach))}})
	})
}

func isPayment(tx *bbolt.Tx, no payflow.OutTradeNo) bool {
	return tx.Bucket(bucketPayments).Get([]byte(no)) != nil
}

// hasPayment reports that a number is a payment of this journal: it was not lost.
func (j *Journal) hasPayment(no payflow.OutTradeNo) (there bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		there = isPayment(tx, no)
		return nil
	})
	return there, err
}

// FoundAfterRestore returns every order that was found after a restore, by its number, at most 10,000; with all false those alone that need a person.
func (j *Journal) FoundAfterRestore(all bool) ([]payflow.FoundAfterRestore, error) {
	list := []payflow.FoundAfterRestore{}
	err := j.view(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketFound)
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		for key, _ := c.First(); key != nil && len(list) < listMax; key, _ = c.Next() {
			r, _, _, err := j.foundRecord(tx, payflow.OutTradeNo(key))
			if err != nil {
				return err
			}
			if all || r.NeedsPerson() {
				list = append(list, r.FoundAfterRestore)
			}
		}
		return nil
	})
	return list, err
}

// foundOfSale returns an order that was lost and found again and that pays this sale. A journal that was never restored looks at nothing.
func (j *Journal) foundOfSale(sale payflow.SaleRef) (no payflow.OutTradeNo, found bool, err error) {
	all, err := j.FoundAfterRestore(true)
	for _, f := range all {
		if f.PaysSale(sale) {
			return f.OutTradeNo, true, nil
		}
	}
	return "", false, err
}

// SettleFound records a person's word on an order that was found after a restore. The first one stays; a second changes nothing. The operator is required.
func (j *Journal) SettleFound(no payflow.OutTradeNo, operator, note string) (payflow.FoundAfterRestore, error) {
	if operator == "" {
		return payflow.FoundAfterRestore{}, &payflow.BadRequestError{Field: "operator", Text: "must be the name of who says so"}
	}
	var done foundRecord
	err := j.update(func(tx *bbolt.Tx) (Head, error) {
		r, _, ok, err := j.foundRecord(tx, no)
		switch {
		case err != nil:
			return Head{}, err
		case !ok:
			return Head{}, payflow.ErrNoPayment
		}
		done = r
		if !r.Settled.At.IsZero() {
			return j.head, nil
		}
		r.Settled = payflow.FoundSettled{At: j.cfg.Now(), Operator: cut(operator), Note: cut(note)}
		done = r
		done.Sequence = j.head.Sequence + 1
		return j.putFound(tx, r, eventRecord{JournalEvent: payflow.JournalEvent{At: r.Settled.At, Kind: EventFoundSettled, Operator: cut(operator), Note: cut(note)}})
	})
	return done.FoundAfterRestore, err
}

// FoundAfterRestore returns the orders that were found after a restore and that a person must look at. They are in no list of payments.
func (e *Engine) FoundAfterRestore() ([]payflow.FoundAfterRestore, error) {
	return e.cfg.Journal.FoundAfterRestore(false)
}

// SettleFound records a person's word on an order that was found after a restore: what became of goods and money. It moves no money.
func (e *Engine) SettleFound(ctx context.Context, no payflow.OutTradeNo, operator, note string) (payflow.FoundAfterRestore, error) {
	return onLoop(ctx, e, func() (payflow.FoundAfterRestore, error) {
		if err := e.writable(); err != nil {
			return payflow.FoundAfterRestore{}, err
		}
		found, err := e.cfg.Journal.SettleFound(no, operator, note)
		if errors.Is(err, payflow.ErrJournalClosed) {
			e.fail(err)
		}
		return found, err
	})
}

// doubtScans has every payment that waited for its scan asked for at the next start of the engine: the scan may be among the entries that are gone.
func (j *Journal) doubtScans() error {
	entries, err := j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) { return j.walk(tx, bucketOpen, nil, nil, listMax) })
	var damage *DamageError
	if errors.As(err, &damage) {
		return nil // no engine starts on it
	}
	for _, entry := range entries {
		if entry.Status != payflow.Waiting {
			continue
		}
		if _, err := j.change(entry.OutTradeNo, j.doubtScan); err != nil {
			return err
		}
	}
	return err
}

func (j *Journal) doubtScan(r *paymentRecord) (eventRecord, error) {
	r.Payment = payflow.MayHaveLeft(r.Payment, j.cfg.Now())
	event := ofPayment(EventScanInDoubt, r.Payment)
	event.At = r.FirstPayAt
	return event, nil
}

// restoredGap is what a restore lost, as its entry names it.
type restoredGap struct {
	from, to uint64 // entries of the replaced journal
	text     string
}

// gapOf reads the entry of a restore; ok is false for every other.
func gapOf(r eventRecord) (g restoredGap, ok bool) {
	if r.Kind != EventRestored || r.Operator == "" || len(r.Ref) < len(lostMark) || r.Ref[:len(lostMark)] != lostMark {
		return g, false
	}
	lost, err := ParseHead(r.Ref[len(lostMark):])
	g = restoredGap{from: r.Sequence, to: lost.Sequence}
	g.text = fmt.Sprintf("entries %d to %d were lost in the restore of %s by %s (entry %d)", g.from, g.to, r.At.Format(time.DateTime), r.Operator, r.Sequence)
	return g, err == nil
}

// found checks each order that was found after a restore, as a payment is checked.
func (v *verifier) found() error {
	none := false
	if err := v.j.view(func(tx *bbolt.Tx) error { none = tx.Bucket(bucketFound) == nil; return nil }); err != nil || none {
		return err
	}
	return v.each(bucketFound, nil, func(tx *bbolt.Tx, key, _ []byte) {
		no := payflow.OutTradeNo(key)
		r, mark, _, err := v.j.foundRecord(tx, no)
		if err != nil {
			v.find(Finding{Kind: FoundState, OutTradeNo: no, Text: err.Error()})
			return
		}
		if event, _, err := v.j.event(tx, r.Sequence); err != nil || event.OutTradeNo != no || event.State != mark {
			v.find(Finding{Kind: FoundState, Sequence: r.Sequence, OutTradeNo: no, Text: fmt.Sprintf("the order that was found after a restore is not as entry %d left it", r.Sequence)})
		}
	})
}

// gapped words a finding anew that a restore accounts for: who looks must know which of the two it is.
func (v *verifier) gapped(f Finding) Finding {
	head, err := ParseHead(f.Head)
	if err != nil || f.Kind != FoundTruncated && f.Kind != FoundReplaced {
		return f
	}
	for _, g := range v.gaps {
		if head.Sequence >= g.from && head.Sequence <= g.to {
			f.Kind, f.Sequence = FoundInGap, head.Sequence
			f.Text = fmt.Sprintf("%s; the head of entry %d is one of them if it was kept before that, and then nothing is wrong beyond what the restore lost; one that was kept later shows that entries were replaced", g.text, head.Sequence)
			return f
		}
	}
	return f
}

// accounted reports a memo that is of the journal which the last restore replaced, as that restore has written down.
func (j *Journal) accounted(tx *bbolt.Tx, memo Head) bool {
	about, err := j.about(tx)
	return err == nil && about.Lost != "" && about.Lost == memo.String() && j.against(tx, memo, "") != nil
}
