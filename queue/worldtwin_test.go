package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// twinDisk is what the journal's twin holds: the same records, as plain values instead of sealed JSON in bbolt. Most fast worlds use it, because
// two thirds of what a world costs on the journal is JSON, seals and pages, which do not depend on the order of events. That the twin says what the
// journal says is tested: the same seed must make the same log on both.
type twinDisk struct {
	mu       sync.Mutex // guards all below
	payments map[payflow.OutTradeNo]*paymentRecord
	inTurn   []payflow.OutTradeNo // of arming
	byKey    map[string]payflow.OutTradeNo
	number   uint64
	sequence uint64
	starts   uint64
	newest   worldLine
	refunds  []*refundRecord // in the order of their wishes
}

func newTwinDisk() *twinDisk {
	return &twinDisk{payments: map[payflow.OutTradeNo]*paymentRecord{}, byKey: map[string]payflow.OutTradeNo{}, sequence: 1}
}

// twinJournal is one start's hold of the twin; like the Journal it refuses everything once a step has failed.
type twinJournal struct {
	disk    *twinDisk
	cfg     JournalConfig
	starts  uint64
	stopped error // guarded by disk.mu
}

func (j *twinJournal) startCount() uint64 { return j.starts }

func (j *twinJournal) stop(err error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if j.stopped == nil {
		j.stopped = err
	}
}

func (j *twinJournal) usable() error {
	if j.stopped != nil {
		return fmt.Errorf("%w (%w)", payflow.ErrJournalClosed, j.stopped)
	}
	return nil
}

// write makes one step: f changes what is held and says what of it is newest, or refuses.
func (j *twinJournal) write(f func() (worldLine, error)) error {
	if err := j.written(f); err != nil {
		return err
	}
	if err := j.cfg.step("committed"); err != nil { // without the lock: what stands behind it reads
		j.disk.mu.Lock()
		defer j.disk.mu.Unlock()
		return j.poison(err)
	}
	return nil
}

func (j *twinJournal) written(f func() (worldLine, error)) error {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return err
	}
	if err := j.cfg.step("commit"); err != nil {
		return j.poison(err)
	}
	newest, err := f()
	if err != nil {
		return err
	}
	j.disk.newest = newest
	return nil
}

// update makes a step of a payment's: f returns the record to store, or refuses.
func (j *twinJournal) update(kind string, f func() (paymentRecord, error)) (entry payflow.Entry, err error) {
	err = j.write(func() (worldLine, error) {
		r, err := f()
		if err != nil {
			return worldLine{}, err
		}
		j.disk.sequence++
		r.Format, r.Sequence, r.WeChatDay = formatVersion, j.disk.sequence, weChatDay(r.Payment)
		entry = r.Entry
		stored := asRead(r)
		j.disk.payments[r.OutTradeNo] = &stored
		return worldLine{Event: kind, No: r.OutTradeNo, Record: recordOf(&stored.Entry), Sale: saleOf(string(r.SaleRef))}, nil
	})
	return entry, err
}

func (j *twinJournal) poison(err error) error {
	j.stopped = fmt.Errorf("a step failed and may or may not be on disk: %w", err)
	return j.usable()
}

// asRead is a record as it is read back from JSON: its times have no monotonic reading.
func asRead(r paymentRecord) paymentRecord {
	for _, t := range []*time.Time{&r.ArmedAt, &r.ScannedAt, &r.TrueScanAt, &r.ReversingAt, &r.FinalAt, &r.WakeAt, &r.FirstPayAt, &r.PayEndedAt, &r.CallStartedAt,
		&r.NextReverseAt, &r.AbsentAt, &r.SetAside.At, &r.Trade.SuccessTime, &r.Acknowledged.At, &r.Late.Trade.SuccessTime, &r.Late.FoundAt,
		&r.Late.EndedAt, &r.Late.Settled.At, &r.Late.Since, &r.Late.DeadAt, &r.Late.GuardAt, &r.Late.CallStartedAt, &r.Late.WakeAt,
		&r.Late.NextReverseAt, &r.Late.AbsentAt} {
		*t = t.Round(0)
	}
	r.Links = slices.Clone(r.Links)
	for i := range r.Links {
		r.Links[i].At = r.Links[i].At.Round(0)
	}
	return r
}

