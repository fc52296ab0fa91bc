package till

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// sold is a payment of HK$ 12.50 that is paid.
func (a *aTill) sold(sale string) payflow.OutTradeNo {
	a.t.Helper()
	id := a.armed(sale)
	a.desk.move(id, paid)
	return id
}

// refund asks for money of a payment to be given back.
func (a *aTill) refund(id payflow.OutTradeNo, key, body string) answer {
	a.t.Helper()
	r := a.request(http.MethodPost, "/v1/payments/"+string(id)+"/refunds", body)
	r.Header.Set("Idempotency-Key", key)
	return a.do(r)
}

func (g answer) refund() Refund {
	g.t.Helper()
	var r Refund
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), &r), g.Body)
	return r
}

const aRefundBody = `{"amount":250,"reason":"one cup returned","operator":"M001"}`

func TestARefundIsAskedForOnceAndFollowed(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	got := a.refund(id, "r1", aRefundBody)
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	made := got.refund()
	assert.Equal(t, "/v1/refunds/"+string(made.ID), got.Header.Get("Location"))
	assert.Equal(t, payflow.RefundRequested, made.Status)
	assert.EqualValues(t, 250, made.Amount)
	assert.Equal(t, "HK$ 2.50", made.AmountText)
	assert.Equal(t, "one cup returned", made.Reason)
	assert.Equal(t, id, made.Payment)
	assert.False(t, made.Final)

	a.back.move(made.ID, refunded)
	again := a.refund(id, "r1", aRefundBody)
	assert.Equal(t, http.StatusOK, again.Status, "the same key and body are the same refund, whatever has happened since")
	assert.Equal(t, made.ID, again.refund().ID)
	assert.True(t, again.refund().Final)
	assert.Equal(t, KeyReused, a.refund(id, "r1", `{"amount":251,"reason":"one cup returned","operator":"M001"}`).problem().Code)
	assert.Equal(t, 1, a.back.calls)
	assert.Equal(t, payflow.RefundDone, a.get("/v1/refunds/"+string(made.ID)).refund().Status)
}

func TestAPaymentShowsItsRefundsAndWhatIsLeft(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	p := a.get("/v1/payments/" + string(id)).payment()
	assert.Empty(t, p.Refunds)
	assert.EqualValues(t, 1250, p.Refundable)
	first := a.refund(id, "r1", aRefundBody).refund()
	p = a.get("/v1/payments/" + string(id)).payment()
	assert.EqualValues(t, 1000, p.Refundable, "a refund that may still go through is no money that is left")
	assert.Zero(t, p.Refunded)
	a.back.move(first.ID, refunded)
	second := a.refund(id, "r2", `{"amount":1000,"reason":"the rest"}`).refund()
	a.back.move(second.ID, refusedForFunds)
	p = a.get("/v1/payments/" + string(id)).payment()
	require.Len(t, p.Refunds, 2)
	assert.EqualValues(t, 250, p.Refunded)
	assert.EqualValues(t, 1000, p.Refundable, "a refused one gave nothing back")
	assert.Equal(t, "NOTENOUGH", p.Refunds[1].WeChatCode)
	assert.Zero(t, a.get("/v1/payments/"+string(a.armed("A-1002"))).payment().Refundable, "nothing of a payment that is not paid")
}

// Whoever reads a paid payment by its words is told of no goods once its whole money went back, or may have.
func TestAPaymentWhoseWholeMoneyWentBackSaysSo(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	shown := func() Payment { return a.get("/v1/payments/" + string(id)).payment() }
	assert.Equal(t, "after paid", shown().NextStep.EN)
	part := a.refund(id, "r1", aRefundBody).refund()
	a.back.move(part.ID, refunded)
	assert.Equal(t, "after paid", shown().NextStep.EN, "a part of it")

	rest := a.refund(id, "r2", `{"amount":1000,"reason":"the rest"}`).refund()
	p := shown()
	assert.Equal(t, "because bill_money_going_back", p.Message.EN)
	assert.Equal(t, p.Refunds[1].NextStep, p.NextStep)
	assert.NotEmpty(t, p.NextStep.ZhHant)
	a.back.move(rest.ID, refunded)
	p = shown()
	assert.Equal(t, payflow.Paid, p.Status)
	assert.Equal(t, "because bill_money_back", p.Message.EN)
	assert.Equal(t, "then bill_money_back", p.NextStep.EN)

	byHand := a.sold("A-1002")
	require.Equal(t, http.StatusOK, a.post("/v1/payments/"+string(byHand)+"/acknowledge", `{"how":"money_given_back"}`).Status)
	p = a.get("/v1/payments/" + string(byHand)).payment()
	assert.Equal(t, "because bill_money_back_by_hand", p.Message.EN)
	assert.Equal(t, "then bill_money_back_by_hand", p.NextStep.EN)
}

