package wxclient_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/signers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"posagent/payflow"
	"posagent/wxclient"
)

// Here Tencent's own SDK is the judge, in both directions: its verifier reads every request that our client sends, and its
// signer makes every answer that our client must take. Nothing of the SDK is in the program.

const (
	judgeAPIv3Key = "0123456789abcdef0123456789ABCDEF"
	judgeCode     = "134650720866361395"
)

// judgeKeys are made once: each takes some 100 ms.
type judgeKeySet struct{ merchant, platform, next *rsa.PrivateKey }

var judgeKeys = sync.OnceValue(func() judgeKeySet {
	var all judgeKeySet
	for _, key := range []**rsa.PrivateKey{&all.merchant, &all.platform, &all.next} {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		*key = made
	}
	return all
})

// sdkGateway plays WeChat Pay with the SDK's parts: it refuses what the SDK's verifier does not accept.
type sdkGateway struct {
	t        testing.TB
	server   *httptest.Server
	merchant *x509.Certificate
	platform *x509.Certificate
	reads    auth.Verifier
	writes   auth.Signer
	answer   func(r *http.Request, body string) (status int, text string)

	mu       sync.Mutex // guards all below
	accepted []string   // "METHOD target" of each request whose signature the SDK accepts
	refused  []error
}

func newSDKGateway(t testing.TB) *sdkGateway {
	t.Helper()
	keys := judgeKeys()
	g := &sdkGateway{t: t, merchant: judgeCertificate(t, keys.merchant, 0x5F1C72E2), platform: judgeCertificate(t, keys.platform, 0x7132D72A)}
	g.reads = verifiers.NewSHA256WithRSAVerifier(core.NewCertificateMapWithList([]*x509.Certificate{g.merchant}))
	g.signWith(g.platform, keys.platform)
	g.server = httptest.NewTLSServer(g)
	t.Cleanup(g.server.Close)
	return g
}

func judgeCertificate(t testing.TB, key *rsa.PrivateKey, serial int64) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Tenpay.com sign"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	text, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(text)
	require.NoError(t, err)
	return parsed
}

func (g *sdkGateway) signWith(certificate *x509.Certificate, key *rsa.PrivateKey) {
	g.writes = &signers.SHA256WithRSASigner{MchID: "WeChat Pay", CertificateSerialNo: utils.GetCertificateSerialNumber(*certificate), PrivateKey: key}
}

var authorizationPart = regexp.MustCompile(`(mchid|nonce_str|serial_no|timestamp|signature)="([^"]*)"`)

// judgeRequest asks the SDK's verifier about the Authorization header of a request.
func (g *sdkGateway) judgeRequest(r *http.Request, body string) error {
	header := r.Header.Get(consts.Authorization)
	part := map[string]string{}
	for _, m := range authorizationPart.FindAllStringSubmatch(header, -1) {
		part[m[1]] = m[2]
	}
	if !strings.HasPrefix(header, "WECHATPAY2-SHA256-RSA2048 ") || part["mchid"] != "10000100" {
		return fmt.Errorf("the Authorization header is %s", header)
	}
	seconds, err := strconv.ParseInt(part["timestamp"], 10, 64)
	if err != nil {
		return err
	}
	message := fmt.Sprintf(consts.SignatureMessageFormat, r.Method, r.RequestURI, seconds, part["nonce_str"], body)
	return g.reads.Verify(r.Context(), part["serial_no"], message, part["signature"])
}

