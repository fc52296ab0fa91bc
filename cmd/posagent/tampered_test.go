package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// aSoldDay is the journal of a stopped daemon that took real payments from its scanner, and what stayed outside of it: the heads in the
// daemon's log.
type aSoldDay struct {
	*trialTill
	t       *testing.T
	log     string   // the file
	heads   []string // in the log, the oldest first
	entries uint64   // of the chain
	sold    int
}

func newSoldDay(t *testing.T) *aSoldDay {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	tt, err := openTrialTill(filepath.Join(dir, "V1"), "V1", trialConfig{StoreID: "SZTX001", TillID: "V1", Account: gateway.account()})
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	d := &aSoldDay{trialTill: tt, t: t, log: filepath.Join(tt.dir, "daemon.log")}
	require.NoError(t, tt.start(t.Context()))
	require.NoError(t, tt.awaitReady(t.Context()))
	for i, wallet := range []string{"pays-at-once", "unsigned", "no-money", "pays-at-once"} {
		d.sell(fmt.Sprintf("A-%d", i+1), gateway.code(wallet))
	}
	require.NoError(t, tt.stop())
	d.readHeads()
	return d
}

func (d *aSoldDay) sell(sale, code string) {
	d.t.Helper()
	p, err := d.arm(d.t.Context(), sale, 1250)
	require.NoError(d.t, err)
	require.NoError(d.t, d.scan(code))
	p, err = d.client.WaitFinal(d.t.Context(), p.ID, nil)
	require.NoError(d.t, err)
	require.Contains(d.t, []payflow.Status{payflow.Paid, payflow.Declined}, p.Status)
	d.sold++
}

// readHeads takes the heads that the daemon wrote to its log: one at the start, one at the end.
func (d *aSoldDay) readHeads() {
	d.t.Helper()
	text, err := os.ReadFile(d.log)
	require.NoError(d.t, err)
	d.heads = headText.FindAllString(string(text), -1)
	require.Len(d.t, d.heads, 2, "the daemon logs the head at its start and at its end")
	_, err = fmt.Sscanf(d.heads[1], "%d:", &d.entries)
	require.NoError(d.t, err)
	require.Greater(d.t, d.entries, uint64(3*d.sold))
}

// shown is a head of the log as verify names it.
func (d *aSoldDay) shown(i int) string {
	sequence, hash, _ := strings.Cut(d.heads[i], ":")
	return sequence + ":" + hash[:headDigitsShown]
}

// tamper changes the file as somebody would who has bbolt and this program's source, but not the key.
func (d *aSoldDay) tamper(f func(events *bbolt.Bucket) error) {
	d.t.Helper()
	db, err := bbolt.Open(filepath.Join(d.dir, "journal.db"), 0o600, nil)
	require.NoError(d.t, err)
	require.NoError(d.t, db.Update(func(tx *bbolt.Tx) error { return f(tx.Bucket([]byte("events"))) }))
	require.NoError(d.t, db.Close())
}

// forgetMemo removes the head that is kept beside the key: whoever can write the one file can often remove the other.
func (d *aSoldDay) forgetMemo() {
	d.t.Helper()
	require.NoError(d.t, os.Remove(keyFileOf(filepath.Join(d.dir, "journal.db"))+".head"))
}

