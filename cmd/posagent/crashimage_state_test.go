package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// fileState is what a journal's file says, line by line, read without bbolt and without the journal's own code.
type fileState struct {
	txid  uint64
	lines []fileLine
	about aboutLine

	payments []fileLine
	format   string
	buckets  []string
	drawn    []string // random characters in the order numbers, each once

	sequence uint64 // of the chain's last entry
	hash     string
	open     []payflow.OutTradeNo // payments that are not final, by order of arming, told from their records
	untold   int
}

type fileLine struct{ bucket, key, value []byte }

// aboutLine and paymentSaid are what a test needs of the journal's records.
type aboutLine struct{ Store, Till string }

type paymentSaid struct {
	Counter uint64 `json:"counter"`
	Key     string `json:"key"`
	payflow.Entry
}

// ballast is the bucket that a test fills a file with, so that it grows. Its lines never change; of each the key, the length and the first eight bytes
// are compared.
const ballast = "zz_ballast"

// readState reads a journal's file as bbolt lays it out: the newer whole meta page, and the buckets from there on.
func readState(file []byte) (*fileState, error) {
	r := &fileReader{file: file, page: os.Getpagesize(), state: &fileState{}}
	if err := r.read(); err != nil {
		return nil, err
	}
	s := r.state
	if len(s.lines) == 0 {
		return nil, errors.New("the file holds nothing")
	}
	for _, l := range s.lines {
		if string(l.bucket) == "payments" {
			s.payments = append(s.payments, l)
			s.drawn = append(s.drawn, string(l.key[len(l.key)-6:len(l.key)-1]))
		}
		if string(l.bucket) == "about" && string(l.key) == "format" {
			s.format = string(l.value)
		}
		if string(l.bucket) == "about" && string(l.key) == "journal" {
			if err := json.Unmarshal(recordOf(l.value), &s.about); err != nil {
				return nil, err
			}
		}
		if string(l.bucket) == "events" {
			s.sequence, s.hash = binary.BigEndian.Uint64(l.key), string(l.value[len(l.value)-64:])
		}
	}
	slices.Sort(s.drawn)
	s.drawn = slices.Compact(s.drawn)
	return s, nil
}

// sameForm reports that a start of the program that left the one state finds nothing to add to the other.
func (s *fileState) sameForm(other *fileState) bool {
	return s.format == other.format && slices.Equal(s.buckets, other.buckets)
}

type fileReader struct {
	file  []byte
	page  int
	state *fileState
}

func (r *fileReader) read() error {
	root, found := uint64(0), false
	for id := range 2 {
		if len(r.file) < (id+1)*r.page {
			return errors.New("the file is too short")
		}
		m := r.file[id*r.page+16:][:64]
		sum := fnv.New64a()
		sum.Write(m[:56])
		txid := binary.NativeEndian.Uint64(m[48:])
		if binary.NativeEndian.Uint32(m) == 0xED0CDAED && binary.NativeEndian.Uint64(m[56:]) == sum.Sum64() && (!found || txid > r.state.txid) {
			root, r.state.txid, found = binary.NativeEndian.Uint64(m[16:]), txid, true
		}
	}
	if !found {
		return errors.New("no meta page is whole")
	}
	return r.tree(nil, root, 0)
}

func (r *fileReader) tree(bucket []byte, id uint64, depth int) error {
	if at := id * uint64(r.page); at+uint64(r.page) <= uint64(len(r.file)) && depth < 32 {
		return r.pageOf(bucket, r.file[at:], depth)
	}
	return fmt.Errorf("page %d is not there", id)
}

func (r *fileReader) pageOf(bucket, page []byte, depth int) (err error) {
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	for i := 0; i < count && err == nil; i++ {
		e := page[16+16*i:]
		switch {
		case flags == 1:
			err = r.tree(bucket, binary.NativeEndian.Uint64(e[8:]), depth+1)
		case flags == 2:
			err = r.line(bucket, e, depth)
		default:
			err = fmt.Errorf("a page of the kind %#x", flags)
		}
	}
	return err
}

func (r *fileReader) line(bucket, e []byte, depth int) error {
	at, key, value := binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
	l := fileLine{bucket: bucket, key: e[at : at+key], value: e[at+key : at+key+value]}
	if binary.NativeEndian.Uint32(e)&1 == 0 {
		r.state.lines = append(r.state.lines, l.kept())
		return nil
	}
	name := bytes.Clone(l.key)
	r.state.buckets = append(r.state.buckets, string(name))
	if root := binary.NativeEndian.Uint64(l.value); root != 0 {
		return r.tree(name, root, depth+1)
	}
	return r.pageOf(name, l.value[16:], depth+1)
}

