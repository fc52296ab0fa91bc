package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/queue"
	"posagent/till"
)

// backedUp is a real daemon before simulated WeChat Pay that sold, was backed up, sold on, and lost its journal.
type backedUp struct {
	*trialTill
	t       *testing.T
	gateway *trial
	made    till.Backup
	lost    []payflow.OutTradeNo // paid after the backup
}

func newBackedUp(t *testing.T, section string) *backedUp {
	t.Helper()
	dir := t.TempDir()
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	tt, err := openTrialTill(filepath.Join(dir, "B1"), "B1", trialConfig{StoreID: "SZTX001", TillID: "B1", Account: gateway.account()})
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	b := &backedUp{trialTill: tt, t: t, gateway: gateway}
	b.configure(section)
	b.begin()
	b.sell("A-1", "pays-at-once", payflow.Paid)
	b.sell("A-2", "no-money", payflow.Declined)
	status, out, stderr := b.run("backup", "--json")
	require.Equal(t, ExitDone, status, stderr)
	require.NoError(t, json.Unmarshal([]byte(out), &b.made))
	b.lost = append(b.lost, b.sell("A-3", "pays-at-once", payflow.Paid))
	b.sell("A-4", "no-money", payflow.Declined)
	b.lost = append(b.lost, b.sell("A-5", "pays-at-once", payflow.Paid))
	return b
}

func (b *backedUp) configure(section string) {
	b.t.Helper()
	file, err := os.OpenFile(filepath.Join(b.dir, "posagent.toml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(b.t, err)
	_, err = file.WriteString("\n" + section + "\n")
	require.NoError(b.t, err)
	require.NoError(b.t, file.Close())
}

func (b *backedUp) begin() {
	b.t.Helper()
	require.NoError(b.t, b.start(b.t.Context()))
	require.NoError(b.t, b.awaitReady(b.t.Context()))
}

func (b *backedUp) sell(sale, wallet string, want payflow.Status) payflow.OutTradeNo {
	b.t.Helper()
	p, err := b.arm(b.t.Context(), sale, 1250)
	require.NoError(b.t, err)
	require.NoError(b.t, b.scan(b.gateway.code(wallet)))
	p, err = b.client.WaitFinal(b.t.Context(), p.ID, nil)
	require.NoError(b.t, err)
	require.Equal(b.t, want, p.Status)
	return p.ID
}

func (b *backedUp) run(args ...string) (status int, stdout, stderr string) {
	b.t.Helper()
	return posagent(b.t, append(args, "--config", filepath.Join(b.dir, "posagent.toml"))...)
}

// tearOut zeroes the journal's pages behind the two that bbolt checks.
func (b *backedUp) tearOut() []byte {
	b.t.Helper()
	path := filepath.Join(b.dir, "journal.db")
	text, err := os.ReadFile(path)
	require.NoError(b.t, err)
	for i := 2 * os.Getpagesize(); i < len(text); i++ {
		text[i] = 0
	}
	require.NoError(b.t, os.WriteFile(path, text, 0o600))
	return text
}

func TestADaemonThatLostItsJournalIsRestoredAndFindsWhatCameAfter(t *testing.T) {
	t.Parallel()
	b := newBackedUp(t, "")
	status, out, stderr := b.run("restore", "--operator", "ANNA", "--reason", "disk died")
	assert.Equal(t, ExitFailed, status, out)
	assert.Contains(t, stderr, "systemctl stop posagent", "not while it runs")
	status, _, stderr = b.run("backup", "verify", b.made.File)
	assert.Equal(t, ExitDone, status, stderr)
	b.kill()
	spoilt := b.tearOut()

	require.Error(t, b.start(t.Context()))
	b.forget()
	assert.Contains(t, b.lastLines(), "posagent restore", "the message leads to it")
	status, _, stderr = b.run("restore")
	assert.Equal(t, ExitUsage, status)
	assert.Contains(t, stderr, "name and a reason")
	garbled := filepath.Join(b.dir, "backup", "posagent-SZTX001-B1-29990101T000000Z.backup")
	whole, err := os.ReadFile(b.made.File)
	require.NoError(t, err)
	whole[len(whole)-1] ^= 1
	require.NoError(t, os.WriteFile(garbled, whole, 0o600))
	status, out, stderr = b.run("restore", "--operator", "ANNA", "--reason", "disk died", "--no-ask", "--json")
	assert.Equal(t, ExitUncertain, status, stderr)
	var done restored
	require.NoError(t, json.Unmarshal([]byte(out), &done))
	assert.Equal(t, b.made.File, done.File, "the newest good one")
	require.Len(t, done.Skipped, 1)
	assert.Contains(t, done.Skipped[0], garbled)
	assert.Equal(t, b.made.Head, done.Backup.Head.String())
	aside, err := os.ReadFile(done.Aside)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(spoilt, aside), "nothing is deleted")

	b.begin()
	b.awaitFound(len(b.lost))
	_, out, _ = b.run("status")
	assert.Contains(t, out, "posagent journal found")
	b.sell("A-6", "pays-at-once", payflow.Paid)
	_, out, _ = b.run("journal", "found", "--json")
	var found []payflow.FoundAfterRestore
	require.NoError(t, json.Unmarshal([]byte(out), &found))
	require.Len(t, found, len(b.lost))
	for i, f := range found {
		assert.Equal(t, b.lost[i], f.OutTradeNo)
		assert.Equal(t, payflow.TradeSuccess, f.State)
		assert.EqualValues(t, 1250, f.Amount.Minor)
		for _, args := range [][]string{{"journal", "show", string(f.OutTradeNo)}, {"refund", string(f.OutTradeNo), "--amount", "2.50", "--reason", "returned"}} {
			status, _, stderr = b.run(args...)
			assert.Equal(t, ExitFailed, status, stderr)
			assert.Contains(t, stderr, "was lost in a restore and found again at WeChat Pay", args)
			assert.Contains(t, stderr, "posagent journal found", args)
			assert.Contains(t, stderr, "merchant platform", args)
		}
		status, _, stderr = b.run("journal", "settle", string(f.OutTradeNo), "--operator", "ANNA", "--note", "goods were given")
		assert.Equal(t, ExitDone, status, stderr)
	}
	_, out, _ = b.run("journal", "found")
	assert.Equal(t, "nothing is to be settled\n", out)
	require.NoError(t, b.stop())
	_, _, stderr = b.run("journal", "show", string(b.lost[0]))
	assert.Contains(t, stderr, "posagent journal found", "without the daemon too")
	b.compareWithBooks()
}

func (b *backedUp) awaitFound(n int) {
	b.t.Helper()
	var state *till.RestoreState
	for range 600 {
		report, err := b.client.Status(b.t.Context())
		require.NoError(b.t, err)
		if state = report.Restore; state != nil && state.Found == n {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Fail(b.t, "not found", "%+v", state)
}

// compareWithBooks: every order that WeChat Pay holds money for is a paid payment of the journal or was found after the restore; nobody was charged twice.
func (b *backedUp) compareWithBooks() {
	b.t.Helper()
	entries, err := b.entries(b.t.Context()) // verifies the chain too
	require.NoError(b.t, err)
	known := map[payflow.OutTradeNo]bool{}
	for _, e := range entries {
		require.False(b.t, known[e.OutTradeNo])
		known[e.OutTradeNo] = e.Status == payflow.Paid
	}
	for _, no := range b.lost {
		_, again := known[no]
		assert.False(b.t, again, "a number came again")
		known[no] = true
	}
	for _, line := range b.gateway.books() {
		assert.Empty(b.t, line.Violations)
		assert.LessOrEqual(b.t, line.Charged, 1)
		assert.True(b.t, line.Held == 0 || known[line.OutTradeNo], "silent loss of %s", line.OutTradeNo)
	}
}

func TestAnEncryptedBackupRestoresATillThatLostItsKeyToo(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	private := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.WriteFile(private, []byte(identity.String()+"\n"), 0o600))
	b := newBackedUp(t, "[backup]\nage_recipient = \""+identity.Recipient().String()+"\"\nat = \"\"")
	b.kill()
	require.NoError(t, os.Remove(filepath.Join(b.dir, "journal.db")))
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "keys")))

	args := []string{"restore", "--operator", "ANNA", "--reason", "disk died"}
	status, _, stderr := b.run(args...)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "--identity FILE")
	// The command asks itself; it is stopped when it has found both.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	time.AfterFunc(8*time.Second, stop)
	var out, errs bytes.Buffer
	status = run(ctx, append(args, "--identity", private, "--config", filepath.Join(b.dir, "posagent.toml")), &out, &errs)
	assert.Equal(t, ExitUncertain, status, errs.String())
	assert.Equal(t, len(b.lost), strings.Count(out.String(), "TO BE SETTLED"), out.String()+errs.String())
	assert.Contains(t, out.String(), "the journal's key came out of the backup")
	assert.Contains(t, out.String(), "NOT ASKED FOR", "the list of starts died with the keys")
	b.begin()
	b.sell("A-6", "pays-at-once", payflow.Paid)
	require.NoError(t, b.stop())
	b.compareWithBooks()
}

