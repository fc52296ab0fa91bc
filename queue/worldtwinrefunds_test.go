package queue

import (
	"cmp"
	"slices"
	"time"

	"posagent/payflow"
)

func (d *twinDisk) refund(no payflow.OutRefundNo) *refundRecord {
	for _, r := range d.refunds {
		if r.OutRefundNo == no {
			return r
		}
	}
	return nil
}

func (j *twinJournal) AddRefund(key, digest string, r payflow.Refund) (entry payflow.RefundEntry, err error) {
	err = j.write(func() (worldLine, error) {
		d := j.disk
		p, ok := d.payments[r.OutTradeNo]
		switch {
		case !ok:
			return worldLine{}, payflow.ErrNoPayment
		case d.refund(r.OutRefundNo) != nil, key != "" && slices.ContainsFunc(d.refunds, func(other *refundRecord) bool { return other.Key == key }):
			return worldLine{}, payflow.ErrKeyReused
		}
		others := d.refundsThat(func(other *refundRecord) bool { return other.OutTradeNo == r.OutTradeNo })
		if err := mayRefund(p.Entry, r, others); err != nil {
			return worldLine{}, err
		}
		record := refundRecord{Key: key, Digest: digest,
			RefundEntry: payflow.RefundEntry{Refund: r, SaleRef: p.SaleRef, StoreDay: r.RequestedAt.In(j.cfg.Location).Format(time.DateOnly)}}
		d.refunds = append(d.refunds, &record)
		entry = d.storeRefund(&record)
		return worldLine{Event: EventRefundWished}, nil
	})
	return entry, err
}

func (j *twinJournal) CommitRefund(e payflow.RefundEvent, after payflow.Refund) (entry payflow.RefundEntry, err error) {
	err = j.write(func() (worldLine, error) {
		r := j.disk.refund(after.OutRefundNo)
		if r == nil {
			return worldLine{}, payflow.ErrNoRefund
		}
		if err := mayRefundFollow(r.Refund, after); err != nil {
			return worldLine{}, err
		}
		r.Refund = after
		entry = j.disk.storeRefund(r)
		return worldLine{Event: string(e.Kind)}, nil
	})
	return entry, err
}

// storeRefund returns the refund as it was written, and keeps it as it is read back from JSON: its times have no monotonic reading.
func (d *twinDisk) storeRefund(r *refundRecord) payflow.RefundEntry {
	d.sequence++
	r.Sequence = d.sequence
	written := r.RefundEntry
	for _, t := range []*time.Time{&r.RequestedAt, &r.AcceptedAt, &r.FinalAt, &r.Seen.At, &r.CallStartedAt, &r.WakeAt, &r.LostAt, &r.NextRequestAt, &r.WaitedFrom,
		&r.Report.CreatedAt, &r.Report.SuccessTime} {
		*t = t.Round(0)
	}
	return written
}

// refundsThat returns the refunds that f takes, the oldest wish first.
func (d *twinDisk) refundsThat(f func(*refundRecord) bool) (entries []payflow.RefundEntry) {
	for _, r := range d.refunds {
		if f(r) {
			entries = append(entries, r.RefundEntry)
		}
	}
	return entries
}

func (j *twinJournal) listRefunds(f func(*refundRecord) bool) ([]payflow.RefundEntry, error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, err
	}
	return j.disk.refundsThat(f), nil
}

func (j *twinJournal) Refund(no payflow.OutRefundNo) (payflow.RefundEntry, error) {
	entries, err := j.listRefunds(func(r *refundRecord) bool { return r.OutRefundNo == no })
	if err != nil {
		return payflow.RefundEntry{}, err
	}
	if len(entries) == 0 {
		return payflow.RefundEntry{}, payflow.ErrNoRefund
	}
	return entries[0], nil
}

func (j *twinJournal) RefundByKey(key string) (entry payflow.RefundEntry, digest string, found bool, err error) {
	_, err = j.listRefunds(func(r *refundRecord) bool {
		if r.Key == key {
			entry, digest, found = r.RefundEntry, r.Digest, true
		}
		return false
	})
	return entry, digest, found, err
}

func (j *twinJournal) OpenRefunds() ([]payflow.RefundEntry, error) {
	return j.listRefunds(func(r *refundRecord) bool { return r.Open() || r.Attention != "" })
}

func (j *twinJournal) RefundsOfPayment(no payflow.OutTradeNo) ([]payflow.RefundEntry, error) {
	return j.listRefunds(func(r *refundRecord) bool { return r.OutTradeNo == no })
}

// RefundsOfDay is for people's lists, and no world looks at one.
func (j *twinJournal) RefundsOfDay(string, payflow.OutRefundNo, int) ([]payflow.RefundEntry, error) {
	panic("the twin has no days")
}

// refunds reads what is held, in the order of their numbers, as a walk through their bucket does.
func (j *twinJournal) refunds() (all []worldRefund) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	for _, r := range j.disk.refunds {
		all = append(all, worldRefund{Refund: r.OutRefundNo, No: r.OutTradeNo, Minor: r.Amount.Minor, Status: r.Status, Attention: r.Attention != ""})
	}
	slices.SortFunc(all, func(a, b worldRefund) int { return cmp.Compare(a.Refund, b.Refund) })
	return all
}
