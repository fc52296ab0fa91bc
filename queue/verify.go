package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

const (
	// verifySlice is how many records are read in one transaction, so that a reader never lasts.
	verifySlice = 500
	// findingsMax bounds a report; a journal with more is lost anyway.
	findingsMax = 1000
)

// FindingKind says what is wrong with the journal.
type FindingKind string

// What Verify finds.
const (
	FoundEdited    FindingKind = "edited"    // an entry is not what was written there, or was chained without the key
	FoundDropped   FindingKind = "dropped"   // entries between two others are gone
	FoundReordered FindingKind = "reordered" // an entry stands in another's place
	FoundTruncated FindingKind = "truncated" // a head names newer entries than the journal holds
	FoundReplaced  FindingKind = "replaced"  // the journal holds another entry than the one a head names
	FoundState     FindingKind = "state"     // a payment is not as its last event left it
	FoundIndex     FindingKind = "index"     // an index and the payments disagree
	FoundStructure FindingKind = "structure" // bbolt's pages are damaged
	FoundInGap     FindingKind = "gap"       // a head is of entries that a named restore lost, or came in their place
	FoundAtAStart  FindingKind = "start"     // an earlier start found newer entries missing, and nobody has accounted for it
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind        FindingKind         `json:"kind"`
	Sequence    uint64              `json:"sequence,omitempty"` // of the entry
	OutTradeNo  payflow.OutTradeNo  `json:"out_trade_no,omitempty"`
	OutRefundNo payflow.OutRefundNo `json:"out_refund_no,omitempty"`
	Head        string              `json:"head,omitempty"` // what it was measured against
	Text        string              `json:"text"`
}

// Report is what Verify read and what it found.
type Report struct {
	Head     Head      `json:"head"`
	Events   uint64    `json:"events"`
	Payments uint64    `json:"payments"`
	Refunds  uint64    `json:"refunds,omitempty"`
	Heads    int       `json:"heads"` // that the chain was measured against
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"` // what could not be checked
}

// Clean reports that nothing was found.
func (r Report) Clean() bool { return len(r.Findings) == 0 }

// String is the report as a person reads it.
func (r Report) String() string {
	var text strings.Builder
	refunds := ""
	if r.Refunds > 0 {
		refunds = fmt.Sprintf(" %d refunds,", r.Refunds)
	}
	fmt.Fprintf(&text, "%d entries, %d payments,%s measured against %d heads; the chain ends at %s\n", r.Events, r.Payments, refunds, r.Heads, r.Head)
	for _, n := range r.Notes {
		fmt.Fprintf(&text, "note: %s\n", n)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&text, "%s: %s%s\n", f.Kind, strings.TrimPrefix(string(f.OutTradeNo)+string(f.OutRefundNo)+": ", ": "), f.Text)
	}
	if r.Clean() {
		text.WriteString("nothing is wrong\n")
	}
	return text.String()
}

// Verify reads the whole journal: every seal, the chain, each payment against its last event, the indexes, bbolt's own
// pages, and the chain against the head memo and the heads given, which come from the system log and Z reports. The error is of the reading itself (ctx
// ended, the journal closed); what is wrong with the journal is in the report. Readers and the engine go on meanwhile, but for
// bbolt's check of its pages, during which no step is made: about 0.2 s for a million payments.
func (j *Journal) Verify(ctx context.Context, heads []Head) (Report, error) {
	v := &verifier{j: j, ctx: ctx, report: Report{Head: j.Head(), Findings: []Finding{}}}
	for _, check := range []func() error{v.pages, v.chain, v.payments, v.found, v.indexes, v.refundLines, func() error { return v.heads(heads) }} {
		err := check()
		var damage *DamageError
		switch {
		case errors.Is(err, errUnsound):
			return v.report, nil
		case errors.As(err, &damage):
			v.find(Finding{Kind: FoundStructure, Text: damage.Error()})
		case err != nil:
			return v.report, err
		}
	}
	return v.report, nil
}