// kept is the line as it stands now, whatever is written to the file later.
func (l fileLine) kept() fileLine {
	if string(l.bucket) == ballast {
		value := append(binary.BigEndian.AppendUint32(nil, uint32(len(l.value))), l.value[:8]...)
		return fileLine{l.bucket, bytes.Clone(l.key), value}
	}
	return fileLine{l.bucket, bytes.Clone(l.key), bytes.Clone(l.value)}
}

func recordOf(sealed []byte) []byte { return sealed[:max(0, len(sealed)-65)] }

// indexBuckets are the buckets whose lines follow from the payments, or from the refunds.
var indexBuckets = []string{"open", "unannounced", "by_arming", "by_day", "by_sale", "by_key", "by_code", "late", "by_payer",
	"open_refunds", "refunds_by_payment", "refunds_by_key", "refunds_by_day"}

// whole checks that each index holds exactly the lines that the payments' and refunds' own records ask for, and fills in open and untold. known keeps
// what was read of payments that have not changed since.
func (s *fileState) whole(known map[string]*paymentRead) error {
	want, have := map[string]string{}, map[string]string{}
	s.open, s.untold = nil, 0
	var open []paymentSaid
	for _, l := range s.lines {
		bucket := string(l.bucket)
		if slices.Contains(indexBuckets, bucket) {
			have[bucket+"\x00"+string(l.key)] = string(l.value)
		}
		if bucket == "refunds" {
			if err := placesOfRefund(l, want); err != nil {
				return err
			}
		}
		if bucket != "payments" {
			continue
		}
		p, err := readPayment(known, l)
		if err != nil {
			return err
		}
		if string(p.OutTradeNo) != string(l.key) {
			return fmt.Errorf("payment %s stands in the place of %s", p.OutTradeNo, l.key)
		}
		for _, place := range placesWanted(p) {
			want[place] = string(l.key)
		}
		if !p.Status.Final() {
			open = append(open, p)
		}
		if wantsAnnouncing(p) {
			s.untold++
		}
	}
	slices.SortFunc(open, func(a, b paymentSaid) int { return int(a.Counter) - int(b.Counter) })
	for _, p := range open {
		s.open = append(s.open, p.OutTradeNo)
	}
	return sameLines(want, have)
}

type paymentRead struct {
	value   string
	payment paymentSaid
	entry   string
}

// shown is the payment's entry as JSON, as the local API has it.
func (k *paymentRead) shown() string {
	if k.entry == "" {
		text, _ := json.Marshal(k.payment.Entry)
		k.entry = string(text)
	}
	return k.entry
}

func readPayment(known map[string]*paymentRead, l fileLine) (paymentSaid, error) {
	if k := known[string(l.key)]; k != nil && k.value == string(l.value) {
		return k.payment, nil
	}
	k := &paymentRead{value: string(l.value)}
	err := json.Unmarshal(recordOf(l.value), &k.payment)
	known[string(l.key)] = k
	return k.payment, err
}

func placesWanted(p paymentSaid) []string {
	counter := string(binary.BigEndian.AppendUint64(nil, p.Counter))
	places := []string{
		"by_arming\x00" + counter, "by_day\x00" + p.StoreDay + "/" + counter, "by_key\x00" + p.Key,
		"by_sale\x00" + string(p.SaleRef) + "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(p.Attempt))),
	}
	if p.CodeHash != "" {
		places = append(places, "by_code\x00"+p.CodeHash+"\x00"+counter)
	}
	if !p.Status.Final() {
		places = append(places, "open\x00"+counter)
	}
	if wantsAnnouncing(p) {
		places = append(places, "unannounced\x00"+counter)
	}
	if slices.Contains([]payflow.LateStage{payflow.LateOwed, payflow.LateTakingBack, payflow.LateRefunding}, p.Late.Stage) {
		places = append(places, "late\x00"+counter)
	}
	if p.Status == payflow.Paid && p.Trade.PayerHash != "" {
		places = append(places, "by_payer\x00"+p.Trade.PayerHash+"\x00"+counter)
	}
	return places
}

// refundSaid is what a test needs of a refund's record.
type refundSaid struct {
	Counter uint64 `json:"counter"`
	Key     string `json:"key"`
	payflow.RefundEntry
}

