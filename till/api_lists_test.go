package till

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// busyDay sells so many times; every third sale was declined.
func (a *aTill) busyDay(n int) []payflow.OutTradeNo {
	ids := make([]payflow.OutTradeNo, n)
	for i := range n {
		ids[i] = a.armed(fmt.Sprintf("A-%04d", i))
		a.desk.move(ids[i], func(e *payflow.Entry) {
			if paid(e); i%3 == 2 {
				e.Status, e.Reason = payflow.Declined, payflow.ReasonNotEnough
			}
		})
	}
	return ids
}

func (g answer) payments() PaymentList {
	g.t.Helper()
	require.Equal(g.t, http.StatusOK, g.Status, g.Body)
	var list PaymentList
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), &list))
	return list
}

func (g answer) journal() JournalList {
	g.t.Helper()
	require.Equal(g.t, http.StatusOK, g.Status, g.Body)
	var list JournalList
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), &list))
	return list
}

func TestTheNewestPaymentsComeFirst(t *testing.T) {
	a := newTill(t)
	ids := a.busyDay(7)
	list := a.get("/v1/payments?limit=2").payments()
	require.Len(t, list.Payments, 2)
	assert.Equal(t, ids[6], list.Payments[0].ID)
	assert.Empty(t, list.NextCursor)
}

func TestADayIsReadPageByPageWithoutGapOrDouble(t *testing.T) {
	a := newTill(t)
	ids := a.busyDay(7)
	var seen []payflow.OutTradeNo
	cursor := ""
	for range 10 {
		list := a.get("/v1/payments?day=2026-11-24&limit=3&cursor=" + cursor).payments()
		for _, p := range list.Payments {
			seen = append(seen, p.ID)
		}
		if cursor = list.NextCursor; cursor == "" {
			break
		}
	}
	assert.Equal(t, ids, seen)
	assert.Empty(t, a.get("/v1/payments?day=2026-11-23").payments().Payments)
}

func TestListsAreFiltered(t *testing.T) {
	a := newTill(t)
	ids := a.busyDay(7)
	assert.Len(t, a.get("/v1/payments?status=declined").payments().Payments, 2)
	assert.Len(t, a.get("/v1/payments?day=2026-11-24&status=declined").payments().Payments, 2)
	assert.Equal(t, ids[4], a.get("/v1/payments?sale_ref=A-0004").payments().Payments[0].ID)
	assert.Len(t, a.get("/v1/payments?unannounced=true").payments().Payments, 7)
	a.post("/v1/payments/"+string(ids[0])+"/acknowledge", "")
	assert.Len(t, a.get("/v1/payments?unannounced=true").payments().Payments, 6)
	assert.Len(t, a.get("/v1/payments?unannounced=true&limit=2").payments().Payments, 2)
}

func TestAWrongFilterIsNamed(t *testing.T) {
	a := newTill(t)
	for query, field := range map[string]string{"day=yesterday": "day", "status=gone": "status", "limit=0": "limit", "limit=201": "limit",
		"cursor=SZ": "cursor", "day=2026-11-24&cursor=..": "cursor", "colour=red": "query"} {
		assert.Equal(t, field, a.get("/v1/payments?" + query).problem().Fields[0].Field, query)
	}
	assert.Equal(t, "after", a.get("/v1/journal?after=-1").problem().Fields[0].Field)
}

func TestTheJournalIsReadPageByPage(t *testing.T) {
	a := newTill(t)
	ids := a.busyDay(5) // two entries each
	page := a.get("/v1/journal?limit=4").journal()
	require.Len(t, page.Entries, 4)
	assert.Equal(t, "4", page.NextCursor)
	rest := a.get("/v1/journal?limit=200&after=" + page.NextCursor).journal()
	assert.Len(t, rest.Entries, 6)
	assert.Empty(t, rest.NextCursor)
	one := a.get("/v1/journal?payment=" + string(ids[2])).journal()
	require.Len(t, one.Entries, 2)
	assert.Equal(t, uint64(5), one.Entries[0].Sequence)
	assert.Equal(t, "armed", one.Entries[0].Kind)
}
