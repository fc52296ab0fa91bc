package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// sold sells for HK$ 12.50 and returns the payment's id.
func (d *deskPC) sold(sale string) string {
	d.t.Helper()
	go d.scan(codePaid)
	status, out, stderr := d.run("pay", "--amount", "12.50", "--sale", sale, "--json")
	require.Equal(d.t, ExitDone, status, stderr)
	var p struct{ ID string }
	require.NoError(d.t, json.Unmarshal([]byte(out), &p))
	return p.ID
}

// refusing makes WeChat Pay answer every request for a refund so.
func (d *deskPC) refusing(answer func(payflow.RefundOrder) (payflow.RefundOutcome, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refund = answer
}

func (d *deskPC) askedFor() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

var keyLine = regexp.MustCompile(`^key (\S+): a repeat with --key (\S+) is this refund`)

func TestARefundIsMadeOnceHoweverOftenItIsRepeated(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.sold("A-1001")
	status, out, stderr := d.run("refund", id, "--amount", "2.50", "--reason", "one cup returned", "--operator", "M001")
	require.Equal(t, ExitDone, status, out+stderr)
	first, rest, _ := strings.Cut(out, "\n")
	key := keyLine.FindStringSubmatch(first)
	require.NotNil(t, key, out)
	assert.Contains(t, rest, "requested", "each state is told")
	assert.Contains(t, rest, "refunded    Refund of HK$ 2.50 - the money went back")

	status, out, stderr = d.run("refund", id, "--amount", "2.50", "--reason", "one cup returned", "--operator", "M001", "--key", key[1], "--json")
	assert.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, stderr, key[1], "a script that is cut off has the key all the same")
	var shown refundShown
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	assert.Equal(t, key[1], shown.Key)
	assert.Equal(t, payflow.RefundDone, shown.Status)
	assert.Equal(t, 1, d.askedFor())
	_, byDaemon, _ := d.run("journal", "show", id)
	assert.Regexp(t, `refund +\S+ \S+  HK\$ 2.50  refunded \(refund_done\)  `+string(shown.ID)+`  by M001 one cup returned`, byDaemon)
	refunds, err := d.engine.RefundsOfPayment(payflow.OutTradeNo(id))
	require.NoError(t, err)
	assert.Len(t, refunds, 1)

	status, _, stderr = d.run("refund", id, "--amount", "3", "--reason", "one cup returned", "--key", key[1])
	assert.Equal(t, ExitUsage, status, "the key is another refund's")
	assert.Contains(t, stderr, "was used for another request")

	d.stop()
	_, byFile, _ := d.run("journal", "show", id)
	assert.Equal(t, byDaemon, byFile, "the file tells the same as the daemon")
}

func TestARefundThatIsRefusedEndsWithOne(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.sold("A-1001")
	d.refusing(func(payflow.RefundOrder) (payflow.RefundOutcome, error) {
		return payflow.RefundOutcome{Kind: payflow.RefundDeclined, Code: "NOTENOUGH", Text: "balance not enough"}, nil
	})
	status, out, stderr := d.run("refund", id, "--amount", "12.50", "--reason", "all returned")
	assert.Equal(t, ExitFailed, status, out)
	assert.Contains(t, stderr, "it sent nothing back: the shop's money at WeChat Pay is too little")
	assert.Contains(t, stderr, "what to do: ")
}

func TestARefundWhoseAnswersAreLostIsUncertain(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.sold("A-1001")
	d.refusing(func(payflow.RefundOrder) (payflow.RefundOutcome, error) {
		return payflow.RefundOutcome{}, &payflow.LostError{Lost: payflow.Lost{Reason: payflow.ReasonTimeout}, Err: errors.New("no answer")}
	})
	status, out, stderr := d.run("refund", id, "--amount", "2.50", "--reason", "returned", "--wait", "2s")
	assert.Equal(t, ExitUncertain, status, out)
	assert.Contains(t, stderr, "Make no second refund")
	assert.NotContains(t, out+stderr, "went back")
}

func TestARefundThatCannotBeNamesTheReason(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	id := d.sold("A-1001")
	status, _, stderr := d.run("refund", id, "--amount", "12.51", "--reason", "too much")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "HK$ 12.50")
	open := d.arm("A-1002")
	status, _, stderr = d.run("refund", open, "--amount", "2.50", "--reason", "not paid")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "only a paid payment can be refunded")
	status, _, stderr = d.run("refund", "SZTX001T1NOSUCH", "--amount", "2.50", "--reason", "x")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "no such payment")
	for name, args := range map[string][]string{
		"nothing":           {"refund"},
		"no amount":         {"refund", id, "--reason", "x"},
		"no reason":         {"refund", id, "--amount", "2.50"},
		"no id":             {"refund", "not an id", "--amount", "2.50", "--reason", "x"},
		"no number":         {"refund", id, "--amount", "two", "--reason", "x"},
		"a fraction":        {"refund", id, "--amount", "2.505", "--reason", "x"},
		"zero":              {"refund", id, "--amount", "0", "--reason", "x"},
		"a long reason":     {"refund", id, "--amount", "2.50", "--reason", strings.Repeat("x", 81)},
		"a key with blanks": {"refund", id, "--amount", "2.50", "--reason", "x", "--key", "a b"},
		"a code as reason":  {"refund", id, "--amount", "2.50", "--reason", codePaid},
		"a wait below zero": {"refund", id, "--amount", "2.50", "--reason", "x", "--wait", "-1s"},
	} {
		status, _, stderr = d.run(args...)
		assert.Equal(t, ExitUsage, status, "%s: %s", name, stderr)
	}
	assert.Zero(t, d.askedFor())
}
