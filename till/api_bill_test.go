package till

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// askedBills answers a question about a bill's number, and keeps what was asked.
type askedBills struct {
	outcome payflow.Outcome
	err     error
	ids     []payflow.TransactionID
	numbers []payflow.OutTradeNo
}

func (b *askedBills) AskBill(_ context.Context, id payflow.TransactionID, no payflow.OutTradeNo) (payflow.Outcome, error) {
	b.ids, b.numbers = append(b.ids, id), append(b.numbers, no)
	return b.outcome, b.err
}

func (a *aTill) bill(number string) Bill {
	a.t.Helper()
	body, err := json.Marshal(BillBody{Number: number})
	require.NoError(a.t, err)
	got := a.post("/v1/bills", string(body))
	require.Equal(a.t, http.StatusOK, got.Status, got.Body)
	var b Bill
	require.NoError(a.t, json.Unmarshal([]byte(got.Body), &b))
	require.NotEmpty(a.t, b.Message.EN)
	require.NotEmpty(a.t, b.NextStep.EN)
	return b
}

const billID = "4200000000202611240000000001" // WeChat Pay's number, of 24 November

func TestABillOfThisTillIsFoundInTheJournalAlone(t *testing.T) {
	asked := &askedBills{err: &payflow.LostError{}}
	a := newTill(t, func(c *Config) { c.Bills = asked })
	id := a.armed("A-1")
	for _, state := range []struct {
		change func(*payflow.Entry)
		answer BillAnswer
	}{
		{confirming, BillUndecided},
		{func(e *payflow.Entry) { e.Status = payflow.Paying }, BillUndecided},
		{reversing, BillTakingBack},
		{func(e *payflow.Entry) { e.Status, e.Reason = payflow.Reversed, payflow.ReasonRefunded }, BillTakenBack},
		{func(e *payflow.Entry) { e.Status, e.Reason = payflow.Reversed, payflow.ReasonClosed }, BillTakenBack},
		{func(e *payflow.Entry) { e.Reason = payflow.ReasonNeverArrived }, BillNotPaid},
		{func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true} }, BillLate},
		{func(e *payflow.Entry) { e.Late.Stage = payflow.LateGivenBack }, BillTakenBack},
		{func(e *payflow.Entry) { e.Late = payflow.Late{}; e.Status = payflow.Declined }, BillNotPaid},
		{func(e *payflow.Entry) { e.Status = payflow.Cancelled }, BillNotPaid},
		{paid, BillPaid},
		{func(e *payflow.Entry) { e.Acknowledged = payflow.Acknowledgement{At: noon(), How: payflow.GoodsGiven} }, BillGoodsGiven},
		{func(e *payflow.Entry) { e.Acknowledged.How = payflow.MoneyGivenBack }, BillMoneyBack},
	} {
		a.desk.move(id, state.change)
		b := a.bill(string(id))
		assert.Equal(t, state.answer, b.Answer)
		require.NotNil(t, b.Payment)
		assert.Equal(t, id, b.Payment.ID)
		assert.Nil(t, b.Order)
	}
	assert.Empty(t, asked.numbers, "what the journal knows is asked of nobody")
}

func TestABillWhoseRefundsCannotBeReadIsAnsweredByNothing(t *testing.T) {
	a := newTill(t)
	id := a.armed("A-1")
	a.desk.move(id, paid)
	a.back.unreadable = errors.New("the disk does not answer")
	assert.Equal(t, Internal, a.post("/v1/bills", `{"number":"`+string(id)+`"}`).problem().Code, "paid would have the goods go for money that may be back")
}

func TestABillIsFoundByWeChatPaysNumberOnItsDayOrTheNext(t *testing.T) {
	for _, day := range []string{"2026-11-24", "2026-11-23", "2026-11-25"} {
		a := newTill(t)
		id := a.sold("A-1")
		a.desk.move(id, func(e *payflow.Entry) { e.Trade.TransactionID, e.StoreDay = billID, day })
		for n := range listMax + 5 { // newer ones, so that the newest do not reach back to it
			a.desk.payments = append(a.desk.payments, payflow.Entry{Payment: payflow.Payment{Order: payflow.Order{OutTradeNo: payflow.OutTradeNo("Z" + sequenceText(uint64(n)))}, Status: payflow.Cancelled}})
		}
		b := a.bill(" " + billID + " ")
		assert.Equal(t, BillPaid, b.Answer, day)
		assert.Equal(t, id, b.Payment.ID)
	}
}

