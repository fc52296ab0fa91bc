package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// withInput runs a command with something on standard input.
func (d *deskPC) withInput(input string, args ...string) (status int, stdout, stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdout: &out, stderr: &errs}
	root := newRoot(p)
	root.SetArgs(append(args, "--config", d.config))
	root.SetIn(strings.NewReader(input))
	err := root.ExecuteContext(d.t.Context())
	if err != nil {
		tellError(&errs, err, p.json)
	}
	return exitStatus(err), out.String(), errs.String()
}

func TestPayFollowsAPaymentToItsEnd(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	go d.scan(codePaid)
	status, out, stderr := d.run("pay", "--amount", "12.50", "--sale", "A-1001")
	assert.Equal(t, ExitDone, status, out+stderr)
	golden(t, "pay_paid", out)

	status, _, stderr = d.run("pay", "--amount", "12.50", "--sale", "A-1001")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "this sale was paid by payment")
	assert.Contains(t, stderr, "what to do: ")
}

func TestPayForAScript(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	go d.scan(codePaid)
	status, out, stderr := d.run("pay", "--amount", "12.50", "--sale", "A-1001", "--json")
	assert.Equal(t, ExitDone, status, stderr)
	var p till.Payment
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	assert.Equal(t, payflow.Paid, p.Status)
	assert.EqualValues(t, 1250, p.Amount)
}

func TestPayWithACodeFromStandardInput(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	status, out, stderr := d.withInput(codePaid+"\r\n", "pay", "--amount", "3", "--sale", "A-1", "--code-stdin")
	assert.Equal(t, ExitDone, status, out+stderr)
	assert.NotContains(t, out+stderr, codePaid[:14], "a code is never shown")

	status, _, stderr = d.withInput("281234567890123456\n", "pay", "--amount", "3", "--sale", "A-2", "--code-stdin")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "(alipay)")
	payments, err := d.engine.Recent(10)
	require.NoError(t, err)
	assert.Len(t, payments, 1, "a code of another wallet arms nothing and spends no order number")

	status, _, stderr = d.withInput(codePaid+"\n", "pay", "--amount", "3", "--sale", "A-3", "--code-stdin")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "this code was read already")
	_, held := d.engine.Holding()
	assert.False(t, held, "a payment whose code was refused is cancelled")
}

func TestPayThatIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.wechat(func(context.Context, payflow.Order) (payflow.Outcome, error) {
		return payflow.Outcome{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough}, nil
	})
	go d.scan(codePaid)
	status, out, stderr := d.run("pay", "--amount", "12.50", "--sale", "A-1001")
	assert.Equal(t, ExitFailed, status, out)
	golden(t, "pay_refused", out+stderr)
}

func TestPayThatIsNotDecided(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.wechat(func(context.Context, payflow.Order) (payflow.Outcome, error) {
		return payflow.Outcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonTimeout}, Err: errors.New("no answer")}
	})
	go d.scan(codePaid)
	status, out, stderr := d.run("pay", "--amount", "12.50", "--sale", "A-1001", "--wait", "3s")
	assert.Equal(t, ExitUncertain, status, out)
	assert.Contains(t, out, "confirming")
	assert.Contains(t, stderr, "not decided yet")
	assert.Contains(t, stderr, "do not charge again")
}

func TestPayThatNobodyScannedIsStillArmed(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	status, _, stderr := d.run("pay", "--amount", "12.50", "--sale", "A-1001", "--wait", "50ms")
	assert.Equal(t, ExitUncertain, status)
	assert.Contains(t, stderr, "posagent cancel SZTX001T1")
	status, _, stderr = d.run("pay", "--amount", "1", "--sale", "A-1002")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "is armed or open on this till")
}

func TestCtrlCAsksForACancelAndSaysSo(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	ctx, press := context.WithCancel(t.Context())
	go func() {
		for range 500 {
			if _, armed := d.engine.Holding(); armed {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		press()
	}()
	var out, stderr bytes.Buffer
	status := run(ctx, []string{"pay", "--amount", "12.50", "--sale", "A-1001", "--config", d.config}, &out, &stderr)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, out.String(), "cancel asked for")
	assert.Contains(t, out.String(), "cancelled")
	assert.Contains(t, stderr.String(), "nothing was charged")
}

func TestPayWithWrongWords(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	for name, args := range map[string][]string{
		"no sale":               {"--amount", "1"},
		"no amount":             {"--sale", "A"},
		"too many decimals":     {"--amount", "1.234", "--sale", "A"},
		"a negative amount":     {"--amount=-1", "--sale", "A"},
		"an unknown currency":   {"--amount", "1", "--sale", "A", "--currency", "XXX"},
		"a code as an argument": {"--amount", "1", "--sale", "A", codePaid},
	} {
		status, _, stderr := d.run(append([]string{"pay"}, args...)...)
		assert.Equal(t, ExitUsage, status, name)
		assert.Contains(t, stderr, "what to do: ", name)
	}
}

func TestCommandsWithoutADaemon(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	for _, args := range [][]string{{"pay", "--amount", "1", "--sale", "A"}, {"cancel", "SZTX001T1A1"}, {"status"}} {
		status, out, stderr := pc.run(args...)
		assert.Equal(t, ExitFailed, status, args)
		assert.Empty(t, out, args)
		assert.Contains(t, stderr, "posagent does not answer on", args)
		assert.Contains(t, stderr, "systemctl status posagent", args)
	}
}

func TestPayBeforeTheTillIsReady(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.mu.Lock()
	d.notReady = &payflow.NotReadyError{Code: "no_network", Text: "no network: take cash"}
	d.mu.Unlock()
	status, _, stderr := d.run("pay", "--amount", "1", "--sale", "A")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "no network")
}

func TestADaemonThatIsAwayWhileArming(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	cfg, err := LoadConfig(d.config)
	require.NoError(t, err)
	client, err := dialDaemon(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	armed, err := armSurely(ctx, client, till.ArmBody{Amount: 1, SaleRef: "A"}, "my-key")
	require.NoError(t, err, "Ctrl-C while arming breaks no call off: what was armed is known, and can be cancelled")
	assert.Equal(t, payflow.Waiting, armed.Status)

	d.stop()
	_, err = armSurely(ctx, client, till.ArmBody{Amount: 1, SaleRef: "A"}, "my-key")
	assert.Equal(t, ExitUncertain, exitStatus(err))
	assert.ErrorContains(t, err, "it is not known whether the payment was armed")
	assert.ErrorContains(t, err, "--key my-key")
}
