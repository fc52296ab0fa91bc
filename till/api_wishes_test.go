package till

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const aCode = "134567890123456789"

func TestACancelIsDoneRememberedOrTooLate(t *testing.T) {
	cases := map[string]struct {
		before func(*payflow.Entry)
		status int
		after  payflow.Status
	}{
		"waiting":    {func(*payflow.Entry) {}, http.StatusOK, payflow.Cancelled},
		"paying":     {func(e *payflow.Entry) { e.Status = payflow.Paying }, http.StatusAccepted, payflow.Paying},
		"confirming": {confirming, http.StatusAccepted, payflow.Confirming},
		"reversing":  {reversing, http.StatusConflict, payflow.Reversing},
		"paid":       {paid, http.StatusConflict, payflow.Paid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newTill(t)
			id := a.armed("A-1001")
			a.desk.move(id, c.before)
			got := a.post("/v1/payments/"+string(id)+"/cancel", `{"operator":"P001"}`)
			require.Equal(t, c.status, got.Status, got.Body)
			if c.status == http.StatusConflict {
				p := got.problem()
				assert.Equal(t, WrongState, p.Code)
				require.NotNil(t, p.Payment)
				assert.Equal(t, c.after, p.Payment.Status)
				assert.Equal(t, p.Payment.NextStep, p.NextStep)
				return
			}
			assert.Equal(t, c.after, got.payment().Status)
			assert.True(t, got.payment().CancelAsked)
		})
	}
}

func TestACancelNeedsNoBody(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	assert.Equal(t, http.StatusOK, a.post("/v1/payments/"+string(id)+"/cancel", "").Status)
}

func TestACodeIsTakenOnlyWhereTheConfigurationAllowsIt(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	assert.Equal(t, CodeNotAllowed, a.post("/v1/payments/"+string(id)+"/code", `{"code":"`+aCode+`"}`).problem().Code)
	assert.Empty(t, a.desk.codes)

	a.server.cfg.AllowCodeInAPI = true
	got := a.post("/v1/payments/"+string(id)+"/code", `{"code":"`+aCode+`"}`)
	require.Equal(t, http.StatusAccepted, got.Status, got.Body)
	assert.Equal(t, "6789", got.payment().CodeTail)
	assert.Equal(t, []string{aCode}, a.desk.codes)
	assert.Equal(t, ScanBusy, a.post("/v1/payments/"+string(id)+"/code", `{"code":"`+aCode+`"}`).problem().Code)
}

func TestAnotherWalletsCodeIsNamed(t *testing.T) {
	a := newTill(t, func(c *Config) { c.AllowCodeInAPI = true })
	id := a.armed("A-1001")
	p := a.post("/v1/payments/"+string(id)+"/code", `{"code":"281234567890123456"}`).problem()
	assert.Equal(t, WrongCode, p.Code)
	assert.Equal(t, "alipay", p.Reason)
}

func TestAPaidPaymentIsAnsweredByGoodsOrMoney(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	path := "/v1/payments/" + string(id) + "/acknowledge"
	assert.Equal(t, WrongState, a.post(path, "").problem().Code, "nothing to tell yet")
	a.desk.move(id, paid)
	assert.Equal(t, "how", a.post(path, `{"how":"seen"}`).problem().Fields[0].Field)
	assert.Equal(t, BadRequest, a.post(path, `{"how":"forgotten"}`).problem().Code)
	p := a.post(path, `{"operator":"P001"}`).payment()
	assert.True(t, p.Acknowledged)
	assert.Equal(t, payflow.GoodsGiven, p.How)
}

func TestGoodsAreNotGivenForWhatWasNotPaid(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	a.desk.move(id, func(e *payflow.Entry) { e.Status, e.MoneySeen = payflow.Reversed, true })
	path := "/v1/payments/" + string(id) + "/acknowledge"
	assert.Equal(t, "how", a.post(path, `{"how":"goods_given"}`).problem().Fields[0].Field)
	p := a.post(path, "").payment()
	assert.Equal(t, payflow.Seen, p.How)
	require.NotNil(t, p.Money)
	assert.True(t, p.Money.WasTaken)
}

func TestSettingAsideNeedsAnOperatorAndAReason(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1001")
	a.desk.move(id, confirming)
	path := "/v1/payments/" + string(id) + "/set-aside"
	assert.Equal(t, BadRequest, a.post(path, `{"operator":"P001"}`).problem().Code)
	assert.Equal(t, NotAside, a.post(path, `{"operator":"P001","reason":"queue"}`).problem().Code)
	a.desk.move(id, func(e *payflow.Entry) { e.Attention = payflow.AttentionAnotherTill })
	got := a.post(path, `{"operator":"P001","reason":"queue"}`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	assert.True(t, got.payment().SetAside)
	assert.Equal(t, payflow.AttentionAnotherTill, got.payment().Attention)
}
