package wxsim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests have a small caller of their own. It signs and verifies as the documents say, and shares no code with the
// simulator beyond the standard library.

var testKeys = sync.OnceValue(func() Keys {
	keys, err := NewKeys()
	if err != nil {
		panic(err)
	}
	return keys
})

// pipes is a network of net.Pipe, for bubbles in which time is fake.
type pipes struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), shut: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.shut:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.shut) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.shut:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// caller is one merchant's till.
type caller struct {
	t       *testing.T
	sim     *Sim
	creds   Credentials
	web     *http.Client
	url     string
	held    map[string]*rsa.PublicKey
	before  func(*http.Request) // changes a signed request
	offset  time.Duration       // the till's clock
	aNonce  string
	counter int
}

// town runs a test in a bubble, with a simulator on pipes and a till that has its certificates.
func town(t *testing.T, config Config, test func(t *testing.T, c *caller)) {
	synctest.Test(t, func(t *testing.T) {
		config.Keys = testKeys()
		sim, err := New(config)
		require.NoError(t, err)
		net := newPipes()
		ended := make(chan error, 1)
		go func() { ended <- sim.Serve(net) }()
		c := newCaller(t, sim, "https://apihk.mch.weixin.qq.com", net.dial)
		test(t, c)
		c.web.CloseIdleConnections()
		sim.Close()
		require.NoError(t, <-ended)
	})
}

func newCaller(t *testing.T, sim *Sim, url string, dial func(context.Context, string, string) (net.Conn, error)) *caller {
	t.Helper()
	creds, err := sim.Credentials("")
	require.NoError(t, err)
	c := &caller{t: t, sim: sim, creds: creds, url: url, held: map[string]*rsa.PublicKey{}}
	c.web = &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: creds.Roots}, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 10 * time.Second}
	return c
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	members map[string]any
	trust   error // nil: the signature is good
}

func (a answer) text(name string) string { text, _ := a.members[name].(string); return text }

func (a answer) total() float64 {
	return a.members["amount"].(map[string]any)["total"].(float64)
}

// send signs a request (signature generation) and reads and verifies the answer.
func (c *caller) send(method, target, body string) (answer, error) {
	r, err := http.NewRequest(method, c.url+target, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("User-Agent", "till/1")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", c.authorization(method, target, body))
	if c.before != nil {
		c.before(r)
	}
	response, err := c.web.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return a, err
	}
	_ = json.Unmarshal(a.body, &a.members)
	a.trust = c.verify(a)
	return a, nil
}

// must is send where an answer has to come.
func (c *caller) must(method, target, body string) answer {
	c.t.Helper()
	a, err := c.send(method, target, body)
	require.NoError(c.t, err)
	return a
}

func (c *caller) authorization(method, target, body string) string {
	nonce := rand.Text()
	if c.aNonce != "" {
		nonce = c.aNonce
	}
	timestamp := strconv.FormatInt(time.Now().Add(c.offset).Unix(), 10)
	digest := sha256.Sum256([]byte(method + "\n" + target + "\n" + timestamp + "\n" + nonce + "\n" + body + "\n"))
	raw, err := rsa.SignPKCS1v15(nil, c.creds.Key, crypto.SHA256, digest[:])
	require.NoError(c.t, err)
	return fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",signature="%s",timestamp="%s",serial_no="%s"`,
		c.creds.MerchantID, nonce, base64.StdEncoding.EncodeToString(raw), timestamp, c.creds.Serial)
}

// verify checks an answer (signature verification): serial, time, signature over the raw body.
func (c *caller) verify(a answer) error {
	h := a.header
	for _, name := range []string{"Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"} {
		if len(h.Values(name)) != 1 {
			return fmt.Errorf("%s stands %d times", name, len(h.Values(name)))
		}
	}
	key := c.held[h.Get("Wechatpay-Serial")]
	if key == nil {
		return errors.New("unknown serial")
	}
	seconds, _ := strconv.ParseInt(h.Get("Wechatpay-Timestamp"), 10, 64)
	if time.Since(time.Unix(seconds, 0)).Abs() >= 5*time.Minute {
		return errors.New("old")
	}
	raw, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
	if err != nil {
		return err
	}
	text := string(a.body)
	if named := h.Get("Wechatpay-Statement-Sha1"); named != "" {
		text = `{"sha1":"` + named + `"}` // as the PHP SDK does
	}
	digest := sha256.Sum256([]byte(h.Get("Wechatpay-Timestamp") + "\n" + h.Get("Wechatpay-Nonce") + "\n" + text + "\n"))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw)
}

