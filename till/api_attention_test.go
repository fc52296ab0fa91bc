package till

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func (a *aTill) attention() AttentionList {
	a.t.Helper()
	got := a.get("/v1/attention")
	require.Equal(a.t, http.StatusOK, got.Status, got.Body)
	var list AttentionList
	require.NoError(a.t, json.Unmarshal([]byte(got.Body), &list))
	return list
}

// late is a payment that ended unpaid, and whose money WeChat Pay turned out to hold.
func (a *aTill) late(sale string) payflow.OutTradeNo {
	a.t.Helper()
	id := a.armed(sale)
	a.desk.move(id, func(e *payflow.Entry) {
		e.Status, e.Reason, e.FinalAt = payflow.Reversed, payflow.ReasonNeverArrived, noon()
		e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true, FoundAt: noon()}
	})
	a.back.late = append(a.back.late, id)
	return id
}

func kindsOf(list AttentionList) map[ConcernKind]int {
	kinds := map[ConcernKind]int{}
	for _, c := range list.Concerns {
		kinds[c.Kind]++
	}
	return kinds
}

func TestTheManagersListNamesWhatNeedsAPerson(t *testing.T) {
	a := newTill(t)
	assert.Empty(t, a.attention().Concerns)
	late := a.late("A-1001")
	unanswered := a.late("A-1002")
	a.desk.move(unanswered, func(e *payflow.Entry) {
		e.Late = payflow.Late{Stage: payflow.LateOwed, Attention: payflow.AttentionLateUnanswered}
	})
	closing := a.late("A-1006")
	a.desk.move(closing, func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateTakingBack} }) // by itself: nobody's business
	made := a.refund(a.sold("A-1003"), "r1", aRefundBody).refund()
	quiet := a.refund(a.sold("A-1004"), "r2", aRefundBody).refund()
	a.back.move(made.ID, abnormal)
	stuck := a.armed("A-1005")
	a.desk.move(stuck, func(e *payflow.Entry) {
		reversing(e)
		e.Attention = payflow.AttentionReverseRefused
	})

	list := a.attention()
	assert.Equal(t, map[ConcernKind]int{ConcernLate: 1, ConcernPerson: 3}, kindsOf(list))
	assert.False(t, list.Truncated)
	for _, c := range list.Concerns {
		require.Len(t, c.Payments, 1)
		assert.NotEmpty(t, c.Message.EN)
		assert.NotEmpty(t, c.NextStep.EN)
		assert.NotEmpty(t, c.Payments[0].Attention+orNothing(c.Refund))
		if c.Kind == ConcernLate {
			assert.Equal(t, late, c.Payments[0].ID)
			assert.Equal(t, payflow.AttentionLateSuccess, c.Payments[0].Attention)
			assert.True(t, c.Payments[0].Late.MoneySeen)
		}
		if c.Refund != nil {
			assert.Equal(t, made.ID, c.Refund.ID)
			assert.NotEqual(t, quiet.ID, c.Refund.ID, "a refund on its way needs nobody")
		}
	}
}

func orNothing(r *Refund) payflow.Reason {
	if r == nil {
		return ""
	}
	return r.Attention
}

func TestTwoPaymentsThatLookLikeOneAreNamedTogether(t *testing.T) {
	a := newTill(t)
	first, second := a.sold("A-1001"), a.sold("A-1002")
	entry := func(id payflow.OutTradeNo, day string) payflow.Entry {
		e, err := a.desk.Payment(id)
		require.NoError(t, err)
		e.StoreDay = day
		return e
	}
	today := a.server.storeDay(a.server.now())
	a.back.duplicates = []payflow.SuspectedDuplicate{
		{First: entry(first, today), Second: entry(second, today)},
		{First: entry(first, "2020-01-01"), Second: entry(second, "2020-01-01")},
	}
	list := a.attention()
	require.Len(t, list.Concerns, 1, "what is long past stands in the journal")
	c := list.Concerns[0]
	assert.Equal(t, ConcernDuplicate, c.Kind)
	require.Len(t, c.Payments, 2)
	assert.Equal(t, []payflow.OutTradeNo{first, second}, []payflow.OutTradeNo{c.Payments[0].ID, c.Payments[1].ID})
}

func TestTheManagersListIsBounded(t *testing.T) {
	a := newTill(t)
	late := a.late("A-1001")
	for range concernsMax + 5 {
		a.back.late = append(a.back.late, late)
	}
	list := a.attention()
	assert.Len(t, list.Concerns, concernsMax)
	assert.True(t, list.Truncated)
}

func TestAManagerLooksAgainAndSettles(t *testing.T) {
	a := newTill(t)
	id := string(a.late("A-1001"))
	assert.Equal(t, WrongState, a.post("/v1/payments/"+id+"/settle-late", `{"operator":"M001","note":"given in cash"}`).problem().Code, "the till is at it")
	assert.Equal(t, http.StatusOK, a.post("/v1/payments/"+id+"/look-again", `{"operator":"M001"}`).Status)
	a.desk.move(payflow.OutTradeNo(id), func(e *payflow.Entry) { e.Late.Attention = payflow.AttentionLateUnanswered })
	assert.Equal(t, BadRequest, a.post("/v1/payments/"+id+"/settle-late", `{"operator":"M001"}`).problem().Code, "what was done is journaled")
	settled := a.post("/v1/payments/"+id+"/settle-late", `{"operator":"M001","note":"given in cash"}`).payment()
	assert.Equal(t, payflow.LateSettled, settled.Late.Stage)
	assert.Empty(t, settled.Attention)
	paidOne := string(a.sold("A-1002"))
	assert.Equal(t, WrongState, a.post("/v1/payments/"+paidOne+"/look-again", `{"operator":"M001"}`).problem().Code)
}

func TestMoneyThatWentBackTwiceIsOnTheManagersListInItsOwnWords(t *testing.T) {
	a := newTill(t)
	id := a.late("A-1001")
	a.desk.move(id, func(e *payflow.Entry) {
		e.Late.Stage, e.Late.By = payflow.LateGivenBack, payflow.LateByReverse
		e.Links = append(e.Links, payflow.Link{Kind: payflow.LinkBackTwice, Ref: "Amy"})
	})
	list := a.attention()
	assert.Equal(t, map[ConcernKind]int{ConcernPerson: 1}, kindsOf(list))
	c := list.Concerns[0]
	assert.Equal(t, payflow.AttentionBackTwice, c.Payments[0].Attention)
	assert.True(t, c.Payments[0].Late.Person, "S on the page ends it")
}
