package posagent

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// Whether WeChat Pay signs its error answers is not documented. Where it signs none, everything must still end, and a cashier
// must still read within seconds why a payment was refused.

// refusals are the scenarios in which WeChat Pay refuses, and the reason that the cashier must read.
var refusals = map[string]payflow.Reason{
	"no-money": payflow.ReasonNotEnough, "expired-code": payflow.ReasonCodeExpired, "reused-code": payflow.ReasonCodeUsed, "not-a-code": payflow.ReasonCodeInvalid,
	"card-not-supported": payflow.ReasonCard, "over-the-limit": payflow.ReasonLimit, "account-error": payflow.ReasonAccount, "too-many-requests": payflow.ReasonBusy,
	"no-money-order-open": payflow.ReasonNotEnough, "hidden-deduction": payflow.ReasonNotEnough, "buyer-mismatch": payflow.ReasonNumberInUse,
	"refused-unsigned": payflow.ReasonNotEnough, "invalid-request": payflow.ReasonRefused, "trade-error": payflow.ReasonRefused,
	"number-of-another-paid": payflow.ReasonNumberInUse, "number-of-another-unpaid": payflow.ReasonNumberInUse, "number-of-another-closed": payflow.ReasonNumberInUse,
	"number-of-another-reversed": payflow.ReasonNumberInUse, "rate-exceeded": payflow.ReasonBusy, "frequency-exceeded": payflow.ReasonBusy, "frequency-exceed": payflow.ReasonBusy,
	"wrong-parameter": payflow.ReasonConfiguration, "no-authority": payflow.ReasonConfiguration, "sign-error": payflow.ReasonConfiguration,
	"appid-mismatch": payflow.ReasonConfiguration, "merchant-unknown": payflow.ReasonConfiguration, "appid-unknown": payflow.ReasonConfiguration,
}

// neverHeals are the scenarios in which no answer ever comes again.
var neverHeals = map[string]bool{"never-ends": true, "query-answers-lost": true}

const (
	shownWithin = 3 * time.Second   // the reason of a refusal is on the screen
	endedWithin = 150 * time.Second // liveness: final, or a person looks
)

func TestWithNoErrorSignedEachRefusalIsShownInSecondsAndEveryStoryEnds(t *testing.T) {
	for _, scenario := range wxsim.Scenarios() {
		t.Run(scenario.Name, func(t *testing.T) {
			inHouse(t, wxsim.Config{Behaviour: wxsim.Behaviour{ErrorsUnsigned: true}}, func(t *testing.T, h *house) {
				require.NoError(t, h.client.FirstRoundTrip(t.Context()))
				entry := h.sell(scenario.Name)
				want, refused := refusals[scenario.Name]
				assert.Truef(t, refused || !strings.HasPrefix(scenario.Does, "refused: "), "refusals does not say how %s is shown", scenario.Name)
				if refused {
					shown, took := h.until(entry.OutTradeNo, shownWithin, func(e payflow.Entry) bool { return reasonShown(e) != "" })
					assert.Equal(t, want, reasonShown(shown))
					t.Logf("shown after %s", took)
				}
				if neverHeals[scenario.Name] { // the till is freed by hand, from the code's death on
					time.Sleep(2 * time.Minute)
					_, err := h.engine.SetAside(t.Context(), entry.OutTradeNo, "P001", "no answer")
					require.NoError(t, err)
					return
				}
				last, took := h.until(entry.OutTradeNo, endedWithin, ended)
				t.Logf("%s (%s, %s) after %s", last.Status, last.Reason, last.Attention, took.Round(time.Second))
			})
		})
	}
}

// reasonShown is why WeChat Pay refused, as far as a cashier can read it.
func reasonShown(e payflow.Entry) payflow.Reason {
	if e.Claim.Reason != "" {
		return e.Claim.Reason
	}
	return e.Refusal.Reason
}