// verify runs the command as a process of its own.
func (d *aSoldDay) verify(args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), d.binary, append([]string{"journal", "verify", "--config", filepath.Join(d.dir, "posagent.toml")}, args...)...)
	cmd.Env = append(os.Environ(), asPosagent+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		require.NoError(d.t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// found runs verify, sees that it fails, and returns what it printed.
func (d *aSoldDay) found(args ...string) string {
	d.t.Helper()
	status, out, errs := d.verify(args...)
	require.Equal(d.t, ExitFailed, status, out+errs)
	require.Contains(d.t, errs, "the journal is not what was written")
	require.NotContains(d.t, out, "nothing is wrong")
	return out
}

func TestJournalVerifyFindsTheLastThreeEntriesCut(t *testing.T) {
	t.Parallel()
	d := newSoldDay(t)
	status, out, errs := d.verify("--head", d.log)
	require.Equal(t, ExitDone, status, out+errs)
	require.Contains(t, out, fmt.Sprintf("%d entries, %d payments, measured against 3 heads", d.entries, d.sold), "the memo and both heads of the log")

	d.tamper(func(events *bbolt.Bucket) error {
		for range 3 {
			if newest, _ := events.Cursor().Last(); newest != nil {
				if err := events.Delete(newest); err != nil {
					return err
				}
			}
		}
		return nil
	})
	gone := fmt.Sprintf("truncated: the journal ends at entry %d, but %%s names entry %d: the newest 3 are gone (head %s…); compare the day with WeChat Pay's statement", d.entries-3, d.entries, d.shown(1))
	assert.Contains(t, d.found(), fmt.Sprintf(gone, "the head memo beside the key"))

	d.forgetMemo()
	out = d.found("--head", d.log)
	assert.Contains(t, out, "truncated: the journal ends at entry")
	assert.Contains(t, out, d.shown(1), "the head that it was measured against is named")
	assert.Equal(t, 1, strings.Count(out, "truncated: "), "the head of the start is still there")
	assert.Contains(t, d.found("--head", d.heads[1]), "the newest 3 are gone (head "+d.shown(1)+"…)")
}

func TestJournalVerifyFindsAnEntryRewrittenWithAChainRecomputedWithoutTheKey(t *testing.T) {
	t.Parallel()
	d := newSoldDay(t)
	const rewritten = 4
	d.tamper(rechainUnderAnotherKey(rewritten))

	out := d.found()
	assert.Contains(t, out, fmt.Sprintf("entry %d is not what was written: its seal is broken; believe WeChat Pay's statement, not this entry", rewritten))
	assert.NotContains(t, out, fmt.Sprintf("entry %d is not", rewritten-1), "what stands before it is believed")
	assert.Contains(t, out, fmt.Sprintf("replaced: entry %d is not the one that the head memo beside the key names", d.entries))

	d.forgetMemo()
	out = d.found("--head", d.log)
	assert.Contains(t, out, "edited: payment SZTX001V1")
	assert.Contains(t, out, fmt.Sprintf("replaced: entry %d is not the one that", d.entries))
	assert.Contains(t, out, d.shown(1), "the head that it was measured against is named")
	assert.Equal(t, 1, strings.Count(out, "replaced: "), "the head of the start is still there")
}

// rechainUnderAnotherKey makes one entry's amount another, and seals it and every later entry anew, so that the chain is whole.
func rechainUnderAnotherKey(at uint64) func(events *bbolt.Bucket) error {
	return func(events *bbolt.Bucket) error {
		prev := ""
		for n := at; ; n++ {
			place := binary.BigEndian.AppendUint64(nil, n)
			sealed := events.Get(place)
			if sealed == nil {
				return nil
			}
			var entry map[string]json.RawMessage
			if err := json.Unmarshal(sealed[:len(sealed)-65], &entry); err != nil {
				return err
			}
			if n == at {
				entry["amount"] = json.RawMessage(`{"minor":1,"currency":"HKD"}`)
			} else {
				entry["prev"] = json.RawMessage(`"` + prev + `"`)
			}
			body, err := json.Marshal(entry)
			if err != nil {
				return err
			}
			prev = sealOfAnotherKey(place, body)
			if err := events.Put(place, []byte(string(body)+"\n"+prev)); err != nil {
				return err
			}
		}
	}
}

// sealOfAnotherKey seals an entry as the journal does, under a key that is not the journal's.
func sealOfAnotherKey(place, body []byte) string {
	h := hmac.New(sha256.New, []byte("a key that somebody made up"))
	for _, part := range [][]byte{[]byte("events"), {0}, place, {0}, body} {
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