// fetch downloads and opens the platform certificates, and returns the answer.
func (c *caller) fetch() answer {
	c.t.Helper()
	a := c.must("GET", "/v3/global/certificates", "")
	var list struct {
		Data []struct {
			Serial string `json:"serial_no"`
			Sealed struct {
				Algorithm, Nonce, Ciphertext string
				Data                         string `json:"associated_data"`
			} `json:"encrypt_certificate"`
		}
	}
	require.NoError(c.t, json.Unmarshal(a.body, &list), string(a.body))
	for _, item := range list.Data {
		block, err := aes.NewCipher([]byte(c.creds.APIv3Key))
		require.NoError(c.t, err)
		aead, err := cipher.NewGCM(block)
		require.NoError(c.t, err)
		sealed, err := base64.StdEncoding.DecodeString(item.Sealed.Ciphertext)
		require.NoError(c.t, err)
		text, err := aead.Open(nil, []byte(item.Sealed.Nonce), sealed, []byte(item.Sealed.Data))
		require.NoError(c.t, err)
		found, _ := pem.Decode(text)
		parsed, err := x509.ParseCertificate(found.Bytes)
		require.NoError(c.t, err)
		require.Equal(c.t, item.Serial, strings.ToUpper(parsed.SerialNumber.Text(16)))
		c.held[item.Serial] = parsed.PublicKey.(*rsa.PublicKey)
	}
	a.trust = c.verify(a)
	return a
}

// payBody is the seed's pay call in institution mode.
func (c *caller) payBody(number, code string, total int64) map[string]any {
	body := map[string]any{"out_trade_no": number, "description": "Image Store - QQ Doll", "attach": "TAG00001", "trade_type": "MICROPAY",
		"merchant_category_code": "4111", "payer": map[string]any{"auth_code": code}, "amount": map[string]any{"total": total, "currency": "HKD"}}
	if c.creds.Mode == Direct {
		body["appid"], body["mchid"] = c.creds.AppID, c.creds.MerchantID
	} else {
		body["sp_appid"], body["sp_mchid"], body["sub_mchid"] = c.creds.AppID, c.creds.MerchantID, c.creds.SubMerchantID
	}
	return body
}

func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return strings.TrimSpace(b.String())
}

func (c *caller) pay(number, code string) (answer, error) {
	return c.send("POST", payPath, jsonText(c.payBody(number, code, 1250)))
}

// play pays with a fresh code of a scenario.
func (c *caller) play(number, scenario string) (answer, error) {
	c.counter++
	return c.pay(number, CodeFor(scenario, c.counter))
}

func (c *caller) mustPlay(number, scenario string) answer {
	c.t.Helper()
	a, err := c.play(number, scenario)
	require.NoError(c.t, err)
	return a
}

func (c *caller) ids() string {
	if c.creds.Mode == Direct {
		return "mchid=" + c.creds.MerchantID
	}
	return "sp_mchid=" + c.creds.MerchantID + "&sub_mchid=" + c.creds.SubMerchantID
}

func (c *caller) query(number string) answer {
	c.t.Helper()
	return c.must("GET", "/v3/global/transactions/out-trade-no/"+number+"?"+c.ids(), "")
}

func (c *caller) state(number string) string {
	c.t.Helper()
	a := c.query(number)
	if a.status != 200 {
		return a.text("code")
	}
	return a.text("trade_state")
}

func (c *caller) reverseBody() string {
	if c.creds.Mode == Direct {
		return jsonText(map[string]any{"mchid": c.creds.MerchantID})
	}
	return jsonText(map[string]any{"sp_mchid": c.creds.MerchantID, "sub_mchid": c.creds.SubMerchantID})
}

func (c *caller) reverse(number string) answer {
	c.t.Helper()
	return c.must("POST", "/v3/global/micropay/transactions/out-trade-no/"+number+"/reverse", c.reverseBody())
}

func (c *caller) line(number string) OrderBook {
	c.t.Helper()
	line, found := c.sim.Books().Order(number)
	require.True(c.t, found, "the books have no line for %s", number)
	return line
}

func (c *caller) violations() []string {
	var all []string
	for _, v := range c.sim.Books().Violations {
		all = append(all, v.What)
	}
	return all
}

const realCode = "134650720866361395"