// verifier is one run of Verify.
type verifier struct {
	j      *Journal
	ctx    context.Context
	report Report
	wanted map[string]int // lines that the payments have in each index
	prev   Head           // the entry before, as the chain is walked
	gaps   []restoredGap
}

func (v *verifier) find(f Finding) {
	if len(v.report.Findings) < findingsMax {
		v.report.Findings = append(v.report.Findings, f)
	}
}

// errUnsound says that nothing more can be read safely; what is wrong is in the report.
var errUnsound = errors.New("the journal's pages are not sound")

// pages checks that bbolt's pages are sound, and then has bbolt check them by its own rules.
func (v *verifier) pages() error {
	v.j.writing.Lock() // neither may run beside a writer
	defer v.j.writing.Unlock()
	return v.j.view(func(tx *bbolt.Tx) error {
		wrong, err := checkPages(v.j.file, tx.DB().Info().PageSize)
		if mayPass(err) {
			return unreadable(v.j.cfg.File, err)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, text := range wrong {
			v.find(Finding{Kind: FoundStructure, Text: text})
		}
		if len(wrong) > 0 {
			return errUnsound
		}
		for err := range tx.Check() {
			v.find(Finding{Kind: FoundStructure, Text: err.Error()})
		}
		return v.ctx.Err()
	})
}

// singles checks the records of the buckets that hold one for each use.
func (v *verifier) singles() error {
	return v.j.view(func(tx *bbolt.Tx) error {
		told, about := v.j.about(tx)
		_, counters := v.j.counters(tx)
		asked, searches := v.j.searches(tx)
		if searches == nil && about == nil && told.Restored > 0 && len(asked.Searches) == 0 {
			searches = damaged(string(bucketAbout), keySearches, fmt.Sprintf("what was to be asked of WeChat Pay after the restore of entry %d is not there", told.Restored))
		}
		for _, err := range []error{about, counters, searches} {
			if err != nil {
				v.find(Finding{Kind: FoundEdited, Text: err.Error()})
			}
		}
		if lacksTally(tx) {
			v.find(Finding{Kind: FoundEdited, Text: fmt.Sprintf("%s %s is not there, which every step writes", bucketCounters, keyTally)})
		}
		return nil
	})
}

// each calls f with every line of a bucket, a slice at a time, until f has seen the line whose key is last (nil: all).
func (v *verifier) each(bucket, last []byte, f func(tx *bbolt.Tx, key, value []byte)) error {
	var after []byte
	for more := true; more; {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		err := v.j.view(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			if more = b != nil; !more {
				return nil // a journal of before there were refunds, opened for reading
			}
			c := b.Cursor()
			key, value := c.First()
			if after != nil {
				if key, value = c.Seek(after); bytes.Equal(key, after) {
					key, value = c.Next()
				}
			}
			for n := 0; n < verifySlice && key != nil; n++ {
				if last != nil && bytes.Compare(key, last) > 0 {
					break
				}
				f(tx, key, value)
				after = bytes.Clone(key)
				key, value = c.Next()
			}
			more = key != nil && (last == nil || bytes.Compare(key, last) <= 0)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// chain walks the entries up to the head at the beginning.
func (v *verifier) chain() error {
	if err := v.singles(); err != nil {
		return err
	}
	err := v.each(bucketEvents, place8(v.report.Head.Sequence), func(tx *bbolt.Tx, key, value []byte) {
		v.report.Events++
		v.entry(tx, key, value)
	})
	if err == nil && v.prev.Sequence < v.report.Head.Sequence {
		v.find(Finding{Kind: FoundDropped, Sequence: v.prev.Sequence + 1, Text: fmt.Sprintf("entries %d to %d are gone", v.prev.Sequence+1, v.report.Head.Sequence)})
	}
	return err
}

func (v *verifier) entry(tx *bbolt.Tx, key, value []byte) {
	at := number8(key)
	if want := v.prev.Sequence + 1; at != want {
		v.find(Finding{Kind: FoundDropped, Sequence: want, Text: fmt.Sprintf("entries %d to %d are gone", want, at-1)})
	}
	follows := v.prev.Sequence+1 == at
	before := v.prev.Hash
	body, mark, _ := split(value)
	v.prev = Head{Sequence: at, Hash: mark}

	r, _, broken := v.j.readEvent(key, value)
	if broken != nil {
		r = eventRecord{}
		_ = json.Unmarshal(body, &r) // what can still be told of it
	}
	switch {
	case r.Sequence != at && r.Sequence != 0:
		v.find(Finding{Kind: FoundReordered, Sequence: at, OutTradeNo: r.OutTradeNo, Text: fmt.Sprintf("entry %d holds what was written as entry %d", at, r.Sequence)})
	case broken != nil:
		v.find(Finding{Kind: FoundEdited, Sequence: at, OutTradeNo: r.OutTradeNo, Text: fmt.Sprintf("entry %d is not what was written: its seal is broken", at)})
	case follows && r.Prev != before:
		v.find(Finding{Kind: FoundEdited, Sequence: at, OutTradeNo: r.OutTradeNo, Text: fmt.Sprintf("entry %d does not follow entry %d as it stands now", at, at-1)})
	}
	v.noteStart(r)
	v.lastOf(tx, r)
}

// noteStart remembers that a start found entries missing, until a person's restore accounts for it.
func (v *verifier) noteStart(r eventRecord) {
	if r.Kind != EventRestored {
		return
	}
	if g, ok := gapOf(r); ok {
		v.gaps = append(v.gaps, g)
	}
	if r.Ref == foundByStart {
		v.find(Finding{Kind: FoundAtAStart, Sequence: r.Sequence, Text: r.Note})
		return
	}
	if r.Operator != "" {
		v.report.Findings = slices.DeleteFunc(v.report.Findings, func(f Finding) bool { return f.Kind == FoundAtAStart })
	}
	v.report.Notes = append(v.report.Notes, strings.TrimSpace(fmt.Sprintf("entry %d, restored or moved: %s %s", r.Sequence, r.Note, r.Operator)))
}

// lastOf sees that the payment, refund or found order of an entry is there, and is no older than the entry.
func (v *verifier) lastOf(tx *bbolt.Tx, r eventRecord) {
	name, bucket, key := "payment", bucketPayments, string(r.OutTradeNo)
	if r.Refund.OutRefundNo != "" {
		name, bucket, key = "refund", bucketRefunds, string(r.Refund.OutRefundNo)
	}
	if isOfFound(r.Kind) {
		name, bucket = "found order", bucketFound
	}
	if key == "" {
		return
	}
	var state struct {
		Sequence uint64 `json:"sequence"`
	}
	f := Finding{Kind: FoundState, Sequence: r.Sequence, OutTradeNo: r.OutTradeNo, OutRefundNo: r.Refund.OutRefundNo}
	var sealed []byte
	if b := tx.Bucket(bucket); b != nil {
		sealed = b.Get([]byte(key))
	}
	body, _, _ := split(sealed)
	if json.Unmarshal(body, &state) != nil {
		f.Text = fmt.Sprintf("the %s of entry %d is not there", name, r.Sequence)
		v.find(f)
		return
	}
	if state.Sequence < r.Sequence {
		f.Text = fmt.Sprintf("the %s stands as it did at entry %d, but entry %d came after it", name, state.Sequence, r.Sequence)
		v.find(f)
	}
}

// payments checks each payment's seal, its last event, and its lines in the indexes.
func (v *verifier) payments() error {
	v.wanted = map[string]int{}
	return v.each(bucketPayments, nil, func(tx *bbolt.Tx, key, _ []byte) {
		v.report.Payments++
		no := payflow.OutTradeNo(key)
		r, mark, err := v.j.payment(tx, no)
		if err != nil {
			v.find(Finding{Kind: FoundState, OutTradeNo: no, Text: err.Error()})
			return
		}
		if event, _, err := v.j.event(tx, r.Sequence); err != nil || event.OutTradeNo != no || event.State != mark {
			v.find(Finding{Kind: FoundState, Sequence: r.Sequence, OutTradeNo: no, Text: fmt.Sprintf("the payment is not as entry %d left it", r.Sequence)})
		}
		for _, p := range placesOf(r) {
			v.wanted[string(p.bucket)]++
			if !bytes.Equal(tx.Bucket(p.bucket).Get(p.key), key) {
				v.find(Finding{Kind: FoundIndex, OutTradeNo: no, Text: fmt.Sprintf("the payment is not found by %s", p.bucket)})
			}
		}
	})
}

// indexes checks that each line of an index is its payment's. Where there are as many lines as payments asked for, and payments found
// theirs, that is so already.
func (v *verifier) indexes() error {
	for _, bucket := range indexes() {
		lines := 0
		if err := v.each(bucket, nil, func(*bbolt.Tx, []byte, []byte) { lines++ }); err != nil {
			return err
		}
		if lines == v.wanted[string(bucket)] && v.report.Clean() {
			continue
		}
		err := v.each(bucket, nil, func(tx *bbolt.Tx, key, value []byte) {
			if _, err := v.j.indexed(tx, bucket, key, value); err != nil {
				v.find(Finding{Kind: FoundIndex, OutTradeNo: payflow.OutTradeNo(bytes.Clone(value)), Text: err.Error()})
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// heads measures the chain against the memo beside the key and the heads that somebody kept. The memo is read before the journal is looked at: payments go on
// meanwhile, and one that was read behind it may name entries that came after the look.
func (v *verifier) heads(heads []Head) error {
	memo, err := readSmall(v.j.cfg, v.j.cfg.memoFile(), v.j.keys, readMemo)
	if isUnreadable(err) {
		return err
	}
	return v.j.view(func(tx *bbolt.Tx) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			v.report.Notes = append(v.report.Notes, "there is no head memo beside the key: entries cut from the end show against the heads in the system log alone")
		case err != nil:
			v.find(Finding{Kind: FoundEdited, Head: v.j.cfg.memoFile(), Text: err.Error()})
		case v.j.accounted(tx, memo):
			v.report.Notes = append(v.report.Notes, "the head memo beside the key is of the journal that was replaced by the last restore; the next start writes it anew")
		default:
			v.measure(tx, memo, "the head memo beside the key")
		}
		for _, h := range heads {
			v.measure(tx, h, "a head that was given")
		}
		if _, _, err := v.j.tallied(tx); err != nil && v.report.Clean() {
			v.find(Finding{Kind: FoundTruncated, Text: err.Error()})
		}
		return nil
	})
}

func (v *verifier) measure(tx *bbolt.Tx, h Head, source string) {
	v.report.Heads++
	if f := v.j.against(tx, h, source); f != nil {
		v.find(v.gapped(*f))
	}
}

// against measures the chain against one head that was kept elsewhere; nil where the chain holds it.
func (j *Journal) against(tx *bbolt.Tx, h Head, source string) *Finding {
	end := claimedHead(tx).Sequence
	if h.Sequence > end {
		return &Finding{Kind: FoundTruncated, Sequence: end + 1, Head: h.String(),
			Text: fmt.Sprintf("the journal ends at entry %d, but %s names entry %d: the newest %d are gone", end, source, h.Sequence, h.Sequence-end)}
	}
	if _, mark, _ := split(tx.Bucket(bucketEvents).Get(place8(h.Sequence))); mark != h.Hash {
		return &Finding{Kind: FoundReplaced, Sequence: h.Sequence, Head: h.String(),
			Text: fmt.Sprintf("entry %d is not the one that %s names: entries were replaced, or an older copy of the journal was put in place", h.Sequence, source)}
	}
	return nil
}
