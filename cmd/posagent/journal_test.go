package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// withPayments makes two paid payments and one that waits, and returns its id.
func (d *deskPC) withPayments() (paid, waiting string) {
	d.t.Helper()
	for i, sale := range []string{"A-1001", "A-1002"} {
		paid = d.arm(sale)
		d.scan([]string{codePaid, "120061098828009406"}[i])
		d.settled(paid)
	}
	return paid, d.arm("A-1003")
}

// settled waits until a payment is final.
func (d *deskPC) settled(id string) {
	d.t.Helper()
	var last payflow.Entry
	for version := uint64(0); !last.Status.Final(); version = last.Version {
		entry, err := d.engine.WaitFor(d.t.Context(), payflow.OutTradeNo(id), version)
		require.NoError(d.t, err)
		last = entry
	}
}

func TestJournalListAndShowAreTheSameWithTheDaemonAndWithout(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id, waiting := d.withPayments()
	status, list, stderr := d.run("journal", "list")
	assert.Equal(t, ExitDone, status, stderr)
	golden(t, "journal_list", list)
	_, open, _ := d.run("journal", "list", "--open")
	assert.Equal(t, 1, strings.Count(open, "\n"), open)
	assert.Contains(t, open, waiting)
	_, sale, _ := d.run("journal", "list", "--sale", "A-1002", "--status", "paid")
	assert.Equal(t, 1, strings.Count(sale, "\n"), sale)
	status, show, stderr := d.run("journal", "show", id)
	assert.Equal(t, ExitDone, status, stderr)
	golden(t, "journal_show", show)
	_, asJSON, _ := d.run("journal", "show", id, "--json")

	d.stop()
	for _, same := range []struct {
		args []string
		want string
	}{
		{[]string{"journal", "list"}, list}, {[]string{"journal", "list", "--open"}, open},
		{[]string{"journal", "list", "--sale", "A-1002", "--status", "paid"}, sale},
		{[]string{"journal", "show", id}, show},
	} {
		status, out, stderr := d.run(same.args...)
		assert.Equal(t, ExitDone, status, stderr)
		assert.Equal(t, same.want, out, same.args)
	}
	_, fromFile, _ := d.run("journal", "show", id, "--json")
	var a, b paymentShown
	require.NoError(t, json.Unmarshal([]byte(asJSON), &a))
	require.NoError(t, json.Unmarshal([]byte(fromFile), &b))
	assert.Equal(t, a, b)
	assert.Equal(t, payflow.ProofSigned, b.Proof)
	assert.NotContains(t, asJSON+show, codePaid[:14])
}

func TestJournalOfADay(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	newest, err := d.engine.Recent(1)
	require.NoError(t, err)
	day := newest[0].StoreDay
	for range 2 {
		_, out, _ := d.run("journal", "list", "--day", day, "--json", "--limit", "2")
		var lines []paymentLine
		require.NoError(t, json.Unmarshal([]byte(out), &lines))
		require.Len(t, lines, 2)
		assert.EqualValues(t, "A-1001", lines[0].SaleRef, "a day is listed in its order")
		_, out, _ = d.run("journal", "list", "--day", "2020-01-01")
		assert.Equal(t, "no such payment\n", out)
		d.stop()
	}
}

func TestJournalWithWrongWords(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	for _, args := range [][]string{{"list", "--day", "yesterday"}, {"list", "--status", "lost"}, {"list", "--limit", "0"}, {"show"}, {"show", "no id"},
		{"verify", "--head", "nosuch.log"}, {"verify", "--head", "-"}} {
		status, _, stderr := d.withInput("a log without any head\n", append([]string{"journal"}, args...)...)
		assert.Equal(t, ExitUsage, status, args)
		assert.Contains(t, stderr, "what to do: ", args)
	}
	for range 2 {
		status, _, stderr := d.run("journal", "show", "SZTX001T1NOSUCH")
		assert.Equal(t, ExitFailed, status)
		assert.Contains(t, stderr, "o")
		assert.Contains(t, stderr, "what to do: ")
		d.stop()
	}
}

func TestJournalVerifyOfACleanJournal(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	status, out, stderr := d.run("journal", "verify")
	assert.Equal(t, ExitDone, status, out+stderr)
	assert.Contains(t, out, "(a copy: the daemon runs)")
	d.stop()
	status, out, stderr = d.run("journal", "verify")
	assert.Equal(t, ExitDone, status, out+stderr)
	golden(t, "journal_verify", out)
}

func TestJournalVerifyFindsCutEntriesAgainstTheSystemLog(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	d.stop()
	before, err := os.ReadFile(d.path("journal.db"))
	require.NoError(t, err)
	d.start()
	d.stop() // the waiting payment is cancelled by the restart
	head := d.headNow()
	require.NoError(t, os.WriteFile(d.path("journal.db"), before, 0o600))
	require.NoError(t, os.Remove(keyFileOf(d.path("journal.db"))+".head"))

	status, _, _ := d.run("journal", "verify")
	assert.Equal(t, ExitDone, status, "without memo and log nobody can tell")
	log := `{"level":"info","when":"hour","head":"` + head + `","message":"journal head"}` + "\n"
	status, out, stderr := d.withInput(log, "journal", "verify", "--head", "-")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, out, "truncated: the journal ends at entry")
	assert.Contains(t, out, "; compare the day with WeChat Pay's statement")
	assert.Contains(t, stderr, "the journal is not what was written: 1 findings")

	status, out, _ = d.run("journal", "verify", "--json", "--head", head, "--head", d.file("posagent.log", log))
	assert.Equal(t, ExitFailed, status)
	var v verified
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.False(t, v.Clean)
	assert.Len(t, v.Findings, 2)
	assert.Equal(t, queue.FoundTruncated, v.Findings[0].Kind)
}

