package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// arm arms a payment at the desk and returns its id.
func (d *deskPC) arm(sale string) string {
	d.t.Helper()
	amount, err := payflow.NewAmount(1250, "HKD")
	require.NoError(d.t, err)
	entry, err := d.engine.Arm(context.Background(), payflow.ArmRequest{Amount: amount, SaleRef: payflow.SaleRef(sale), Operator: "P001", IdempotencyKey: "key-" + sale})
	require.NoError(d.t, err)
	return string(entry.OutTradeNo)
}

func TestCancelOfAPaymentThatWaits(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.arm("A-1001")
	status, out, stderr := d.run("cancel", id, "--operator", "P002")
	assert.Equal(t, ExitDone, status, stderr)
	golden(t, "cancel_waiting", out)

	status, _, stderr = d.run("cancel", id)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "is cancelled already")
}

func TestCancelOfAPaymentUnderWayIsRemembered(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.wechat(func(context.Context, payflow.Order) (payflow.Outcome, error) {
		return payflow.Outcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonTimeout}, Err: errors.New("no answer")}
	})
	id := d.arm("A-1001")
	d.scan(codePaid)
	status, _, stderr := d.run("cancel", id)
	assert.Equal(t, ExitUncertain, status)
	assert.Contains(t, stderr, "may still be paid")
	assert.Contains(t, stderr, "do not charge again")
}

func TestCancelOfNothing(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	status, _, stderr := d.run("cancel", "SZTX001T1NOSUCH")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "no such payment")
	for _, args := range [][]string{{"cancel"}, {"cancel", "not an id"}} {
		status, _, _ = d.run(args...)
		assert.Equal(t, ExitUsage, status)
	}
}

func TestTheJournalNamesWhoCancelledByTheKernelsWord(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.arm("A-1001")
	status, _, stderr := d.run("cancel", id)
	require.Equal(t, ExitDone, status, stderr)
	_, out, _ := d.run("journal", "show", id)
	assert.Regexp(t, fmt.Sprintf(`cancel_asked .* by uid %d via socket uid %d`, os.Geteuid(), os.Geteuid()), out)
	d.stop()
	_, out, _ = d.run("journal", "show", id)
	assert.Contains(t, out, "via socket uid", "and so it is read with the daemon stopped")
	status, _, stderr = d.run("journal", "verify")
	assert.Equal(t, ExitDone, status, stderr)
}