func TestABillOfAnotherTillIsAskedForAndDecidesNothing(t *testing.T) {
	asked := &askedBills{}
	a := newTill(t, func(c *Config) { c.Bills = asked })
	trade := payflow.Trade{State: payflow.TradeSuccess, OutTradeNo: "OTHER-1", TransactionID: billID, Amount: payflow.Amount{Minor: 880, Currency: "HKD"}, SuccessTime: noon()}
	for state, answer := range map[payflow.TradeState]BillAnswer{
		payflow.TradeSuccess: BillOtherPaid, payflow.TradeRefund: BillOtherUnpaid, payflow.TradeNotPay: BillOtherUnpaid, payflow.TradeRevoked: BillOtherUnpaid, "NEWSTATE": BillOtherUnpaid,
	} {
		trade.State = state
		asked.outcome = payflow.Outcome{Kind: payflow.Found, Trade: trade}
		b := a.bill(billID)
		assert.Equal(t, answer, b.Answer, state)
		assert.Nil(t, b.Payment)
		require.NotNil(t, b.Order)
		assert.Equal(t, "HK$ 8.80", b.Order.AmountText)
	}
	assert.Equal(t, payflow.TransactionID(billID), asked.ids[0])
	assert.Empty(t, asked.numbers[0])

	asked.outcome = payflow.Outcome{Kind: payflow.NoSuchOrder}
	assert.Equal(t, BillNotOurs, a.bill("shop-9_42").Answer)
	assert.Equal(t, payflow.OutTradeNo("shop-9_42"), asked.numbers[len(asked.numbers)-1], "as it stands on the bill")
	asked.err = &payflow.LostError{}
	assert.Equal(t, BillNotAsked, a.bill(billID).Answer)
	assert.Equal(t, BillNotAsked, newTill(t).bill(billID).Answer)
	assert.Empty(t, a.desk.events, "a question is no entry of the journal")
}

// The number on a customer's bill is WeChat Pay's, and the journal learns it only with an answer that shows it.
func TestABillOfThisTillWhoseNumberTheJournalHasNotLearntIsNoOtherTills(t *testing.T) {
	asked := &askedBills{}
	a := newTill(t, func(c *Config) { c.Bills = asked })
	id := a.armed("A-1")
	shows := func(state payflow.TradeState) {
		asked.outcome = payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: state, OutTradeNo: id, TransactionID: billID, Amount: payflow.Amount{Minor: 880, Currency: "HKD"}}}
	}
	shows(payflow.TradeSuccess)
	a.desk.move(id, confirming)
	assert.Equal(t, BillUndecided, a.bill(billID).Answer, "it is still being asked about")

	a.desk.move(id, func(e *payflow.Entry) {
		e.Status, e.CodeSpent, e.Late = payflow.Declined, true, payflow.Late{Stage: payflow.LateClear}
	})
	learnt := make(chan struct{})
	go func() {
		defer close(learnt)
		for { // the engine, told to look again
			e, err := a.desk.Payment(id)
			if err != nil || e.Late.Stage == payflow.LateOwed {
				break
			}
			time.Sleep(time.Millisecond)
		}
		a.desk.move(id, func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true} })
	}()
	b := a.bill(billID)
	<-learnt
	assert.Equal(t, BillLate, b.Answer, "money taken after the end: it goes back, and nobody is sent to another till")
	require.NotNil(t, b.Payment)
	assert.Equal(t, id, b.Payment.ID)
	assert.Nil(t, b.Order)

	a.desk.move(id, func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateClear} })
	shows(payflow.TradeRevoked)
	assert.Equal(t, BillNotPaid, a.bill(billID).Answer)
	e, err := a.desk.Payment(id)
	require.NoError(t, err)
	assert.Equal(t, payflow.LateClear, e.Late.Stage, "nothing is asked anew where no money is seen")
}

func TestAPaymentCodeIsNoBillAndIsNotShown(t *testing.T) {
	asked := &askedBills{}
	a := newTill(t, func(c *Config) { c.Bills = asked })
	for text, answer := range map[string]BillAnswer{
		eighteen: BillCode, "281234567890123456": BillCode, "6212345678901234567": BillCode, "12": BillNoNumber, "https://wx.tenpay.com/x?y=1": BillNoNumber, "a b c d e f": BillNoNumber,
	} {
		got := a.post("/v1/bills", `{"number":"`+text+`"}`)
		assert.Contains(t, got.Body, `"answer":"`+string(answer)+`"`, text)
		assert.NotContains(t, got.Body, text)
	}
	assert.Empty(t, asked.numbers)
	assert.NotContains(t, a.log.String(), eighteen)
}

// What is asked of WeChat Pay stands in the log, and leaves this machine.
func TestNoSecretIsAskedForAsABill(t *testing.T) {
	asked := &askedBills{outcome: payflow.Outcome{Kind: payflow.NoSuchOrder}}
	a := newTill(t, func(c *Config) {
		c.Bills = asked
		c.Secret = func(text string) bool { return strings.Contains(text, "0123456789abcdef") }
	})
	for number, answer := range map[string]BillAnswer{
		"A-" + aCode: BillCode, aCode + "_2": BillCode, "k0123456789abcdefk": BillNoNumber,
	} {
		assert.Equal(t, answer, a.bill(number).Answer, number)
	}
	assert.Empty(t, asked.numbers)
	assert.Equal(t, BillNotOurs, a.bill("42"+aCode+"00000000").Answer, "a number of WeChat Pay's may look like anything")
}

func TestOneBillIsAskedForAtATime(t *testing.T) {
	a := newTill(t, func(c *Config) { c.Bills = &askedBills{} })
	require.True(t, a.server.bills.enter())
	assert.Equal(t, TooMany, a.post("/v1/bills", `{"number":"`+billID+`"}`).problem().Code)
	a.server.bills.leave()
	assert.Equal(t, BillNotOurs, a.bill(billID).Answer)
}

func TestEveryAnswerToABillHasItsWords(t *testing.T) {
	w := loadedWords(t)
	for _, language := range WordLanguages() {
		for _, answer := range BillAnswers() {
			assert.Contains(t, w.catalogues[language].Notices, "bill_"+string(answer), language)
		}
	}
	assert.Less(t, billAskWithin, 10*time.Second, "the page waits no longer for an answer")
}
