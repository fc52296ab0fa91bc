package wxsim

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Signing and security, request signature: 401 SIGN_ERROR, with the server's own view in detail.
func TestARequestThatIsNotSignedAsTheDocumentsSayIsRefused(t *testing.T) {
	change := func(old, with string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
		}
	}
	rows := map[string]func(*http.Request){
		"no Authorization":            func(r *http.Request) { r.Header.Del("Authorization") },
		"another scheme":              change("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3"),
		"a blank after the comma":     change(`",nonce_str`, `", nonce_str`),
		"no timestamp":                change(`timestamp=`, `timestump=`),
		"a part twice":                change(`mchid="10000100"`, `mchid="10000100",mchid="10000100"`),
		"an unknown merchant":         change(`mchid="10000100"`, `mchid="10000199"`),
		"another certificate":         change(`serial_no="`, `serial_no="AA`),
		"a changed nonce":             change(`nonce_str="`, `nonce_str="x`),
		"a signature of other text":   func(r *http.Request) { r.URL.RawQuery += "&x=1" },
		"a signature that is no text": change(`signature="`, `signature="*`),
	}
	for name, before := range rows {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			c.before = before
			a := c.query("A1")
			assert.Equal(t, 401, a.status, name)
			assert.Equal(t, "SIGN_ERROR", a.text("code"), name)
			assert.NoError(t, a.trust, "%s: an error is signed like every answer", name)
			assert.Equal(t, "authorization", a.members["detail"].(map[string]any)["location"], name)
		})
	}
}

// Request signature: the body that is signed is the body that is sent; the answer to a wrong one holds no payment code.
func TestASignErrorShowsWhatTheServerSignedButNeverThePaymentCode(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.before = func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), `signature="`, `signature="AAAA`, 1))
		}
		a, err := c.pay("A1", realCode)
		require.NoError(t, err)
		detail := a.members["detail"].(map[string]any)["sign_information"].(map[string]any)
		assert.Equal(t, payPath, detail["url"])
		assert.Equal(t, "POST", detail["method"])
		assert.Contains(t, detail["truncated_sign_message"], "POST\n"+payPath+"\n")
		assert.NotContains(t, string(a.body), realCode)
		assert.Equal(t, "", string(c.line("A1").State))
	})
}

// Request signature: the timestamp must be within 5 minutes of WeChat's clock.
func TestARequestIsRefusedWhenItsTimeIsMoreThanFiveMinutesOff(t *testing.T) {
	for offset, status := range map[time.Duration]int{0: 404, 4*time.Minute + 59*time.Second: 404, -4*time.Minute - 59*time.Second: 404,
		5*time.Minute + 2*time.Second: 401, -5*time.Minute - 2*time.Second: 401} {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			c.offset = offset
			assert.Equal(t, status, c.query("A1").status, "%s off", offset)
		})
	}
}

// The same with the clock of WeChat Pay's side moved, as a till with a wrong clock sees it; 1970 is a till whose battery is empty.
func TestTheClockOfTheOtherSideCanBeMoved(t *testing.T) {
	for _, offset := range []time.Duration{10 * time.Minute, -10 * time.Minute, -30 * 365 * 24 * time.Hour} {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			c.sim.SetClock(offset)
			a := c.query("A1")
			assert.Equal(t, 401, a.status)
			assert.ErrorContains(t, a.trust, "old", "its own timestamp is off too")
			date, err := http.ParseTime(a.header.Get("Date"))
			require.NoError(t, err)
			assert.Equal(t, offset.Round(time.Second), time.Until(date).Round(time.Second))
			c.offset = offset
			assert.Equal(t, 404, c.query("A1").status, "signed by the corrected clock")
		})
	}
}

// Request signature, retry rule: a resend needs a fresh timestamp, nonce and signature.
func TestANonceServesOnce(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.aNonce = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
		assert.Equal(t, 404, c.query("A1").status)
		assert.Equal(t, 401, c.query("A1").status)
		assert.Equal(t, []string{"a nonce was used twice"}, c.violations())
		time.Sleep(11 * time.Minute)
		assert.Equal(t, 404, c.query("A1").status)
	})
}

// Headers (basic rules): Accept, Content-Type and User-Agent.
func TestHeadersThatTheBasicRulesRequireAreRequired(t *testing.T) {
	rows := []struct {
		header, value string
		status        int
	}{
		{"User-Agent", "", 400}, {"User-Agent", "Go-http-client/1.1", 400}, {"Accept", "", 400}, {"Accept", "text/html", 400},
		{"Content-Type", "", 400}, {"Content-Type", "text/plain", 400}, {"Content-Type", "application/json", 200},
	}
	for _, row := range rows {
		town(t, Config{}, func(t *testing.T, c *caller) {
			c.fetch()
			c.before = func(r *http.Request) { r.Header.Set(row.header, row.value) }
			a, err := c.pay("A1", realCode)
			require.NoError(t, err)
			assert.Equal(t, row.status, a.status, "%s: %q", row.header, row.value)
			if row.status != 200 {
				assert.Equal(t, "PARAM_ERROR", a.text("code"))
			}
		})
	}
}

// Request signature: mchid in the header is the caller's own number; a mismatch with the body is a PARAM_ERROR.
func TestTheMerchantOfTheHeaderIsThatOfTheBody(t *testing.T) {
	two := Config{Merchants: []Merchant{{}, {MerchantID: "10000200", SubMerchantID: "20000200"}}}
	town(t, two, func(t *testing.T, c *caller) {
		c.fetch()
		body := c.payBody("A1", realCode, 1)
		body["sp_mchid"] = "10000200"
		a := c.must("POST", payPath, jsonText(body))
		assert.Equal(t, "400 PARAM_ERROR", whatCame(a, nil))
		a = c.must("GET", "/v3/global/transactions/out-trade-no/A1?sp_mchid=10000200&sub_mchid=20000100", "")
		assert.Equal(t, "400 PARAM_ERROR", whatCame(a, nil))
	})
}