func (j *twinJournal) Arm(key, digest string, sale payflow.SaleRef, prepare func(no payflow.OutTradeNo, attempt int) payflow.Payment) (payflow.Entry, error) {
	return j.update(EventArmed, func() (paymentRecord, error) {
		d := j.disk
		if _, there := d.byKey[key]; there {
			return paymentRecord{}, payflow.ErrKeyReused
		}
		d.number++
		no := outTradeNo(j.cfg.StoreID, j.cfg.TillID, j.cfg.Now().In(j.cfg.Location), d.number, worldRandom)
		attempt := 1
		for _, r := range d.payments {
			if r.SaleRef == sale {
				attempt = max(attempt, r.Attempt+1)
			}
		}
		p := prepare(no, attempt)
		d.byKey[key], d.inTurn = no, append(d.inTurn, no)
		return paymentRecord{Counter: d.number, Key: key, Digest: digest, Entry: payflow.Entry{Payment: p, StoreDay: p.ArmedAt.In(j.cfg.Location).Format(time.DateOnly)}}, nil
	})
}

func (j *twinJournal) Commit(kind string, _ payflow.Event, after payflow.Payment) (payflow.Entry, error) {
	return j.update(kind, func() (paymentRecord, error) {
		r, ok := j.disk.payments[after.OutTradeNo]
		if !ok {
			return paymentRecord{}, payflow.ErrNoPayment
		}
		if err := mayFollow(r.Payment, after); err != nil {
			return paymentRecord{}, err
		}
		changed := *r
		if changed.Open() && !after.Open() {
			changed.Late = payflow.BeginLate(after)
		}
		changed.Payment = after
		return changed, nil
	})
}

func (j *twinJournal) Acknowledge(no payflow.OutTradeNo, a payflow.Acknowledgement) (payflow.Entry, error) {
	if entry, err := j.Payment(no); err != nil || !entry.Acknowledged.At.IsZero() {
		return entry, err
	}
	return j.update(EventAcknowledged, func() (paymentRecord, error) {
		r := *j.disk.payments[no]
		if r.Open() {
			return paymentRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		r.Acknowledged = a
		return r, nil
	})
}

func (j *twinJournal) Payment(no payflow.OutTradeNo) (payflow.Entry, error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return payflow.Entry{}, err
	}
	r, ok := j.disk.payments[no]
	if !ok {
		return payflow.Entry{}, payflow.ErrNoPayment
	}
	return r.Entry, nil
}

// list returns the payments that f takes, in the order of arming.
func (j *twinJournal) list(f func(*paymentRecord) bool) (entries []payflow.Entry, err error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return nil, err
	}
	for _, no := range j.disk.inTurn {
		if r := j.disk.payments[no]; f(r) {
			entries = append(entries, r.Entry)
		}
	}
	return entries, nil
}

func (j *twinJournal) OpenPayments() ([]payflow.Entry, error) {
	return j.list(func(r *paymentRecord) bool { return r.Open() })
}

func (j *twinJournal) Unannounced() ([]payflow.Entry, error) {
	return j.list(func(r *paymentRecord) bool { return untold(r.Entry) })
}

func (j *twinJournal) CountUnannounced() (int, error) {
	entries, err := j.Unannounced()
	return len(entries), err
}

func (j *twinJournal) PaidBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, found bool, err error) {
	entries, err := j.list(func(r *paymentRecord) bool { return r.SaleRef == sale && r.Status == payflow.Paid })
	if len(entries) == 0 {
		return "", false, err
	}
	return entries[len(entries)-1].OutTradeNo, true, nil
}

func (j *twinJournal) ByKey(key string) (no payflow.OutTradeNo, digest string, found bool, err error) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if err := j.usable(); err != nil {
		return "", "", false, err
	}
	no, found = j.disk.byKey[key]
	if !found {
		return "", "", false, nil
	}
	return no, j.disk.payments[no].Digest, true, nil
}

func (j *twinJournal) ByCodeHash(hash string) (no payflow.OutTradeNo, spent bool, found bool, err error) {
	entries, err := j.list(func(r *paymentRecord) bool { return r.CodeHash == hash })
	for _, e := range entries {
		no, spent, found = e.OutTradeNo, spent || e.CodeSpent, true
	}
	return no, spent, found, err
}

