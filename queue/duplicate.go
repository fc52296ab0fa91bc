package queue

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

const (
	// twiceMax bounds how many payments one payment is tied to as a suspected duplicate.
	twiceMax = 10
	// payerBack bounds how many payments of one payer are looked at, the newest first.
	payerBack = 100
	// tiedBack is how many of the newest entries of the chain a start looks at for a link that a crash cut off. The entry that links
	// back comes right behind the one that found the duplicate.
	tiedBack = 20
)

// SuspectedDuplicates returns the payments of a store day, 2006-01-02, that look like one made twice: same payer, same amount, same till, both
// paid within ten minutes. The day is that of the later one, by which they are in order. A pair of which one was given back is none any
// more, and one that was asked for as an additional tender was none (its link says so).
func (e *Engine) SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error) {
	return e.cfg.hooks.ledger.SuspectedDuplicates(day)
}

// SuspectedDuplicates returns what Engine.SuspectedDuplicates does.
func (j *Journal) SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error) {
	entries, err := j.Day(day, "", listMax)
	if err != nil {
		return nil, err
	}
	var pairs []payflow.SuspectedDuplicate
	for _, later := range entries {
		for _, link := range later.Links {
			if link.Kind != payflow.LinkDuplicate {
				continue
			}
			earlier, err := j.Payment(payflow.OutTradeNo(link.Ref))
			if err != nil {
				return nil, err
			}
			if !paidBefore(earlier, later) {
				continue
			}
			back, err := j.oneGivenBack(earlier, later)
			if err != nil {
				return nil, err
			}
			if !back {
				pairs = append(pairs, payflow.SuspectedDuplicate{First: earlier, Second: later})
			}
		}
	}
	return pairs, nil
}

// paidBefore orders two payments that are tied to each other, so that a pair is told once.
func paidBefore(a, b payflow.Entry) bool {
	if !a.FinalAt.Equal(b.FinalAt) {
		return a.FinalAt.Before(b.FinalAt)
	}
	return a.OutTradeNo < b.OutTradeNo
}

// oneGivenBack reports that the whole money of a payment went back: by the cashier's word, or by refunds that are done.
func (j *Journal) oneGivenBack(entries ...payflow.Entry) (bool, error) {
	for _, e := range entries {
		if e.GivenBack() {
			return true, nil
		}
		refunds, err := j.RefundsOfPayment(e.OutTradeNo)
		if err != nil {
			return false, err
		}
		back := int64(0)
		for _, r := range refunds {
			if r.Status == payflow.RefundDone {
				back += r.Amount.Minor
			}
		}
		if back >= e.Amount.Minor {
			return true, nil
		}
	}
	return false, nil
}

// HashPayer returns a keyed hash of a payer's open id, 24 characters, or nothing where there is none. As with payment codes, the journal
// keeps the hash alone.
func (j *Journal) HashPayer(openID string) string {
	if openID == "" {
		return ""
	}
	return hex.EncodeToString(mac(j.keys.code, []byte("payer"), []byte{0}, []byte(openID))[:12])
}

// hidePayer puts the hash of the payer's open id in its place, before anything else sees the answer.
func (e *Engine) hidePayer(o payflow.Outcome) payflow.Outcome {
	o.Trade.PayerHash, o.Trade.Payer = e.cfg.hooks.ledger.HashPayer(o.Trade.Payer), ""
	return o
}

// twice returns the links of a payment that is about to become paid to those that look like the same payment made twice. It is called
// by the one writer, so that nothing comes between it and the commit.
func (j *Journal) twice(p payflow.Payment) ([]payflow.Link, error) {
	if p.Status != payflow.Paid || p.Trade.PayerHash == "" {
		return nil, nil
	}
	var links []payflow.Link
	err := j.view(func(tx *bbolt.Tx) error {
		return j.ofPayer(tx, p.Trade.PayerHash, func(r paymentRecord) (more bool) {
			if payflow.LooksTwice(r.Payment, p) {
				links = append(links, payflow.Link{At: p.FinalAt, Kind: payflow.LinkTwice(r.Payment, p), Ref: string(r.OutTradeNo)})
			}
			return len(links) < twiceMax
		})
	})
	return links, err
}