func TestARefundThatCannotBeIsRefusedWithTheReason(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	tooMuch := a.refund(id, "r1", `{"amount":1251}`).problem()
	assert.Equal(t, RefundTooMuch, tooMuch.Code)
	assert.Equal(t, http.StatusConflict, tooMuch.Status)
	assert.Contains(t, tooMuch.Detail, "HK$ 12.50")
	require.NotNil(t, tooMuch.Left)
	assert.EqualValues(t, 1250, *tooMuch.Left)

	open := a.armed("A-1002")
	notPaid := a.refund(open, "r2", aRefundBody).problem()
	assert.Equal(t, NotPaid, notPaid.Code)
	assert.Equal(t, http.StatusConflict, notPaid.Status)
	assert.Equal(t, payflow.Waiting, notPaid.Payment.Status)
	assert.Equal(t, NoPayment, a.refund("SZTX001T1", "r3", aRefundBody).problem().Code)
	assert.Equal(t, NoPayment, a.refund("not-a-number", "r3", aRefundBody).problem().Code)

	for err, code := range map[error]ProblemCode{
		payflow.ErrNoRefunds: CannotRefund, payflow.ErrRefundsOpenMax: CannotRefund, payflow.ErrRefundTooMany: RefundTooMany,
		payflow.ErrRefundOverdue: RefundOverdue, payflow.ErrJournalClosed: NotTaken,
	} {
		a.back.refuse = err
		got := a.refund(id, "r4", aRefundBody).problem()
		assert.Equal(t, code, got.Code, err)
		assert.Contains(t, err.Error(), got.Detail)
	}
	a.back.refuse = &payflow.NotReadyError{Code: "no_network", Text: "no network: take cash"}
	got := a.refund(id, "r5", aRefundBody).problem()
	assert.Equal(t, http.StatusServiceUnavailable, got.Status)
	assert.Equal(t, "no_network", got.Reason)
	assert.Zero(t, a.back.calls)
}

func TestATillWithoutRefundsSaysSo(t *testing.T) {
	a := newTill(t, func(c *Config) { c.Refunds, c.Late = nil, nil })
	id := a.sold("A-1001")
	got := a.refund(id, "r1", aRefundBody).problem()
	assert.Equal(t, CannotRefund, got.Code)
	assert.Equal(t, http.StatusServiceUnavailable, got.Status)
	assert.Contains(t, got.Detail, "merchant platform")
	assert.Equal(t, NoRefund, a.get("/v1/refunds/SZTX001T1-ABC").problem().Code)
	assert.Equal(t, NoRefund, a.post("/v1/refunds/SZTX001T1-ABC/acknowledge", `{"operator":"M001"}`).problem().Code)
	assert.Zero(t, a.get("/v1/payments/"+string(id)).payment().Refundable)
	assert.Contains(t, a.get("/v1/attention").Body, `"concerns":[]`)
	assert.Equal(t, NoPayment, a.post("/v1/payments/"+string(id)+"/look-again", `{"operator":"M001"}`).problem().Code)
}

func TestTheFieldsOfARefundAreBounded(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	for name, body := range map[string]string{
		"nothing":            ``,
		"no amount":          `{"reason":"x"}`,
		"zero":               `{"amount":0}`,
		"below zero":         `{"amount":-1}`,
		"a fraction":         `{"amount":2.5}`,
		"text":               `{"amount":"250"}`,
		"beyond all amounts": `{"amount":10000000001}`,
		"81 bytes":           `{"amount":250,"reason":"` + strings.Repeat("退", 27) + `"}`,
		"a field too much":   `{"amount":250,"transaction_id":"1"}`,
		"a long operator":    `{"amount":250,"operator":"` + strings.Repeat("M", 65) + `"}`,
	} {
		got := a.refund(id, "r1", body)
		assert.Equal(t, BadRequest, got.problem().Code, name)
	}
	for name, key := range map[string]string{"none": "", "blanks": "a b", "too long": strings.Repeat("k", 65), "another script": "退"} {
		assert.Equal(t, KeyMissing, a.refund(id, key, aRefundBody).problem().Code, name)
	}
	assert.Equal(t, http.StatusCreated, a.refund(id, "r1", `{"amount":250,"reason":"`+strings.Repeat("退", 26)+`"}`).Status)
	for _, wrong := range []string{"x", strings.Repeat("A", 65), "A B", "%00"} {
		assert.Equal(t, NoRefund, a.get("/v1/refunds/"+strings.ReplaceAll(wrong, " ", "%20")).problem().Code, wrong)
	}
	assert.Equal(t, BadRequest, a.get("/v1/refunds/SZTX001T1-ABC?wait=soon").problem().Code)
	assert.Equal(t, 1, a.back.calls)
}

func TestALongPollOfARefundEndsWithItsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		made := a.refund(a.sold("A-1001"), "r1", aRefundBody).refund()
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { a.back.move(made.ID, refunded) })
		got := a.get("/v1/refunds/" + string(made.ID) + "?since=1&wait=25").refund()
		assert.Equal(t, payflow.RefundDone, got.Status)
		assert.Equal(t, 7*time.Second, time.Since(began))
		assert.Equal(t, payflow.RefundDone, a.get("/v1/refunds/"+string(made.ID)+"?since=2&wait=3").refund().Status)
		assert.Equal(t, 10*time.Second, time.Since(began), "nothing changes any more")
		for i := range pollsMax {
			require.True(t, a.server.polls.enter(fmt.Sprint(i)))
		}
		assert.Equal(t, TooMany, a.get("/v1/refunds/"+string(made.ID)+"?since=2&wait=3").problem().Code)
	})
}

func TestTheStreamTellsOfARefundBehindItsJournalEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.sold("A-1001")
		c, _ := a.served(t)
		f := follow(t, c, 0)
		before := len(f.now().payments)
		made := a.refund(id, "r1", aRefundBody).refund()
		a.back.move(made.ID, refunded)
		got := f.now()
		require.Len(t, got.refunds, 2)
		assert.Equal(t, payflow.RefundDone, got.refunds[1].Status)
		assert.Len(t, got.payments, before, "the payment has not changed")
		entries := a.get("/v1/journal?after=" + sequenceText(made.Sequence))
		var list JournalList
		require.NoError(t, json.Unmarshal([]byte(entries.Body), &list))
		require.Len(t, list.Entries, 1)
		assert.Equal(t, made.ID, list.Entries[0].Refund)
		assert.Equal(t, payflow.RefundDone, list.Entries[0].RefundStatus)
		assert.Equal(t, id, list.Entries[0].Payment)
		assert.Equal(t, list.Entries[0].Sequence, got.sequences[len(got.sequences)-1])
	})
}

func TestOnlyTheRefundScopeGivesMoneyBack(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	made := a.refund(id, "r0", aRefundBody).refund()
	for _, scope := range Scopes() {
		token, _, err := a.server.cfg.Tokens.Create("a program", []Scope{scope})
		require.NoError(t, err)
		as := func(method, path, body string) answer {
			r := a.request(method, path, body)
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Idempotency-Key", "r1")
			return a.do(r)
		}
		asked := as(http.MethodPost, "/v1/payments/"+string(id)+"/refunds", aRefundBody)
		seen := as(http.MethodPost, "/v1/refunds/"+string(made.ID)+"/acknowledge", `{"operator":"M001"}`)
		read := as(http.MethodGet, "/v1/refunds/"+string(made.ID), "")
		if scope == ScopeRefund {
			assert.Equal(t, http.StatusCreated, asked.Status)
			assert.Equal(t, RefundOpen, seen.problem().Code)
		} else {
			assert.Equal(t, Forbidden, asked.problem().Code, scope)
			assert.Equal(t, Forbidden, seen.problem().Code, scope)
		}
		assert.Equal(t, scope == ScopeAdmin, read.Status == http.StatusForbidden, scope)
	}
	nobody := a.request(http.MethodPost, "/v1/payments/"+string(id)+"/refunds", aRefundBody)
	nobody.Header.Del("Authorization")
	assert.Equal(t, Unauthorized, a.do(nobody).problem().Code)
	assert.Equal(t, 2, a.back.calls)
}

