package till

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"posagent/payflow"
)

// aRefundEntry is a refund of HK$ 2.50 that stands somewhere.
func aRefundEntry(status payflow.RefundStatus, why, attention payflow.Reason) payflow.RefundEntry {
	e := payflow.RefundEntry{}
	e.Amount, e.Status, e.Why, e.Attention = payflow.Amount{Minor: 250, Currency: "HKD"}, status, why, attention
	return e
}

func TestEveryRefundSaysWhatHappenedAndWhatToDo(t *testing.T) {
	w := loadedWords(t)
	for _, status := range payflow.RefundStatuses() {
		for _, why := range payflow.RefundReasons() {
			for _, attention := range append(payflow.RefundReasons(), "") {
				e := aRefundEntry(status, why, attention)
				assertSaid(t, w.RefundMessage(e), status, why, attention)
				assertSaid(t, w.RefundNextStep(e), status, why, attention)
				assert.Contains(t, w.RefundMessage(e)["en"], "HK$ 2.50")
			}
		}
	}
}

func TestEveryReasonOfARefundHasBothPartsInEveryLanguage(t *testing.T) {
	w := loadedWords(t)
	for _, language := range WordLanguages() {
		c := w.catalogues[language]
		assert.Equal(t, keys(w.catalogues["en"].RefundReasons), keys(c.RefundReasons), language)
		assert.Len(t, c.RefundReasons, len(payflow.RefundReasons()), language)
		for _, why := range payflow.RefundReasons() {
			assert.NotEmpty(t, c.RefundReasons[string(why)].Message, "%s in %s", why, language)
			assert.NotEmpty(t, c.RefundReasons[string(why)].NextStep, "%s in %s", why, language)
		}
		for _, status := range payflow.RefundStatuses() {
			assert.NotEmpty(t, c.Refunds[string(status)].Message, "%s in %s", status, language)
			assert.NotEmpty(t, c.Labels["refund_"+string(status)], "%s in %s", status, language)
		}
	}
}

// A refund of which it is not known that the money went back is never told as done, and nobody is told to give the money back another way
// while it may still go back by this one.
func TestARefundThatIsNotDoneIsNeverCalledDone(t *testing.T) {
	w := loadedWords(t)
	open := []payflow.Reason{payflow.ReasonRefundAsking, payflow.ReasonRefundBusy, payflow.ReasonRefundUnknown, payflow.ReasonRefundChecking,
		payflow.ReasonRefundProcessing, payflow.AttentionRefundSlow, payflow.AttentionRefundUnsettled, payflow.AttentionRefundVanished}
	for _, why := range open {
		e := aRefundEntry(payflow.RefundRequested, why, "")
		assert.NotRegexp(t, `went back|gone back|has the money|REFUSED`, w.RefundMessage(e)["en"], why)
		assert.Regexp(t, `[Mm]ake no second refund`, w.RefundNextStep(e)["en"], why)
		assert.Contains(t, w.RefundNextStep(e)["zh-Hans"], "请勿再次退款", why)
		assert.Contains(t, w.RefundNextStep(e)["zh-Hant"], "請勿再次退款", why)
	}
	assert.Contains(t, w.RefundMessage(aRefundEntry(payflow.RefundDone, payflow.ReasonRefundDone, ""))["en"], "the money went back")
}

// A refusal keeps its own reason, also where a person must look because nobody waited for it; the step is then the person's.
func TestARefusedRefundKeepsItsReason(t *testing.T) {
	w := loadedWords(t)
	e := aRefundEntry(payflow.RefundRefused, payflow.ReasonRefundNoFunds, payflow.AttentionRefundRefused)
	assert.Contains(t, w.RefundMessage(e)["en"], "the shop's money at WeChat Pay is too little")
	assert.Contains(t, w.RefundNextStep(e)["en"], "then confirm it")
	e.Status, e.Why, e.Attention = payflow.RefundRequested, payflow.ReasonRefundUnknown, payflow.AttentionRefundUnsettled
	assert.Contains(t, w.RefundMessage(e)["en"], "still not known")
}

func TestMoneyThatCameLateIsSaidBeforeAllElse(t *testing.T) {
	w := loadedWords(t)
	e := anEntry(payflow.Declined, payflow.ReasonCodeExpired)
	e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true}
	assert.Contains(t, w.Message(e)["en"], "money reached WeChat Pay after this sale had been closed")
	assert.Contains(t, w.NextStep(e)["en"], "Call the manager")
	e.Late.Stage = payflow.LateGivenBack
	assert.Contains(t, w.Message(e)["en"], "it has gone back")
	assertSaid(t, w.NextStep(e))
	e.Late = payflow.Late{Stage: payflow.LateTakingBack} // unpaid so far, and being closed
	assert.NotContains(t, w.Message(e)["en"], "TOO LATE")
	e.Late = payflow.Late{Stage: payflow.LateClear}
	assert.Contains(t, w.Message(e)["en"], "Not paid")
}

func TestEveryRefusalOfARefundHasWordsOnThePage(t *testing.T) {
	w := loadedWords(t)
	general, _ := w.Notice("something new")
	for _, code := range []ProblemCode{NotPaid, GivenBack, RefundTooMuch, RefundTooMany, RefundOverdue, RefundOpen, CannotRefund, KeyReused, "other_api", "suspected_duplicate"} {
		message, next := w.Notice(string(code))
		assertSaid(t, message, code)
		assertSaid(t, next, code)
		assert.NotEqual(t, general["en"], message["en"], code)
	}
}