func (g *sdkGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	err := g.judgeRequest(r, string(body))
	g.mu.Lock()
	if err != nil {
		g.refused = append(g.refused, fmt.Errorf("%s %s: %w", r.Method, r.RequestURI, err))
	} else {
		g.accepted = append(g.accepted, r.Method+" "+r.RequestURI)
	}
	g.mu.Unlock()
	status, text := http.StatusUnauthorized, `{"code":"SIGN_ERROR"}`
	switch {
	case err != nil:
	case r.URL.Path == "/v3/global/certificates":
		status, text = http.StatusOK, g.certificates()
	default:
		status, text = g.answer(r, string(body))
	}
	g.sign(w.Header(), text)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// sign signs text as an answer or a notification, by the SDK's signer.
func (g *sdkGateway) sign(h http.Header, text string) {
	nonce, err := utils.GenerateNonce()
	require.NoError(g.t, err)
	timestamp := fmt.Sprint(time.Now().Unix())
	signed, err := g.writes.Sign(context.Background(), timestamp+"\n"+nonce+"\n"+text+"\n")
	require.NoError(g.t, err)
	h.Set(consts.WechatPayTimestamp, timestamp)
	h.Set(consts.WechatPayNonce, nonce)
	h.Set(consts.WechatPaySerial, signed.CertificateSerialNo)
	h.Set(consts.WechatPaySignature, signed.Signature)
}

func (g *sdkGateway) certificates() string {
	nonce, err := utils.GenerateNonce()
	require.NoError(g.t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.platform.Raw}))
	sealed := judgeSeal(g.t, judgeAPIv3Key, nonce[:12], "certificate", text)
	item := map[string]any{"serial_no": utils.GetCertificateSerialNumber(*g.platform), "effective_time": g.platform.NotBefore.Format(time.RFC3339),
		"expire_time": g.platform.NotAfter.Format(time.RFC3339), "encrypt_certificate": map[string]string{"algorithm": "AEAD_AES_256_GCM",
			"nonce": nonce[:12], "associated_data": "certificate", "ciphertext": sealed}}
	return mustText(map[string]any{"data": []any{item}})
}

// judgeSeal seals a text under an API v3 key. The SDK only opens: it must open this one, or the test ends.
func judgeSeal(t testing.TB, key, nonce, data, text string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := base64.StdEncoding.EncodeToString(aead.Seal(nil, []byte(nonce), []byte(text), []byte(data)))
	opened, err := utils.DecryptAES256GCM(key, data, nonce, sealed)
	require.NoError(t, err)
	require.Equal(t, text, opened)
	return sealed
}

func mustText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func judgeMerchant(mode payflow.Mode) payflow.Merchant {
	m := payflow.Merchant{Mode: mode, AppID: "wx2421b1c4370ec43b", MerchantID: "10000100", CategoryCode: "4111"}
	if mode == payflow.Institution {
		m.SubMerchantID = "20000100"
	}
	return m
}

// judgeOrder is an order of a till, with words that need care in JSON and in a path.
func judgeOrder(mode payflow.Mode) payflow.Order {
	return payflow.Order{OutTradeNo: "SZTX001T1A1", Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, Tag: "ABCDEFGH01234567", Merchant: judgeMerchant(mode), API: payflow.APIv3,
		Description: `Image Store <&> "QQ" 公仔`, GoodsTag: "1234", LimitPay: "no_credit", Operator: "P001", Detail: `{"goods_detail":[{"goods_id":"a","quantity":1,"price":1250}]}`,
		Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building", Address: "Nanshan", Till: "T1"}}
}

// client returns our client before this gateway.
func (g *sdkGateway) client(mode payflow.Mode) *wxclient.Client {
	g.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(g.server.Certificate())
	c, err := wxclient.New(wxclient.Config{Hosts: []string{g.server.URL}, RootCAs: roots, Merchant: judgeMerchant(mode), SerialNo: utils.GetCertificateSerialNumber(*g.merchant),
		PrivateKey: judgeKeys().merchant, APIv3Key: []byte(judgeAPIv3Key)})
	require.NoError(g.t, err)
	g.t.Cleanup(c.Close)
	return c
}

func judgeScan(t testing.TB) payflow.AuthCode {
	t.Helper()
	code, err := payflow.ParseAuthCode(judgeCode, "", nil)
	require.NoError(t, err)
	return code
}

func judgeLeave() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// judgeTrade is a paid order as WeChat Pay answers it.
func judgeTrade(o payflow.Order) string {
	ids := map[string]any{"mchid": o.Merchant.MerchantID, "appid": o.Merchant.AppID}
	if o.Merchant.Mode == payflow.Institution {
		ids = map[string]any{"sp_mchid": o.Merchant.MerchantID, "sp_appid": o.Merchant.AppID, "sub_mchid": o.Merchant.SubMerchantID}
	}
	ids["id"], ids["out_trade_no"], ids["trade_state"], ids["attach"] = "1008450740201411110005820873", o.OutTradeNo, "SUCCESS", o.Tag.Attach(o.Attach)
	ids["amount"] = map[string]any{"total": o.Amount.Minor, "currency": o.Amount.Currency}
	return mustText(ids)
}

func TestTheSDKAcceptsEveryRequestAndOurClientTakesEveryAnswerThatTheSDKSigns(t *testing.T) {
	for _, mode := range []payflow.Mode{payflow.Institution, payflow.Direct} {
		t.Run(string(mode), func(t *testing.T) {
			g := newSDKGateway(t)
			c, o := g.client(mode), judgeOrder(mode)
			g.answer = func(r *http.Request, _ string) (int, string) {
				if strings.HasSuffix(r.URL.Path, "/reverse") {
					return http.StatusNoContent, ""
				}
				return http.StatusOK, judgeTrade(o)
			}
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			for name, call := range map[string]func() (payflow.Outcome, error){
				"pay":         func() (payflow.Outcome, error) { return c.Pay(t.Context(), o, judgeScan(t), judgeLeave()) },
				"query":       func() (payflow.Outcome, error) { return c.Query(t.Context(), o) },
				"query by id": func() (payflow.Outcome, error) { return c.QueryByID(t.Context(), o, "1008450740201411110005820873") },
			} {
				outcome, err := call()
				require.NoError(t, err, name)
				assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State, name)
				assert.Equal(t, o.Amount, outcome.Trade.Amount, name)
			}
			for name, call := range map[string]func() (payflow.Outcome, error){
				"reverse":       func() (payflow.Outcome, error) { return c.Reverse(t.Context(), o) },
				"reverse by id": func() (payflow.Outcome, error) { return c.ReverseByID(t.Context(), o, "1008450740201411110005820873") },
			} {
				outcome, err := call()
				require.NoError(t, err, name)
				assert.Equal(t, payflow.ReverseDone, outcome.Kind, name)
			}
			assert.Empty(t, g.refused)
			assert.Len(t, g.accepted, 6)
		})
	}
}