func TestARestoreThatCouldNotAskForAllIsNotDone(t *testing.T) {
	t.Parallel()
	assert.NoError(t, restored{Asked: true}.uncertain())
	err := restored{Asked: true, Restored: queue.Restored{StartsUnknown: true}}.uncertain()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, ExitUncertain, failure.Code)
	assert.Contains(t, failure.Next, "statement of each day since the backup")
}

func TestABackupGoesToAnotherDiskWithTheDaemonStoppedToo(t *testing.T) {
	t.Parallel()
	b := newBackedUp(t, "")
	stick := t.TempDir()
	status, out, stderr := b.run("backup", "--to", stick)
	require.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, out, "NOT verified: that a copy of the journal's key is kept elsewhere")
	require.NoError(t, b.stop())
	status, _, stderr = b.run("backup", "--to", filepath.Join(stick, "mine.backup"))
	require.Equal(t, ExitDone, status, stderr)
	status, _, stderr = b.run("backup", "--to", filepath.Join(stick, "mine.backup"))
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "there already")
	all, err := queue.ListBackups(stick)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, f := range all {
		status, out, stderr := b.run("backup", "verify", f.File)
		assert.Equal(t, ExitDone, status, stderr)
		assert.Contains(t, out, "verified: the journal in it opens")
	}
	status, out, _ = b.run("backup", "list", stick)
	assert.Equal(t, ExitDone, status)
	assert.Equal(t, 2, strings.Count(out, "SZTX001 B1"))
	require.NoError(t, os.Truncate(all[0].File, 5000))
	status, _, stderr = b.run("backup", "verify", all[0].File)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "use another backup")
}
