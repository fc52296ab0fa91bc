package wxclient

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// The payer is told by the institution's or the merchant's own app id (query order, payer); what cannot be an open id is nobody.
func TestAnAnswerTellsThePayer(t *testing.T) {
	for _, c := range []struct {
		name, body string
		mode       payflow.Mode
		want       string
	}{
		{"institution", `{"payer":{"sp_openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o","sub_openid":"oSub"}}`, payflow.Institution, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
		{"direct", `{"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`, payflow.Direct, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
		{"not paid", `{}`, payflow.Direct, ""},
		{"of another kind", `{"payer":{"openid":["x"]}}`, payflow.Direct, ""},
		{"too long", `{"payer":{"openid":"` + strings.Repeat("o", 129) + `"}}`, payflow.Direct, ""},
		{"a payment code", `{"payer":{"openid":"134567890123454321"}}`, payflow.Direct, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := readTradeAnswer(answer{body: []byte(c.body)})
			require.NoError(t, err)

			trade := a.trade(c.mode)

			assert.Equal(t, c.want, trade.Payer)
			text, err := json.Marshal(trade)
			require.NoError(t, err)
			assert.NotContains(t, string(text), "oUpF8u", "an open id is never written down")
		})
	}
}
