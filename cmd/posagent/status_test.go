package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/till"
)

func TestStatusShowsWhatTheDaemonKnows(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.health.Set(health.ClockOff, "70 s behind")
	id := d.arm("A-1001")
	status, out, stderr := d.run("status")
	assert.Equal(t, ExitDone, status, stderr)
	golden(t, "status", out)

	_, out, _ = d.run("status", "--json")
	var report statusReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.NotNil(t, report.HoldingPayment)
	assert.Equal(t, id, string(report.HoldingPayment.ID))
	assert.Equal(t, "T1", report.Till)
}

func TestCheckBesideTheRunningDaemon(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.health.Set(health.PaymentAttention, "one")
	status, out, stderr := d.run("check")
	assert.Equal(t, ExitDone, status, stderr, "a payment that needs a person is no fault of the PC")
	assert.Contains(t, lineOf(out, "ok", "daemon"), "takes payments")
	assert.Contains(t, lineOf(out, "ok", "journal"), "held by the running posagent")
	assert.Contains(t, lineOf(out, "ok", "API socket"), "the running posagent answers")
	assert.Contains(t, lineOf(out, "warn", "payments"), "A payment needs a person (one); Call the manager")

	require.NoError(t, os.Chmod(filepath.Join(d.folder, "posagent.sock"), 0o666))
	_, out, _ = d.run("check")
	assert.Contains(t, lineOf(out, "warn", "API socket"), "has the mode 0666: others than its owner and group can open it, and are refused; run: chmod 0660")

	d.health.Set(health.ClockOffMuch, "300 s")
	status, out, _ = d.run("check")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, lineOf(out, "fail", "daemon warns"), "The clock of this PC is wrong by four minutes or more (300 s)")
}

func TestCheckKnowsWhoseDaemonAnswers(t *testing.T) {
	t.Parallel()
	ours := till.StatusReport{Status: till.Status{Version: version(), Certificates: []till.Certificate{{Name: "merchant", Serial: "AB"}}}, Ready: true, Till: "T1", Currency: "HKD"}
	another, older, away := ours, ours, ours
	another.Till, older.Version = "T2", "v0.0.1"
	away.Ready, away.NotReady = false, &till.NotReady{Reason: "no_network", Message: "no network: take cash"}
	for _, row := range []struct {
		report till.StatusReport
		want   verdict
		says   string
	}{
		{ours, verdictOK, "takes payments"}, {another, verdictFail, "is that of till T2"},
		{older, verdictWarn, "version v0.0.1 runs"}, {away, verdictWarn, "takes no payment now: no network"},
	} {
		c := &checker{daemon: &statusReport{StatusReport: row.report}}
		c.cfg.Till.ID, c.cfg.Till.Currency = "T1", "HKD"
		c.daemonLine()
		require.Len(t, c.lines, 1)
		assert.Equal(t, row.want, c.lines[0].Verdict)
		assert.Contains(t, c.lines[0].Evidence, row.says)
	}

	c := &checker{daemon: &statusReport{StatusReport: ours}, creds: Credentials{Pair: Pair{Serial: "CD"}}}
	c.daemonWarnings()
	require.Len(t, c.lines, 1, "a new certificate lies there, and the daemon uses the old one")
	assert.Equal(t, "certificate in use", c.lines[0].Check)
	assert.Equal(t, verdictWarn, c.lines[0].Verdict)
}