func TestThePageRefundsWithItsOwnHeaderOnly(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	c := a.opened(func(*http.Request) {})
	path := "/v1/payments/" + string(id) + "/refunds"
	ask := func(change func(http.Header)) answer {
		r := a.ofPage(c, http.MethodPost, path, aRefundBody)
		r.Header.Set("Idempotency-Key", "r1")
		change(r.Header)
		return a.do(r)
	}
	assert.Equal(t, Unauthorized, ask(func(h http.Header) { h.Del(pageHeader) }).problem().Code)
	assert.Equal(t, CrossOrigin, ask(func(h http.Header) { h.Set("Origin", "https://attacker.example") }).problem().Code)
	assert.Equal(t, CrossOrigin, ask(func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") }).problem().Code)
	assert.Zero(t, a.back.calls)
	assert.Equal(t, http.StatusCreated, ask(func(http.Header) {}).Status)
}

func TestAPersonSeesARefundThatIsAtItsEnd(t *testing.T) {
	a := newTill(t)
	made := a.refund(a.sold("A-1001"), "r1", aRefundBody).refund()
	path := "/v1/refunds/" + string(made.ID) + "/acknowledge"
	open := a.post(path, `{"operator":"M001","note":"asked the bank"}`).problem()
	assert.Equal(t, RefundOpen, open.Code)
	assert.Equal(t, payflow.RefundRequested, open.Refund.Status)
	a.back.move(made.ID, func(r *payflow.RefundEntry) {
		refusedForFunds(r)
		r.Attention = payflow.AttentionRefundRefused
	})
	assert.Equal(t, BadRequest, a.post(path, `{"operator":""}`).problem().Code)
	assert.Equal(t, BadRequest, a.post(path, `{"operator":"M001","note":"`+strings.Repeat("x", 201)+`"}`).problem().Code)
	seen := a.post(path, `{"operator":"M001","note":"given in cash"}`).refund()
	assert.True(t, seen.Seen)
	assert.Empty(t, seen.Attention)
	assert.Equal(t, NoRefund, a.post("/v1/refunds/SZTX001T1-ABC/acknowledge", `{"operator":"M001"}`).problem().Code)
}

func TestTheClientAsksForARefundAndFollowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.sold("A-1001")
		c, _ := a.served(t)
		made, err := c.Refund(t.Context(), id, RefundBody{Amount: 250, Reason: "one cup returned"}, "r1")
		require.NoError(t, err)
		time.AfterFunc(40*time.Second, func() { a.back.move(made.ID, refunded) })
		var statuses []payflow.RefundStatus
		last, err := c.FollowRefund(t.Context(), made.ID, func(r Refund) { statuses = append(statuses, r.Status) })
		require.NoError(t, err)
		assert.Equal(t, payflow.RefundDone, last.Status)
		assert.Equal(t, []payflow.RefundStatus{payflow.RefundRequested, payflow.RefundDone}, statuses)
		now, err := c.RefundNow(t.Context(), made.ID)
		require.NoError(t, err)
		assert.Equal(t, last.Version, now.Version)
		_, err = c.Refund(t.Context(), id, RefundBody{Amount: 1251}, "r2")
		var refused *Problem
		require.ErrorAs(t, err, &refused)
		assert.EqualValues(t, 1000, *refused.Left)
	})
}

func TestMoneyThatAPersonGaveBackInAnotherWayIsNotRefunded(t *testing.T) {
	a := newTill(t)
	id := a.sold("A-1001")
	under := a.refund(id, "r1", aRefundBody).refund()
	require.Equal(t, http.StatusOK, a.post("/v1/payments/"+string(id)+"/acknowledge", `{"how":"money_given_back","operator":"P001"}`).Status)
	p := a.get("/v1/payments/" + string(id)).payment()
	assert.Zero(t, p.Refundable)
	assert.Equal(t, "P001", p.AnsweredBy)

	refused := a.refund(id, "r2", `{"amount":1000}`).problem()
	assert.Equal(t, GivenBack, refused.Code)
	assert.Equal(t, "/problems/money_given_back", refused.Type)
	assert.Equal(t, http.StatusConflict, refused.Status)
	assert.Contains(t, refused.Detail, "by P001 at "+p.Times.AcknowledgeAt.Format("2006-01-02 15:04"), "who recorded it, and when")
	assert.Contains(t, refused.NextStep.EN, "merchant platform", "what to do where it was recorded by mistake")
	assert.Equal(t, payflow.MoneyGivenBack, refused.Payment.How)

	again := a.refund(id, "r1", aRefundBody)
	assert.Equal(t, http.StatusOK, again.Status, "the one that was under way goes on")
	a.back.move(under.ID, refunded)
	assert.Zero(t, a.get("/v1/payments/"+string(id)).payment().Refundable)
}

func TestAnOrderThatWasFoundAfterARestoreIsNamedAsSuch(t *testing.T) {
	a := newTill(t)
	a.back.refuse = &payflow.FoundOrderError{Found: payflow.FoundAfterRestore{OutTradeNo: "SZTX001T1", State: payflow.TradeSuccess, Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}}}
	got := a.refund("SZTX001T1", "r1", aRefundBody).problem()
	assert.Equal(t, NoPayment, got.Code)
	assert.Equal(t, "found_after_restore", got.Reason)
	assert.Contains(t, got.Detail, "HK$ 12.50")
	assert.Contains(t, got.NextStep.EN, "journal found")
	assert.Contains(t, got.NextStep.EN, "merchant platform")
}