func placesOfRefund(l fileLine, want map[string]string) error {
	var r refundSaid
	if err := json.Unmarshal(recordOf(l.value), &r); err != nil {
		return err
	}
	if string(r.OutRefundNo) != string(l.key) {
		return fmt.Errorf("refund %s stands in the place of %s", r.OutRefundNo, l.key)
	}
	counter := string(binary.BigEndian.AppendUint64(nil, r.Counter))
	want["refunds_by_payment\x00"+string(r.OutTradeNo)+"\x00"+counter] = string(l.key)
	want["refunds_by_day\x00"+r.StoreDay+"/"+counter] = string(l.key)
	if r.Key != "" {
		want["refunds_by_key\x00"+r.Key] = string(l.key)
	}
	if !r.Status.Final() || r.Attention != "" {
		want["open_refunds\x00"+counter] = string(l.key)
	}
	return nil
}

// wantsAnnouncing is I8: goods or money may depend on it, and nobody has acknowledged it.
func wantsAnnouncing(p paymentSaid) bool {
	late := slices.ContainsFunc(p.Links, func(l payflow.Link) bool { return l.Kind == payflow.LinkLateSuccess })
	return p.Status.Final() && p.Acknowledged.At.IsZero() && (p.Status == payflow.Paid || p.Status == payflow.Reversed || p.MoneySeen || p.Attention != "" || late)
}

