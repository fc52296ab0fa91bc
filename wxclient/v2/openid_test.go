package v2

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestOpenIDTellsWhoseACodeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{with: map[string]string{"result_code": "SUCCESS", "openid": "oUpF8uN95-Ptaags6E_roPHg7AG0"}})
		outcome, err := c.OpenID(t.Context(), testAuthCode(t))
		require.NoError(t, err)
		assert.Equal(t, OpenIDOutcome{OpenID: "oUpF8uN95-Ptaags6E_roPHg7AG0"}, outcome)
		assert.Equal(t, testCode, g.last().with["auth_code"])
		assert.Equal(t, 1, g.count(openIDPath))

		for code, reason := range map[string]payflow.Reason{"AUTHCODEEXPIRE": payflow.ReasonCodeExpired, "AUTH_CODE_ERROR": payflow.ReasonCodeUsed, "AUTH_CODE_INVALID": payflow.ReasonCodeInvalid} {
			g.always(refusal(code))
			outcome, err = c.OpenID(t.Context(), testAuthCode(t))
			require.NoError(t, err)
			assert.Equal(t, reason, outcome.Reason)
		}
		for name, p := range map[string]reply{"a fault": refusal("SYSTEMERROR"), "a collision": refusal("ORDERPAID"), "unsigned": refusal("AUTHCODEEXPIRE").sealed("none"),
			"nobody": {with: map[string]string{"result_code": "SUCCESS"}}} {
			g.always(p)
			_, err = c.OpenID(t.Context(), testAuthCode(t))
			assert.Error(t, err, name)
			lostOf(t, err)
		}
		_, err = c.OpenID(t.Context(), payflow.AuthCode{})
		assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason)
	})
}