func (j *twinJournal) CommitLate(no payflow.OutTradeNo, e payflow.Event, before, after payflow.Late) (payflow.Entry, error) {
	return j.update(EventLate, func() (paymentRecord, error) {
		r := *j.disk.payments[no]
		if r.Open() {
			return paymentRecord{}, &payflow.WrongStateError{Entry: r.Entry}
		}
		r.Late, r.Links = after, slices.Clone(r.Links)
		for _, link := range payflow.LateLinks(before, after) {
			(&Journal{head: Head{Sequence: j.disk.sequence}}).tie(&r, link, e.At)
		}
		return r, nil
	})
}

func (j *twinJournal) lateOpen() ([]payflow.Entry, error) {
	return j.list(func(r *paymentRecord) bool { return !r.Late.Stage.Over() })
}

func (j *twinJournal) LateTruths() ([]payflow.Entry, error) {
	return j.list(func(r *paymentRecord) bool { return r.Late.ForPerson() })
}

func (j *twinJournal) heldBySale(sale payflow.SaleRef) (no payflow.OutTradeNo, held bool, err error) {
	entries, err := j.list(func(r *paymentRecord) bool { return r.SaleRef == sale && r.Late.HoldsMoney() })
	if len(entries) == 0 {
		return "", false, err
	}
	return entries[len(entries)-1].OutTradeNo, true, nil
}

// No world on the twin asks for these: its customers have no names.

func (j *twinJournal) Link(payflow.OutTradeNo, payflow.Link) (payflow.Entry, error) {
	panic("the twin links nothing")
}

func (j *twinJournal) SuspectedDuplicates(string) ([]payflow.SuspectedDuplicate, error) {
	return nil, nil
}

func (j *twinJournal) newestTouched(int) ([]payflow.Entry, error) { return nil, nil }

func (j *twinJournal) HashPayer(string) string { return "" }

func (j *twinJournal) Day(string, payflow.OutTradeNo, int) ([]payflow.Entry, error) { return nil, nil }

func (j *twinJournal) Recent(int) ([]payflow.Entry, error) { return nil, nil }

func (j *twinJournal) Events(uint64, int) ([]payflow.JournalEvent, error) { return nil, nil }

// HashCode tells codes apart; no secret is kept here.
func (j *twinJournal) HashCode(code payflow.AuthCode) string { return "hash of " + code.Tail() }

func (j *twinJournal) NewTag() payflow.AttachTag {
	return payflow.AttachTag(strings.Repeat("T", payflow.AttachTagLength-4) + fmt.Sprintf("%04d", j.disk.number))
}

func (j *twinJournal) record(no payflow.OutTradeNo) worldRecord {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	if r, ok := j.disk.payments[no]; ok {
		return recordOf(&r.Entry)
	}
	return worldRecord{}
}

func (j *twinJournal) newest() worldLine {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	return j.disk.newest
}

func (j *twinJournal) entries() (entries []worldEntry) {
	j.disk.mu.Lock()
	defer j.disk.mu.Unlock()
	for _, no := range slices.Sorted(maps.Keys(j.disk.payments)) {
		r := j.disk.payments[no]
		entries = append(entries, worldEntry{No: no, Sale: saleOf(string(r.SaleRef)), Record: recordOf(&r.Entry), Untold: untold(r.Entry), InOpen: r.Open()})
	}
	return entries
}

// The twin and the journal make the same world of the same seed, to the last line of its log.
func TestTheTwinMakesTheSameWorldAsTheJournal(t *testing.T) {
	notUnderRace(t)
	disk := newWorldDisk(t)
	same := func(s worldScript) {
		real := liveFast(t, disk, s, noPlant).log.String()
		require.Equal(t, real, liveTwin(t, disk, s, noPlant).log.String(), "seed %d", s.Seed)
	}
	for seed := range uint64(asked(t, "POSAGENT_TWINS", 150)) {
		same(worldFromSeed(seed + 5000))
		if seed%3 == 0 {
			same(refundsFromSeed(seed + 5000))
		}
	}
}