func sameLines(want, have map[string]string) error {
	var wrong []string
	for place, no := range want {
		if have[place] != no {
			wrong = append(wrong, fmt.Sprintf("%q of payment %s is missing", place, no))
		}
	}
	for place, no := range have {
		if _, wanted := want[place]; !wanted {
			wrong = append(wrong, fmt.Sprintf("%q of payment %s does not follow from its record", place, no))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("indexes and payments disagree: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// same compares a journal that bbolt has opened with the state, every line and every byte.
func (s *fileState) same(tx *bbolt.Tx) error {
	rest, buckets := s.lines, s.buckets
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if len(buckets) == 0 || buckets[0] != string(name) {
			return fmt.Errorf("the bucket %s was not committed", name)
		}
		buckets = buckets[1:]
		return b.ForEach(func(key, value []byte) error {
			l := fileLine{name, key, value}
			if string(name) == ballast {
				l = l.kept()
			}
			if len(rest) == 0 || !bytes.Equal(l.bucket, rest[0].bucket) || !bytes.Equal(l.key, rest[0].key) || !bytes.Equal(l.value, rest[0].value) {
				return fmt.Errorf("%s %q is not what was committed: %.300q", name, key, value)
			}
			rest = rest[1:]
			return nil
		})
	})
	if err == nil && len(buckets) > 0 {
		err = fmt.Errorf("the bucket %s is gone", buckets[0])
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d records are gone, %s %q the first", len(rest), rest[0].bucket, rest[0].key)
	}
	return err
}

// sealCheck checks the seals of records and the links of the chain by the key of the recording, without the journal's own code. A record that has not
// changed since the state before is not checked again.
type sealCheck struct {
	state, chain, memo []byte
	seen               map[string]string // seal by bucket and key
}

func newSealCheck(rec *recording) *sealCheck {
	text := rec.Before["keys/journal.key"]
	for _, c := range rec.Calls {
		if c.Kind == callWrite && c.Path == "keys/journal.key.new" {
			text = c.Data
		}
	}
	_, digits, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	secret, _ := hex.DecodeString(digits)
	state, _ := hkdf.Key(sha256.New, secret, nil, "posagent journal state", 32)
	chain, _ := hkdf.Key(sha256.New, secret, nil, "posagent journal chain", 32)
	memo, _ := hkdf.Key(sha256.New, secret, nil, "posagent journal memo", 32)
	return &sealCheck{state: state, chain: chain, memo: memo, seen: map[string]string{}}
}

// sealed checks every record of a state.
func (s *fileState) sealed(c *sealCheck) error {
	last, sequence := "", uint64(0)
	for _, l := range s.lines {
		key := c.state
		switch string(l.bucket) {
		case "events":
			key = c.chain
			if sequence++; binary.BigEndian.Uint64(l.key) != sequence {
				return fmt.Errorf("entry %d of the chain is missing", sequence)
			}
		case "about", "counters", "payments", "refunds":
		default:
			continue
		}
		if string(l.bucket) == "about" && string(l.key) == "format" {
			continue
		}
		mark := string(l.value[len(l.value)-64:])
		before := last
		if string(l.bucket) == "events" {
			last = mark
		}
		place := string(l.bucket) + "\x00" + string(l.key) + "\x00"
		if c.seen[place] == string(l.value) {
			continue
		}
		if sealOf(key, l, recordOf(l.value)) != mark {
			return fmt.Errorf("the seal of %s %q is broken", l.bucket, l.key)
		}
		var event struct{ Prev string }
		if string(l.bucket) == "events" && (json.Unmarshal(recordOf(l.value), &event) != nil || event.Prev != before) {
			return fmt.Errorf("entry %d does not follow the one before", sequence)
		}
		c.seen[place] = string(l.value)
	}
	return nil
}

func sealOf(key []byte, l fileLine, text []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(slices.Concat(l.bucket, []byte{0}, l.key, []byte{0}, text))
	return hex.EncodeToString(h.Sum(nil))
}

// rechained returns the lines with the record about the journal and the entries as change makes them of their texts, sealed anew, each entry tied to the
// one before it: what a program that holds the key could have written.
func (c *sealCheck) rechained(lines []fileLine, change func(l fileLine, text string) string) []fileLine {
	lines, last := slices.Clone(lines), ""
	for i, l := range lines {
		key, was := c.state, string(recordOf(l.value))
		is := was
		switch {
		case string(l.bucket) == "events":
			key, is = c.chain, withField(change(l, was), "prev", last)
		case string(l.bucket) == "about" && string(l.key) == "journal":
			is = change(l, was)
		default:
			continue
		}
		if is != was {
			lines[i].value = []byte(is + "\n" + sealOf(key, l, []byte(is)))
		}
		if string(l.bucket) == "events" {
			last = string(lines[i].value[len(lines[i].value)-64:])
		}
	}
	return lines
}

// withField puts a text in the place of a field's, the first of that name.
func withField(text, name, value string) string {
	mark := `"` + name + `":"`
	before, rest, found := strings.Cut(text, mark)
	_, after, ends := strings.Cut(rest, `"`)
	if !found || !ends {
		return text
	}
	return before + mark + value + `"` + after
}

// startedAnew is what another start makes of a journal that ended at an entry, where the recorded start made this state of it. Only one thing is
// otherwise: if the entry of a till that changes was not on disk, it is written again. It bears the time of the start that writes it, the journal the
// random characters of that start, and every entry behind it another seal in prev. All that was on disk is the same byte for byte, and so is what
// growth adds, which bears the times of the payments.
func (s *fileState) startedAnew(end uint64, at time.Time, drawn string, seals *sealCheck) *fileState {
	text, _ := at.MarshalText()
	redated := false
	entries := func(l fileLine, record string) string {
		if string(l.bucket) != "events" || binary.BigEndian.Uint64(l.key) <= end || !strings.Contains(record, `"kind":"restored"`) {
			return record
		}
		redated = true
		return withField(record, "at", string(text))
	}
	anew := *s
	anew.lines = seals.rechained(s.lines, entries)
	if !redated {
		return s
	}
	anew.lines = seals.rechained(anew.lines, func(l fileLine, record string) string {
		if string(l.bucket) != "about" {
			return record
		}
		return withField(record, "random", drawn)
	})
	for _, l := range anew.lines {
		if string(l.bucket) == "events" {
			anew.hash = string(l.value[len(l.value)-64:])
		}
	}
	return &anew
}

func TestAStateWhoseOpenIndexLagsBehindIsNotWhole(t *testing.T) {
	line := func(bucket, key, value string) fileLine { return fileLine{[]byte(bucket), []byte(key), []byte(value)} }
	p := paymentSaid{Counter: 7, Key: "k"}
	p.OutTradeNo, p.Status, p.SaleRef, p.Attempt, p.StoreDay = "N7", payflow.Paying, "A-1", 1, "2026-03-01"
	text, err := json.Marshal(p)
	require.NoError(t, err)
	s := &fileState{lines: []fileLine{line("payments", "N7", string(text)+strings.Repeat("0", 65))}}
	for _, place := range placesWanted(p) {
		bucket, key, _ := strings.Cut(place, "\x00")
		s.lines = append(s.lines, line(bucket, key, "N7"))
	}
	require.NoError(t, s.whole(map[string]*paymentRead{}))
	assert.Equal(t, []payflow.OutTradeNo{"N7"}, s.open)
	s.lines = slices.DeleteFunc(s.lines, func(l fileLine) bool { return string(l.bucket) == "open" })
	assert.ErrorContains(t, s.whole(map[string]*paymentRead{}), "open")
}
