package till

import (
	"errors"
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

func TestArmingAPaymentShowsItWaitingForAScan(t *testing.T) {
	a := newTill(t)
	got := a.arm("A-1001", "k1")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	p := got.payment()
	assert.Equal(t, payflow.Waiting, p.Status)
	assert.Equal(t, int64(1250), p.Amount)
	assert.Equal(t, "HK$ 12.50", p.AmountText)
	assert.Equal(t, "is waiting_for_code", p.Message.EN)
	assert.Equal(t, "後waiting", p.NextStep.ZhHant)
	assert.Equal(t, "/v1/payments/"+string(p.ID), got.Header.Get("Location"))
	assert.False(t, p.Times.ScanUntil.IsZero())
}

func TestTheSameKeyIsTheSamePaymentWhateverHasHappened(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	a.desk.move(id, paid)
	again := a.arm("A-1001", "key-A-1001")
	require.Equal(t, http.StatusCreated, again.Status, again.Body)
	assert.Equal(t, id, again.payment().ID)
	assert.Equal(t, payflow.Paid, again.payment().Status)
	assert.Equal(t, KeyReused, a.arm("A-1002", "key-A-1001").problem().Code)
}

func TestARequestIsRefusedWithTheFieldAndNoValue(t *testing.T) {
	cases := map[string]struct{ body, field string }{
		"amount as text":           {`{"amount":"12.50","sale_ref":"A"}`, "amount"},
		"amount with decimals":     {`{"amount":12.5,"sale_ref":"A"}`, "amount"},
		"nothing to pay":           {`{"amount":0,"sale_ref":"A"}`, "amount"},
		"too much":                 {`{"amount":10000000001,"sale_ref":"A"}`, "amount"},
		"no sale":                  {`{"amount":1}`, "sale_ref"},
		"no amount":                {`{"sale_ref":"A"}`, "amount"},
		"empty sale":               {`{"amount":1,"sale_ref":""}`, "sale_ref"},
		"another till's currency":  {`{"amount":1,"sale_ref":"A","currency":"CNY"}`, "currency"},
		"an unknown field":         {`{"amount":1,"sale_ref":"A","amuont":2}`, "body"},
		"detail that is no object": {`{"amount":1,"sale_ref":"A","detail":["x"]}`, "detail"},
		"no JSON":                  {`amount=1`, "body"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newTill(t)
			r := a.request(http.MethodPost, "/v1/payments", c.body)
			r.Header.Set("Idempotency-Key", "k1")
			p := a.do(r).problem()
			assert.Equal(t, http.StatusBadRequest, p.Status)
			require.Equal(t, BadRequest, p.Code)
			require.NotEmpty(t, p.Fields)
			assert.Equal(t, c.field, p.Fields[0].Field)
			assert.Empty(t, a.desk.payments, "nothing was armed")
		})
	}
}

func TestAPaymentNeedsItsKey(t *testing.T) {
	a := newTill(t)
	assert.Equal(t, KeyMissing, a.post("/v1/payments", `{"amount":1,"sale_ref":"A"}`).problem().Code)
	assert.Equal(t, KeyMissing, a.arm("A", "with blanks in it").problem().Code)
}

func TestABodyThatIsNoJSONOrTooLargeIsNamed(t *testing.T) {
	a := newTill(t)
	r := a.request(http.MethodPost, "/v1/payments", "amount=1")
	r.Header.Set("Idempotency-Key", "k1")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	assert.Equal(t, MediaType, a.do(r).problem().Code)
	large := a.request(http.MethodPost, "/v1/payments", `{"amount":1,"sale_ref":"`+strings.Repeat("A", bodyMax)+`"}`)
	large.Header.Set("Idempotency-Key", "k1")
	assert.Equal(t, TooLarge, a.do(large).problem().Code)
	none := a.request(http.MethodPost, "/v1/payments", "")
	none.Header.Set("Idempotency-Key", "k1")
	assert.Equal(t, BadRequest, a.do(none).problem().Code)
}

func TestARefusalOfTheDeskNamesThePaymentInTheWay(t *testing.T) {
	a := newTill(t)
	first := a.armed("A-1001")
	busy := a.arm("A-1002", "k2").problem()
	assert.Equal(t, TillBusy, busy.Code)
	assert.Equal(t, string(first), busy.PaymentID)

	a.desk.move(first, func(e *payflow.Entry) {
		e.Status, e.Attention, e.SetAside.At = payflow.Confirming, payflow.AttentionMismatch, noon()
	})
	aside := a.arm("A-1001", "k3").problem()
	assert.Equal(t, SaleOpen, aside.Code)
	assert.Equal(t, string(first), aside.PaymentID)

	a.desk.move(first, paid)
	again := a.arm("A-1001", "k4").problem()
	assert.Equal(t, AlreadyPaid, again.Code)
	assert.Equal(t, http.StatusConflict, again.Status)
	assert.Equal(t, string(first), again.PaymentID)
}