// Refused because other refunds are there: whoever reads "the customer has nothing yet" gives in cash what went back already.
func TestARefusalForTheSakeOfOtherRefundsDoesNotSayThatTheCustomerHasNothing(t *testing.T) {
	w := loadedWords(t)
	for _, why := range []payflow.Reason{payflow.ReasonRefundExceeds, payflow.ReasonRefundNumberInUse, payflow.ReasonRefundOthersFailed, payflow.ReasonRefundTooMany, payflow.ReasonRefundForgotten} {
		want := w.RefundNextStep(aRefundEntry(payflow.RefundRefused, why, ""))
		e := aRefundEntry(payflow.RefundRefused, why, payflow.AttentionRefundRefused)
		assert.Equal(t, want, w.RefundNextStep(e), why)
		assert.NotContains(t, w.RefundNextStep(e)["en"], "nothing yet", why)
	}
}

// WeChat Pay refuses for reasons that are not on our list: one is that the order was taken back, and the customer has his money. Nobody is sent to the
// cash drawer before he has looked.
func TestARefusalForAReasonNotKnownHereSendsToLookFirst(t *testing.T) {
	w := loadedWords(t)
	for _, attention := range []payflow.Reason{"", payflow.AttentionRefundRefused} {
		step := w.RefundNextStep(aRefundEntry(payflow.RefundRefused, payflow.ReasonRefundDeclined, attention))
		assert.Contains(t, step["en"], "it may have gone back already", attention)
		assert.Contains(t, step["zh-Hans"], "款项可能已经退还", attention)
		assert.Contains(t, step["zh-Hant"], "款項可能已經退還", attention)
		assert.NotContains(t, step["en"], "nothing yet", attention)
	}
}

func TestMoneyThatWentBackTwiceHasItsOwnWordsInEachLanguage(t *testing.T) {
	w := loadedWords(t)
	e := payflow.Entry{Payment: payflow.Payment{Order: payflow.Order{Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}}, Status: payflow.Declined},
		Late: payflow.Late{Stage: payflow.LateGivenBack, MoneySeen: true}, Links: []payflow.Link{{Kind: payflow.LinkBackTwice, Ref: "Amy"}}}
	for language, want := range map[string]string{"en": "Perhaps PAID BACK TWICE", "zh-Hans": "可能重复退款", "zh-Hant": "可能重複退款"} {
		assert.Contains(t, w.Message(e)[language], want)
		assert.Contains(t, w.Message(e)[language], "HK$ 12.50")
	}
	assert.Contains(t, w.NextStep(e)["en"], "Give nothing more")
	e.Links = append(e.Links, payflow.Link{Kind: payflow.LinkBackTwiceSeen, Ref: "Bo"})
	assert.NotContains(t, w.Message(e)["en"], "TWICE")
}

// A customer who never typed the password has paid nothing: no refund is promised to him, and he has none to show.
func TestMoneyIsSaidToGoBackOnlyWhereItMayHaveBeenTaken(t *testing.T) {
	w := loadedWords(t)
	s := &Server{cfg: Config{Words: w}}
	for _, reason := range []payflow.Reason{payflow.ReasonClosed, payflow.ReasonRevoked, payflow.ReasonRefunded} {
		e := anEntry(payflow.Reversed, reason)
		said := w.NextStep(e)
		assert.Contains(t, said["en"], "If money was taken, WeChat gives it back", reason)
		assert.Contains(t, said["zh-Hant"], "如已扣款，微信會退回", reason)
		assert.Contains(t, said["zh-Hans"], "如已扣款，微信会退回", reason)
		e.FirstPayAt = noon()
		bill := s.billOf(e).Body
		assert.Contains(t, bill.NextStep.EN, "If money was taken", reason)
		assert.NotRegexp(t, "even if|[Ss]how", bill.Message.EN+bill.NextStep.EN, reason)
		e.MoneySeen = true
		assert.Contains(t, s.billOf(e).Body.Message.EN, "the money that was taken goes back", reason)
	}
	seen := anEntry(payflow.Reversed, payflow.ReasonRefunded)
	seen.MoneySeen = true
	assert.Contains(t, w.Message(seen)["en"], "the money that was taken goes back")
	notSent := s.billOf(anEntry(payflow.Cancelled, payflow.ReasonScanTimeout)).Body
	assert.NotContains(t, notSent.NextStep.EN, "(C)", "there is nothing to ask about again")
}

func TestABillSaysHowItsRefundStands(t *testing.T) {
	b := storyBook{server: &Server{cfg: Config{Words: loadedWords(t)}}}
	goods := paidStory(answeredWith(payflow.GoodsGiven))
	whole := aRefund(payflow.RefundProcessing, payflow.ReasonRefundProcessing)
	whole.Amount.Minor = 1250
	assert.Contains(t, b.billWith(goods, aRefund(payflow.RefundDone, payflow.ReasonRefundDone)).Message.EN, "a REFUND was asked for")
	assert.NotContains(t, b.billWith(goods).NextStep.EN, "agree", "nobody has looked at a phone")
	assert.Contains(t, b.billWith(goods, whole).Message.EN, "all of it is being refunded")
	assert.NotContains(t, b.billWith(goods, whole).Message.EN, "GIVEN BACK")
	whole.Status, whole.Why = payflow.RefundDone, payflow.ReasonRefundDone
	assert.Contains(t, b.billWith(goods, whole).Message.EN, "GIVEN BACK")
	hand := b.billWith(paidStory(answeredWith(payflow.MoneyGivenBack)))
	assert.Contains(t, hand.Message.EN, "in another way")
	assert.NotContains(t, hand.NextStep.EN, "WeChat", "cash shows on no bill")
}
