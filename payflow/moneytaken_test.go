package payflow

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moneyFaults tell what is not known of the money, or do not tell what is.
func moneyFaults() []fault {
	revoked := func(p Payment, e Event) bool {
		return fits(p, e, QueryAnswered, Found) && e.Outcome.Trade.State == TradeRevoked
	}
	return []fault{
		{name: "revoked when first seen is called unpaid", step: on(revoked, func(p Payment, e Event) (Payment, []Command) {
			after, commands := Step(p, e)
			if after.Reason == ReasonRevoked {
				after.Reason = ReasonClosed
			}
			return after, commands
		})},
		{name: "revoked after it was seen unpaid is called not known", step: on(revoked, func(p Payment, e Event) (Payment, []Command) {
			after, commands := Step(p, e)
			if after.Reason == ReasonClosed {
				after.Reason = ReasonRevoked
			}
			return after, commands
		})},
		{name: "the time of payment of a revoked order is not read", step: heard(func(p Payment, e *Event) {
			if revoked(p, *e) {
				e.Outcome.Trade.SuccessTime = time.Time{}
			}
		})},
		{name: "another's time of payment is taken for ours", step: heard(func(p Payment, e *Event) {
			if revoked(p, *e) {
				e.Outcome.Trade.Attach = string(p.Tag)
			}
		})},
		{name: "money that was seen is forgotten at the end", step: on(revoked, func(p Payment, e Event) (Payment, []Command) {
			p.MoneySeen = false
			return Step(p, e)
		})},
	}
}

func TestWhatIsKnownOfTheMoneyIsToldByAStory(t *testing.T) {
	stories := map[string]string{}
	for _, path := range storyFiles(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		stories[path] = string(text)
	}
	for _, f := range moneyFaults() {
		assert.NotEmpty(t, caughtByStory(stories, f.step), "%s: nobody notices", f.name)
	}
}