// ofPayer reads the paid payments of a payer, the newest first, until f has enough.
func (j *Journal) ofPayer(tx *bbolt.Tx, hash string, f func(paymentRecord) (more bool)) error {
	prefix := codePrefix(hash)
	c := tx.Bucket(bucketByPayer).Cursor()
	step := c.Prev
	if behind, _ := c.Seek(append([]byte(hash), 1)); behind == nil { // the place behind the last of this payer
		step = c.Last
	}
	n := 0
	for key, value := step(); bytes.HasPrefix(key, prefix) && n < payerBack; key, value = c.Prev() {
		r, err := j.indexed(tx, bucketByPayer, key, value)
		if err != nil || !f(r) {
			return err
		}
		n++
	}
	return nil
}

// tieBack ties the other payments of a suspected duplicate to the one that showed it, where they are not yet. It comes after the verdict was
// shown: the payment that turned out a duplicate carries its own link from the very commit that made it paid.
func (e *Engine) tieBack(entry payflow.Entry) error {
	for _, link := range entry.Links {
		if link.Kind != payflow.LinkDuplicate && link.Kind != payflow.LinkAnotherTender {
			continue
		}
		other, err := e.cfg.hooks.ledger.Payment(payflow.OutTradeNo(link.Ref))
		if err == nil && (tiedTo(other, entry.OutTradeNo) || len(other.Links) >= linksMax) {
			continue
		}
		if err == nil {
			_, err = e.cfg.hooks.ledger.Link(other.OutTradeNo, payflow.Link{Kind: link.Kind, Ref: string(entry.OutTradeNo)})
		}
		if err != nil {
			e.fail(err)
			return err
		}
	}
	return nil
}

func tiedTo(entry payflow.Entry, no payflow.OutTradeNo) bool {
	return slices.ContainsFunc(entry.Links, func(l payflow.Link) bool {
		return l.Ref == string(no) && (l.Kind == payflow.LinkDuplicate || l.Kind == payflow.LinkAnotherTender)
	})
}

// recoverTies makes the links that a crash cut off behind the commit that found a duplicate.
func (e *Engine) recoverTies() error {
	entries, err := e.cfg.hooks.ledger.newestTouched(tiedBack)
	var damage *DamageError
	if errors.As(err, &damage) {
		e.cfg.Log.Error().Err(err).Msg("suspected duplicates could not be tied to each other; what is open is seen through all the same")
		return nil // the journal's check, which comes next, has nothing more sold
	}
	if err != nil {
		e.fail(err)
		return err
	}
	for _, entry := range entries {
		if err := e.tieBack(entry); err != nil {
			return err
		}
	}
	return nil
}

// newestTouched returns the payments that the newest n entries of the chain are about, each once, the newest first.
func (j *Journal) newestTouched(n int) ([]payflow.Entry, error) {
	return j.list(func(tx *bbolt.Tx) ([]payflow.Entry, error) {
		var entries []payflow.Entry
		seen := map[payflow.OutTradeNo]bool{"": true}
		c := tx.Bucket(bucketEvents).Cursor()
		for place, sealed := c.Last(); place != nil && n > 0; place, sealed = c.Prev() {
			n--
			event, _, err := j.readEvent(place, sealed)
			if err != nil {
				return nil, err
			}
			if seen[event.OutTradeNo] || isOfFound(event.Kind) {
				continue
			}
			seen[event.OutTradeNo] = true
			r, _, err := j.payment(tx, event.OutTradeNo)
			if err != nil {
				return nil, err
			}
			entries = append(entries, r.Entry)
		}
		return entries, nil
	})
}
