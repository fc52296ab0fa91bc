package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/receipt"
)

func TestReceiptPreview(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	paid, waiting := d.withPayments()
	status, out, stderr := d.run("receipt", "preview", paid)
	assert.Equal(t, ExitDone, status, stderr)
	assert.Contains(t, out, "HK$ 12.50")
	assert.NotContains(t, out, codePaid[:14])

	status, _, stderr = d.run("receipt", "preview", waiting)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "there is no slip for this payment")
	status, _, stderr = d.run("receipt", "preview", "SZTX001T1NOSUCH")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "what to do: ")
	status, _, stderr = d.run("receipt", "preview", paid, "--width", "7")
	assert.Equal(t, ExitFailed, status, stderr)

	d.stop()
	_, same, _ := d.run("receipt", "preview", paid)
	assert.Equal(t, out, same)
	_, text, _ := d.run("receipt", "preview", paid, "--store-copy", "--json")
	var s slip
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	assert.Equal(t, receipt.Store, s.Copy)
	assert.NotEqual(t, out, s.Text)
}