func TestATillThatIsNotReadySaysWhyAndWhatToDo(t *testing.T) {
	a := newTill(t)
	a.desk.notReady = &payflow.NotReadyError{Code: "no_network", Text: "WeChat Pay can't be reached"}
	p := a.arm("A-1001", "k1").problem()
	assert.Equal(t, http.StatusServiceUnavailable, p.Status)
	assert.Equal(t, NotTaken, p.Code)
	assert.Equal(t, "no_network", p.Reason)
	assert.Equal(t, "then no_network", p.NextStep.EN)
	assert.Equal(t, "則no_network", p.NextStep.ZhHant)
	assert.Equal(t, "no_network", a.get("/readyz").problem().Reason)
	a.desk.notReady, a.desk.fail = nil, fmt.Errorf("arm: %w", payflow.ErrJournalClosed)
	assert.Equal(t, "journal", a.arm("A-1001", "k1").problem().Reason)
}

func TestAFaultOfTheMachineTellsTheLogAndNotTheCaller(t *testing.T) {
	a := newTill(t)
	a.desk.fail = errors.New("read page 7 of 134567890123456789: input/output error")
	p := a.arm("A-1001", "k1").problem()
	assert.Equal(t, Internal, p.Code)
	assert.NotContains(t, p.Detail, "page 7")
	assert.Contains(t, a.log.String(), "input/output error")
	assert.NotContains(t, a.log.String(), "134567890123456789")
}

func TestALongPollEndsWithTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { a.desk.move(id, paid) })
		p := a.get("/v1/payments/" + string(id) + "?since=1&wait=25").payment()
		assert.Equal(t, payflow.Paid, p.Status)
		assert.Equal(t, 7*time.Second, time.Since(began))
		assert.Equal(t, "4200000000202611240000000001", string(p.TransactionID))
		assert.Equal(t, int64(1150), p.PayerAmount)
	})
}

func TestALongPollEndsWithItsTimeAndShowsThePresentForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		began := time.Now()
		assert.Equal(t, payflow.Waiting, a.get("/v1/payments/"+string(id)+"?since=1&wait=25").payment().Status)
		assert.Equal(t, 25*time.Second, time.Since(began))
		assert.Equal(t, payflow.Waiting, a.get("/v1/payments/"+string(id)+"?since=0&wait=25").payment().Status, "an older version is answered at once")
		assert.Equal(t, 25*time.Second, time.Since(began))
	})
}

func TestArmingMayWaitForTheFinalResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := payflow.OutTradeNo("SZTX001T1261124000001AB12C9")
		time.AfterFunc(2*time.Second, func() { a.desk.move(id, confirming) })
		time.AfterFunc(9*time.Second, func() { a.desk.move(id, paid) })
		r := a.request(http.MethodPost, "/v1/payments", `{"amount":1250,"sale_ref":"A-1001"}`)
		r.Header.Set("Idempotency-Key", "k1")
		r.Header.Set("Prefer", "respond-async, wait=60")
		began := time.Now()
		got := a.do(r)
		assert.Equal(t, payflow.Paid, got.payment().Status)
		assert.Equal(t, 9*time.Second, time.Since(began))
		assert.Equal(t, "wait=60", got.Header.Get("Preference-Applied"))
	})
}

func TestAWaitIsCutAtItsBound(t *testing.T) {
	assert.Equal(t, waitMax, preferredWait("wait=100000"))
	assert.Equal(t, time.Minute, preferredWait(`handling=lenient, Wait = "60"`))
	assert.Zero(t, preferredWait("wait=-1"))
	assert.Zero(t, preferredWait("wait=soon"))
	assert.Zero(t, preferredWait(""))
}

func TestMoreLongPollsThanTheBoundAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		id := a.armed("A-1001")
		for i := range pollsMax {
			require.True(t, a.server.polls.enter(fmt.Sprint(i)))
		}
		assert.Equal(t, TooMany, a.get("/v1/payments/"+string(id)+"?since=1&wait=25").problem().Code)
		a.server.polls.leave("0")
		assert.Equal(t, http.StatusOK, a.get("/v1/payments/"+string(id)+"?since=1&wait=25").Status)
	})
}

func TestAPaymentThatIsNotThereIsNamedSo(t *testing.T) {
	a := newTill(t)
	assert.Equal(t, NoPayment, a.get("/v1/payments/SZTX001T1").problem().Code)
	assert.Equal(t, NoPayment, a.get("/v1/payments/not-a-number").problem().Code)
	assert.Equal(t, BadRequest, a.get("/v1/payments/SZTX001T1?wait=soon").problem().Code)
	assert.Equal(t, BadRequest, a.get("/v1/payments/SZTX001T1?wiat=5").problem().Code)
}

func TestWeChatPaysOwnWordsShowNoCode(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	a.desk.move(id, func(e *payflow.Entry) {
		e.Status, e.Refusal = payflow.Declined, payflow.Refusal{Code: "PARAMERROR", Text: "auth_code " + aCode + " is wrong"}
	})
	p := a.get("/v1/payments/" + string(id)).payment()
	assert.Equal(t, "PARAMERROR", p.WeChatCode)
	assert.Equal(t, "auth_code ****************** is wrong", p.WeChatText)
}

func TestASaleWhoseOrderWasFoundAfterARestoreIsNotCalledPaid(t *testing.T) {
	a := newTill(t)
	p := a.server.typedProblem(&payflow.AlreadyPaidError{ID: "SZTX001T1", Found: true})
	assert.Equal(t, AlreadyPaid, p.Code)
	assert.Equal(t, "found_after_restore", p.Reason)
	assert.NotContains(t, p.NextStep.EN, "Hand over")
}
