package queue

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The journal's own kinds of event, beside payflow's.
const (
	EventCreated      = "created"
	EventArmed        = "armed"
	EventAcknowledged = "acknowledged"
	EventLinked       = "linked"
	EventRestored     = "restored"
	EventScanInDoubt  = "scan_in_doubt" // it waited for its scan, and the entries behind are gone
)

// eventTextMax bounds each free text of an event, in bytes.
const eventTextMax = 512

// eventRecord is one entry of the chain.
type eventRecord struct {
	Format int    `json:"v"`
	Prev   string `json:"prev"` // the seal of the entry before
	payflow.JournalEvent
	Before uint64 `json:"before,omitempty"` // the sequence of the same payment's event before
	State  string `json:"state,omitempty"`  // the seal of the payment's state after this event

	Outcome       payflow.OutcomeKind   `json:"outcome,omitempty"`
	Code          string                `json:"code,omitempty"` // WeChat Pay's error code
	TradeState    payflow.TradeState    `json:"trade_state,omitempty"`
	TransactionID payflow.TransactionID `json:"transaction_id,omitempty"`
	Lost          payflow.Reason        `json:"lost,omitempty"`
	Call          int                   `json:"call,omitempty"`
	How           payflow.Handover      `json:"how,omitempty"`
	Ref           string                `json:"ref,omitempty"`

	// Of a refund: the payment that it is of, what the call brought, what WeChat Pay last said, and how many refunds the order had.
	RefundOf      payflow.OutTradeNo        `json:"refund_of,omitempty"`
	RefundOutcome payflow.RefundOutcomeKind `json:"refund_outcome,omitempty"`
	RefundState   payflow.RefundState       `json:"refund_state,omitempty"`
	RefundID      payflow.RefundID          `json:"refund_id,omitempty"`
	Listed        int                       `json:"listed,omitempty"`
}

// shown is an entry as a list shows it: one about a refund names its payment too.
func (r eventRecord) shown() payflow.JournalEvent {
	if r.RefundOf != "" {
		r.OutTradeNo = r.RefundOf
	}
	return r.JournalEvent
}

// Head is the end of the chain: the last entry's sequence and seal. Kept outside the journal, it shows later whether
// the newest entries were cut off.
type Head struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
}

// String is the form that goes to the system log and onto a Z report, such as "1205:9f3c…"; ParseHead reads it.
func (h Head) String() string { return strconv.FormatUint(h.Sequence, 10) + ":" + h.Hash }

// ParseHead reads what Head.String wrote.
func ParseHead(text string) (Head, error) {
	sequence, hash, ok := strings.Cut(strings.TrimSpace(text), ":")
	n, err := strconv.ParseUint(sequence, 10, 64)
	if !ok || err != nil || len(hash) != sealDigits || strings.Trim(hash, "0123456789abcdef") != "" {
		return Head{}, fmt.Errorf("%.90q is not a journal head; it looks like 1205:9f3c… with 64 digits behind the colon", text)
	}
	return Head{Sequence: n, Hash: hash}, nil
}

// Head returns the chain's last entry.
func (j *Journal) Head() Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

// eventOf keeps of a payment's event what matters later. The payment code is no part of it.
func eventOf(kind string, e payflow.Event, p payflow.Payment) eventRecord {
	r := ofPayment(kind, p)
	r.At, r.Operator, r.Note, r.Call = e.At, cut(e.Operator), cut(e.Note), e.Call
	r.Outcome, r.Code = e.Outcome.Kind, cut(e.Outcome.Code)
	r.TradeState, r.TransactionID = payflow.TradeState(cut(string(e.Outcome.Trade.State))), payflow.TransactionID(cut(string(e.Outcome.Trade.TransactionID)))
	r.Lost = e.Lost.Reason
	if r.Code == "" {
		r.Code = cut(e.Lost.Code)
	}
	return r
}

func ofPayment(kind string, p payflow.Payment) eventRecord {
	return eventRecord{JournalEvent: payflow.JournalEvent{
		Kind: kind, OutTradeNo: p.OutTradeNo, SaleRef: p.SaleRef, Status: p.Status, Reason: p.Reason, Attention: p.Attention, Amount: p.Amount,
	}}
}

func cut(text string) string {
	if len(text) > eventTextMax {
		text = strings.ToValidUTF8(text[:eventTextMax], "")
	}
	return text
}

// appendEvent writes the chain's next entry and returns the head that it makes.
func (j *Journal) appendEvent(tx *bbolt.Tx, r eventRecord) (Head, error) {
	events := tx.Bucket(bucketEvents)
	events.FillPercent = appendFill
	r.Format, r.Prev = formatVersion, j.head.Hash
	if via := j.via.Load(); via != nil {
		r.Via = cut(*via)
	}
	place := place8(r.Sequence)
	if r.Sequence != j.head.Sequence+1 || events.Get(place) != nil {
		return Head{}, damaged(string(bucketEvents), place, "the entry that comes next is there already")
	}
	sealed, mark, err := seal(j.keys.chain, string(bucketEvents), place, r)
	if err != nil {
		return Head{}, err
	}
	return Head{Sequence: r.Sequence, Hash: mark}, events.Put(place, sealed)
}

func (j *Journal) event(tx *bbolt.Tx, sequence uint64) (eventRecord, string, error) {
	place := place8(sequence)
	sealed := tx.Bucket(bucketEvents).Get(place)
	if sealed == nil {
		return eventRecord{}, "", damaged(string(bucketEvents), place, "the entry is not there")
	}
	return j.readEvent(place, sealed)
}

func (j *Journal) readEvent(place, sealed []byte) (eventRecord, string, error) {
	var r eventRecord
	if j.cfg.readEntry != nil {
		mark, err := j.cfg.readEntry(j.keys.chain, string(bucketEvents), place, sealed, &r)
		return r, mark, err
	}
	mark, err := unseal(j.keys.chain, string(bucketEvents), place, sealed, &r)
	return r, mark, err
}

// lastHead reads the end of the chain from the file.
func (j *Journal) lastHead(tx *bbolt.Tx) (Head, error) {
	place, sealed := tx.Bucket(bucketEvents).Cursor().Last()
	if place == nil {
		return Head{}, damaged(string(bucketEvents), nil, "the chain is empty")
	}
	r, mark, err := j.readEvent(place, sealed)
	return Head{Sequence: r.Sequence, Hash: mark}, err
}

// claimedHead is the end of the chain as it stands, believed by nobody.
func claimedHead(tx *bbolt.Tx) Head {
	place, sealed := tx.Bucket(bucketEvents).Cursor().Last()
	if len(place) != 8 {
		return Head{}
	}
	_, mark, _ := split(sealed)
	return Head{Sequence: number8(place), Hash: mark}
}

// place8 is a number as a bucket's key, so that keys sort as numbers do.
func place8(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// number8 is what place8 wrote; 0 for any other key, which no entry has.
func number8(place []byte) uint64 {
	if len(place) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(place)
}