func (d *deskPC) headNow() string {
	d.t.Helper()
	cfg, err := LoadConfig(d.config)
	require.NoError(d.t, err)
	j, err := queue.OpenJournal(journalOptions{}.config(cfg))
	require.NoError(d.t, err)
	defer j.Close()
	return j.Head().String()
}

func TestJournalVerifyFindsAnEditedEntry(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	d.stop()
	text, err := os.ReadFile(d.path("journal.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.path("journal.db"), []byte(strings.ReplaceAll(string(text), `"minor":1250`, `"minor":9250`)), 0o600))
	status, out, _ := d.run("journal", "verify")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, out, "edited: ")
	assert.Contains(t, out, "its seal is broken; believe WeChat Pay's statement, not this entry")
	for line := range strings.Lines(out) {
		assert.NotEmpty(t, strings.TrimSpace(line), "each finding stands on one line")
	}
}

func TestJournalVerifyOfAJournalThatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = d.engine.Cancel(ctx, payflow.OutTradeNo(d.arm(fmt.Sprintf("B-%d", n))), "P001")
			time.Sleep(15 * time.Millisecond)
		}
	})
	for range 3 {
		status, out, stderr := d.run("journal", "verify")
		if strings.Contains(stderr, "payments were written all the time") {
			continue // said, and no finding was made of it
		}
		assert.Equal(t, ExitDone, status, out+stderr)
	}
	stop()
	writing.Wait()
}

func TestACopyOfWhatChangesAllTheTimeIsNotTaken(t *testing.T) {
	t.Parallel()
	const changes = "/proc/sys/kernel/random/uuid" // Linux: another text at each reading
	if _, err := os.Stat(changes); err != nil {
		t.Skip("only Linux has a file that changes at each reading")
	}
	to := filepath.Join(t.TempDir(), "copy")
	assert.ErrorContains(t, copyConsistent(t.Context(), changes, to), "try again in a quiet minute")

	still := filepath.Join(t.TempDir(), "still")
	require.NoError(t, os.WriteFile(still, []byte("pages"), 0o600))
	assert.NoError(t, copyConsistent(t.Context(), still, to))
}

func TestJournalOfABackup(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	d.stop()
	text, err := os.ReadFile(d.path("journal.db"))
	require.NoError(t, err)
	d.start()
	d.arm("A-2001")
	backup := d.file("backup.db", string(text))
	status, out, stderr := d.run("journal", "list", "--file", backup)
	assert.Equal(t, ExitDone, status, stderr)
	assert.Equal(t, 3, strings.Count(out, "\n"), "the backup is read, not the running daemon")

	status, _, stderr = d.run("journal", "list", "--file", d.path("nosuch.db"))
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "what to do: ")
}

// Who adds up the list, or looks for a sale in it, must see what went back, and money that is held though the payment failed.
func TestJournalListMarksWhatWentBackAndWhatIsHeld(t *testing.T) {
	hkd := func(minor int64) payflow.Amount { return payflow.Amount{Minor: minor, Currency: "HKD"} }
	refund := func(minor int64, status payflow.RefundStatus) (r payflow.RefundEntry) {
		r.Amount, r.Status = hkd(minor), status
		return r
	}
	var paid payflow.Entry
	paid.Status, paid.Amount, paid.Acknowledged.At = payflow.Paid, hkd(1250), time.Unix(1, 0)
	refunds := []payflow.RefundEntry{refund(250, payflow.RefundDone), refund(300, payflow.RefundRefused), refund(100, payflow.RefundDone), refund(50, payflow.RefundProcessing)}
	assert.Equal(t, "HK$ 3.50 given back", lineOfEntry(paid, refunds).marks())
	assert.Equal(t, "HK$ 3.50 given back", lineOfView(till.Payment{Status: payflow.Paid, Acknowledged: true, Currency: "HKD", Refunded: 350}).marks())
	assert.Empty(t, lineOfEntry(paid, nil).marks())

	var failed payflow.Entry
	failed.Status, failed.Late = payflow.Declined, payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true}
	assert.Contains(t, lineOfEntry(failed, nil).marks(), "WECHAT PAY HOLDS ITS MONEY")
	assert.Contains(t, lineOfView(till.Payment{Status: payflow.Declined, Late: &till.LateView{Stage: payflow.LateTakingBack, MoneySeen: true}}).marks(), "WECHAT PAY HOLDS ITS MONEY")
	failed.Late.Stage = payflow.LateGivenBack
	assert.NotContains(t, lineOfEntry(failed, nil).marks(), "HOLDS")
}
