package wxclient

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoSecretLeavesButOnTheWire plants the payment code in every member of every answer and of the order, and searches
// the debug log, the errors, the outcomes, the conditions and the stored file.
func TestNoSecretLeavesButOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var told []string
		var log bytes.Buffer
		network := newPipes(g, firstHost)
		config := testConfig(g, network.dial, firstHost)
		config.Log = zerolog.New(&log).Level(zerolog.DebugLevel)
		config.CertificatesFile = filepath.Join(t.TempDir(), "platform.json")
		config.OnCondition = func(c Condition) { told = append(told, fmt.Sprintf("%+v", c)) }
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		o := testOrder()
		o.Detail = "not JSON " + testCode
		planted := strings.NewReplacer("CODE", testCode).Replace
		trade := planted(`{"id":"CODE","sp_appid":"CODE","sp_mchid":"CODE","sub_mchid":"x CODE","out_trade_no":"SZTX001T1A1","trade_state":"SUCCESS","attach":"ABCDEFGH01234567 CODE",
			"trade_state_desc":"code CODE!","bank_type":"CODE","success_time":"CODE","amount":{"total":CODE,"currency":"CODE","payer_total":CODE,"payer_currency":"CODE",
			"exchange_rate":{"type":"CODE","rate":"CODE"}},"payer":{"sp_openid":"CODE"}}`)
		trouble := planted(`{"code":"%s","message":"auth_code CODE 9CODE9 is wrong","detail":{"field":"CODE","value":"CODE","sign_information":{"truncated_sign_message":"POST CODE"}}}`)
		var replies []reply
		for _, seal := range []string{"", "none", "forged", "stranger", "stale"} {
			for _, status := range []int{200, 202, 400, 401, 403, 404, 429, 500} {
				for _, body := range []string{trade, fmt.Sprintf(trouble, "SIGN_ERROR"), fmt.Sprintf(trouble, "AUTH_CODE_INVALID"), fmt.Sprintf(trouble, testCode),
					strings.Replace(trade, "SUCCESS", testCode, 1), testCode} {
					replies = append(replies, reply{status: status, body: body, seal: seal, header: map[string]string{"Request-ID": testCode}})
				}
			}
		}
		var said bytes.Buffer
		for _, p := range replies {
			g.always(p)
			outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
			fmt.Fprintf(&said, "%+v %v\n", outcome, err)
			text, err := json.Marshal(outcome)
			require.NoError(t, err)
			said.Write(text)
			outcome, err = c.Query(t.Context(), o)
			fmt.Fprintf(&said, "%+v %v\n", outcome, err)
			outcome, err = c.Reverse(t.Context(), o)
			fmt.Fprintf(&said, "%+v %v\n", outcome, err)
		}
		g.always(reply{hang: true})
		_, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
		fmt.Fprintln(&said, err)
		network.set(firstHost, "refuse")
		c.idle.closeAll()
		outcome, err := c.Pay(t.Context(), o, testAuthCode(t), gone())
		fmt.Fprintln(&said, outcome, err)

		stored, err := os.ReadFile(config.CertificatesFile)
		require.NoError(t, err)
		everything := log.String() + said.String() + strings.Join(told, "\n") + string(stored) + fmt.Sprintf("%+v", c.State())
		assert.Contains(t, log.String(), `"wire"`, "the debug log is on")
		for name, secret := range secretsOf(t, g) {
			if at := strings.Index(everything, secret); at >= 0 {
				t.Errorf("%s: ...%s", name, everything[max(0, at-80):at+len(secret)])
			}
		}
	})
}

func secretsOf(t *testing.T, g *gateway) map[string]string {
	key, err := x509.MarshalPKCS8PrivateKey(merchantKey())
	require.NoError(t, err)
	secrets := map[string]string{
		"payment code":      testCode,
		"most of the code":  testCode[:len(testCode)-4],
		"API v3 key":        testAPIv3Key,
		"API v3 key, hex":   hex.EncodeToString([]byte(testAPIv3Key)),
		"private key":       base64.StdEncoding.EncodeToString(key)[:64],
		"private exponent":  merchantKey().D.String(),
		"the scheme's name": signatureType,
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, h := range g.headers {
		_, signature, _ := strings.Cut(h.Get("Authorization"), `signature="`)
		secrets[fmt.Sprint("signature ", i)] = strings.TrimSuffix(signature, `"`)
	}
	return secrets
}

func TestErrorsDoNotRepeatTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for _, p := range []reply{{drop: true}, {hang: true}, {status: http.StatusTemporaryRedirect}} {
			g.always(p)
			_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			assert.NotContains(t, err.Error(), testCode)
			assert.NotContains(t, err.Error(), "Authorization")
		}
	})
}
