package till

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestASubCommandPaysThroughTheSocket(t *testing.T) {
	a := newTill(t)
	socket := filepath.Join(t.TempDir(), "posagent.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- a.server.ServeSocket(l) }()
	ctx := t.Context()
	c, err := Dial(ctx, ClientConfig{Socket: socket})
	require.NoError(t, err)

	p, err := c.Arm(ctx, ArmBody{Amount: 1250, Currency: "HKD", SaleRef: "A-1001"}, "k1")
	require.NoError(t, err)
	var seen []payflow.Status
	final, err := c.WaitFinal(ctx, p.ID, func(p Payment) {
		seen = append(seen, p.Status)
		if p.Status == payflow.Waiting {
			a.desk.move(p.ID, paid)
		}
	})
	require.NoError(t, err)
	assert.Equal(t, payflow.Paid, final.Status)
	assert.Equal(t, []payflow.Status{payflow.Waiting, payflow.Paid}, seen)

	_, err = c.Cancel(ctx, p.ID, "P001")
	var refused *Problem
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, WrongState, refused.Code)
	assert.Equal(t, payflow.Paid, refused.Payment.Status)

	list, err := c.Payments(ctx, PaymentsQuery{Day: "2026-11-24", Status: payflow.Paid, Unannounced: false, Limit: 10})
	require.NoError(t, err)
	assert.Len(t, list.Payments, 1)
	entries, err := c.Journal(ctx, JournalQuery{After: 1, Payment: p.ID, Limit: 10})
	require.NoError(t, err)
	assert.Len(t, entries.Entries, 1)
	told, err := c.Acknowledge(ctx, p.ID, AcknowledgeBody{How: payflow.GoodsGiven})
	require.NoError(t, err)
	assert.True(t, told.Acknowledged)
	st, err := c.Status(ctx)
	require.NoError(t, err)
	assert.Zero(t, st.Unannounced)

	c.Close()
	require.NoError(t, a.server.Shutdown(ctx))
	require.NoError(t, <-done)
	_, err = Dial(ctx, ClientConfig{Socket: socket})
	assert.ErrorContains(t, err, "systemctl status posagent")
}

func TestAWaitOutlivesARestartOfTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		c, p := a.served(t)
		time.AfterFunc(5*time.Second, p.cut)
		time.AfterFunc(20*time.Second, func() { a.desk.move(id, paid) })
		began := time.Now()
		final, err := c.WaitFinal(t.Context(), id, nil)
		require.NoError(t, err)
		assert.Equal(t, payflow.Paid, final.Status)
		assert.Equal(t, 20*time.Second, time.Since(began))
	})
}

func TestAWaitThatIsGivenUpReturnsTheLastThatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		c, _ := a.served(t)
		ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
		defer stop()
		last, err := c.WaitFinal(ctx, id, nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, payflow.Waiting, last.Status)
		_, err = c.WaitFinal(t.Context(), "SZTX0", nil)
		var refused *Problem
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, NoPayment, refused.Code)
	})
}

func TestWhatAnswersElsewhereIsNotTakenForTheDaemon(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a web server": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"broken JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"ok":`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			other := httptest.NewServer(h)
			defer other.Close()
			_, err := Dial(t.Context(), ClientConfig{URL: other.URL})
			var away *UnreachableError
			assert.ErrorAs(t, err, &away)
		})
	}
	_, err := Dial(t.Context(), ClientConfig{URL: "127.0.0.1:7080"})
	assert.ErrorContains(t, err, "http://127.0.0.1:7080")
}
