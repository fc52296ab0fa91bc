package v2

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoSecretIsLogged: no payment code, no key and no sign leaves by the log, an error or an outcome, whatever comes back.
func TestNoSecretIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written bytes.Buffer
		g, c := inTown(t, func(config *Config) { config.Log = zerolog.New(&written).Level(zerolog.DebugLevel) })
		for _, p := range []reply{paid(testOrder(), ""), refusal("AUTH_CODE_INVALID").but("err_code_des", "code "+testCode), refusal(testCode), refusal("NOAUTH"),
			paid(testOrder(), "").sealed("forged"), {raw: "<xml><return_code>FAIL</return_code><return_msg>" + testCode + " " + testKey + "</return_msg></xml>"},
			{raw: "<html>" + testCode + "</html>"}, {status: 502, raw: testCode}, {drop: true}, {hang: true}} {
			g.always(p)
			outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			fmt.Fprintln(&written, outcome, err)
			who, err := c.OpenID(t.Context(), testAuthCode(t))
			fmt.Fprintln(&written, who, err)
		}
		require.Contains(t, written.String(), `"message":"wire"`)
		require.Contains(t, written.String(), `"message":"answer"`)
		assert.NotContains(t, written.String(), testCode)
		assert.NotContains(t, written.String(), testCode[:14])
		g.mu.Lock() // a call that hung may only now be written down
		defer g.mu.Unlock()
		for _, a := range g.arrivals {
			assert.NotContains(t, written.String(), a.with["sign"])
		}
	})
}
