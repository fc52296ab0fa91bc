package payflow

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The order took HK$ 12.50. Only what is known, done, whole and without a failure is all back.
func TestWhatRefundsAddUpTo(t *testing.T) {
	p := Payment{Order: anOrder()}
	for name, row := range map[string]struct {
		sum  RefundSum
		want seen
	}{
		"all back":                    {RefundSum{Known: true, Done: 1250}, seenAllBack},
		"one minor unit is missing":   {RefundSum{Known: true, Done: 1249}, seenPartBack},
		"one minor unit is under way": {RefundSum{Known: true, Done: 1249, Pending: 1}, seenOnItsWay},
		"all under way":               {RefundSum{Known: true, Pending: 1250}, seenOnItsWay},
		"a part, under way":           {RefundSum{Known: true, Done: 1000, Pending: 249}, seenPartBack},
		"one failed":                  {RefundSum{Known: true, Dead: 1}, seenRefundFailed},
		"one failed, the rest done":   {RefundSum{Known: true, Done: 250, Dead: 1}, seenRefundFailed},
		"one failed, another did it":  {RefundSum{Known: true, Done: 1250, Dead: 1}, seenRefundFailed},
		"one failed, one under way":   {RefundSum{Known: true, Pending: 1250, Dead: 2}, seenRefundFailed},
		"not known":                   {RefundSum{}, seenRefund},
		"not known, though it is all": {RefundSum{Done: 1250}, seenRefund},
		"no refund at all":            {RefundSum{Known: true}, seenRefund},
		"more than was paid":          {RefundSum{Known: true, Done: 1251}, seenRefund},
		"more, under way":             {RefundSum{Known: true, Done: 1250, Pending: 1}, seenRefund},
		"more, by an overflow":        {RefundSum{Known: true, Done: math.MaxInt64, Pending: math.MaxInt64}, seenRefund},
		"less than nothing done":      {RefundSum{Known: true, Done: -1, Pending: 1251}, seenRefund},
		"less than nothing under way": {RefundSum{Known: true, Done: 1251, Pending: -1}, seenRefund},
		"less than none failed":       {RefundSum{Known: true, Done: 1250, Dead: -1}, seenRefundFailed},
	} {
		trade := aTrade(p.Order, TradeRefund, straight)
		trade.Refunds = row.sum
		assert.Equal(t, row.want, look(p, trade), name)
	}
}

// All back is proof of this very order only where all else of it is told as ours; the total is what WeChat Pay took.
func TestWhoseRefundsAreProof(t *testing.T) {
	p := Payment{Order: anOrder()}
	for odd, want := range map[twist]seen{
		allBack: seenAllBack, backNoAttach: seenAllBack, backOdd: seenAllBack, backAsAsked: seenPartBack,
		backMerchant: seenRefund, backCurrency: seenRefund, backNoNumber: seenRefund,
	} {
		assert.Equal(t, want, look(p, aTrade(p.Order, TradeRefund, odd)), string(odd))
	}
	stranger := aTrade(p.Order, TradeRefund, anothersOrder)
	stranger.Refunds = RefundSum{Known: true, Done: 1250}
	assert.Equal(t, seenAnother, look(p, stranger))
	nothing := aTrade(p.Order, TradeRefund, straight)
	nothing.Amount, nothing.Refunds = Amount{}, RefundSum{Known: true}
	assert.Equal(t, seenRefund, look(p, nothing), "an answer without an amount")

	p.Refusal.Kind = Collision
	assert.Equal(t, seenUnclaimed, look(p, aTrade(p.Order, TradeRefund, backNoAttach)), "after a collision nobody's")
	assert.Equal(t, seenAllBack, look(p, aTrade(p.Order, TradeRefund, allBack)))
}

// Refunds belong to REFUND: beside another state they say nothing.
func TestRefundsBesideAnotherState(t *testing.T) {
	p := Payment{Order: anOrder()}
	for state, want := range map[TradeState]seen{TradeSuccess: seenOurs, TradeNotPay: seenOpen, TradePayError: seenPayError, TradeRevoked: seenClosed, "SOMETHING_NEW": seenLost} {
		assert.Equal(t, want, look(p, aTrade(p.Order, state, allBack)), state)
	}
}