func TestAnOrderNumberThatNeedsEscapingIsSignedAsItIsSent(t *testing.T) {
	g := newSDKGateway(t)
	c, o := g.client(payflow.Institution), judgeOrder(payflow.Institution)
	o.OutTradeNo = "A|B*C@D_E-1"
	g.answer = func(r *http.Request, _ string) (int, string) { return http.StatusOK, judgeTrade(o) }
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	_, err := c.Query(t.Context(), o)
	require.NoError(t, err)
	assert.Empty(t, g.refused)
	assert.Contains(t, g.accepted, "GET /v3/global/transactions/out-trade-no/A%7CB%2AC@D_E-1?sp_mchid=10000100&sub_mchid=20000100")
}

func TestARefusalThatTheSDKSignsIsBelievedAndOneByAStrangerIsNot(t *testing.T) {
	g := newSDKGateway(t)
	c, o := g.client(payflow.Institution), judgeOrder(payflow.Institution)
	g.answer = func(*http.Request, string) (int, string) {
		return http.StatusForbidden, `{"code":"NOT_ENOUGH","message":"余额不足"}`
	}
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	outcome, err := c.Pay(t.Context(), o, judgeScan(t), judgeLeave())
	require.NoError(t, err)
	assert.Equal(t, payflow.Refused, outcome.Kind)
	g.signWith(g.platform, judgeKeys().next) // the right serial, another key
	_, err = c.Pay(t.Context(), o, judgeScan(t), judgeLeave())
	lost := (*payflow.LostError)(nil)
	require.ErrorAs(t, err, &lost)
	assert.Empty(t, lost.Lost.Claim)
}

func TestAPlatformCertificateThatTheSDKTakesIntoUseIsFetchedOnceAndTaken(t *testing.T) {
	g := newSDKGateway(t)
	c, o := g.client(payflow.Institution), judgeOrder(payflow.Institution)
	g.answer = func(*http.Request, string) (int, string) { return http.StatusOK, judgeTrade(o) }
	g.platform = judgeCertificate(t, judgeKeys().next, 0x7132D72B)
	g.signWith(g.platform, judgeKeys().next)
	outcome, err := c.Query(t.Context(), o)
	require.NoError(t, err, "nothing is held: one certificates call brings the one that signs")
	assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State)
	assert.Len(t, g.accepted, 2)
}
