package wxclient_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/validators"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"posagent/wxsim"
)

// Here Tencent's own client calls the simulator, and is the judge of its answers: signature, time, serial, body.

var judgeSimKeys = sync.OnceValue(func() wxsim.Keys {
	keys := judgeKeys()
	return wxsim.Keys{Merchant: keys.merchant, Platform: keys.platform, NextPlatform: keys.next, Stranger: keys.next}
})

// asJSON sends "Accept: application/json", which the documents require and the simulator demands. The SDK sends "*/*".
type asJSON struct{ next http.RoundTripper }

func (a asJSON) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Accept", "application/json")
	return a.next.RoundTrip(r)
}

// sdkTill is the SDK's client before a simulator, as a merchant would set it up by hand: the SDK's own downloader knows the
// mainland's address alone.
type sdkTill struct {
	t      *testing.T
	sim    *wxsim.Sim
	creds  wxsim.Credentials
	client *core.Client
	trust  auth.Verifier
	url    string
}

func newSDKTill(t *testing.T, mode wxsim.Mode) *sdkTill {
	t.Helper()
	return newSDKTillOf(t, wxsim.Merchant{Mode: mode})
}

func newSDKTillOf(t *testing.T, m wxsim.Merchant) *sdkTill {
	t.Helper()
	sim, err := wxsim.New(wxsim.Config{Keys: judgeSimKeys(), Merchants: []wxsim.Merchant{m}})
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	s := &sdkTill{t: t, sim: sim}
	s.url, err = sim.Start("")
	require.NoError(t, err)
	s.creds, err = sim.Credentials("")
	require.NoError(t, err)
	s.client = s.newClient(option.WithoutValidator())
	s.trust = verifiers.NewSHA256WithRSAVerifier(core.NewCertificateMapWithList(s.certificates()))
	s.client = s.newClient(option.WithVerifier(s.trust))
	return s
}

func (s *sdkTill) newClient(trust core.ClientOption) *core.Client {
	s.t.Helper()
	web := &http.Client{Transport: asJSON{&http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.creds.Roots}}}}
	s.t.Cleanup(web.CloseIdleConnections)
	c, err := core.NewClient(s.t.Context(), option.WithMerchantCredential(s.creds.MerchantID, s.creds.Serial, s.creds.Key), option.WithHTTPClient(web), trust)
	require.NoError(s.t, err)
	return c
}

// certificates asks for the platform certificates, and opens and reads them by the SDK.
func (s *sdkTill) certificates() []*x509.Certificate {
	s.t.Helper()
	result, err := s.client.Get(s.t.Context(), s.url+"/v3/global/certificates")
	require.NoError(s.t, err)
	var list struct {
		Data []struct {
			SerialNo string `json:"serial_no"`
			Sealed   struct {
				Nonce, Ciphertext string
				AssociatedData    string `json:"associated_data"`
			} `json:"encrypt_certificate"`
		}
	}
	require.NoError(s.t, json.NewDecoder(result.Response.Body).Decode(&list))
	require.NotEmpty(s.t, list.Data)
	var all []*x509.Certificate
	for _, item := range list.Data {
		text, err := utils.DecryptAES256GCM(s.creds.APIv3Key, item.Sealed.AssociatedData, item.Sealed.Nonce, item.Sealed.Ciphertext)
		require.NoError(s.t, err)
		certificate, err := utils.LoadCertificate(text)
		require.NoError(s.t, err)
		assert.Equal(s.t, item.SerialNo, utils.GetCertificateSerialNumber(*certificate))
		all = append(all, certificate)
	}
	return all
}

// ids are one set of ids, as members of a body or as a query.
func (s *sdkTill) ids() (body map[string]any, query string) {
	if s.creds.Mode == wxsim.Direct {
		return map[string]any{"mchid": s.creds.MerchantID}, "mchid=" + s.creds.MerchantID
	}
	return map[string]any{"sp_mchid": s.creds.MerchantID, "sub_mchid": s.creds.SubMerchantID}, "sp_mchid=" + s.creds.MerchantID + "&sub_mchid=" + s.creds.SubMerchantID
}

func (s *sdkTill) payBody(number, code string) map[string]any {
	body, _ := s.ids()
	body["appid"] = s.creds.AppID
	if s.creds.Mode == wxsim.Institution {
		delete(body, "appid")
		body["sp_appid"] = s.creds.AppID
	}
	body["out_trade_no"], body["description"], body["trade_type"] = number, "Image Store", "MICROPAY"
	body["merchant_category_code"], body["payer"] = s.creds.CategoryCode, map[string]any{"auth_code": code}
	body["amount"] = map[string]any{"total": 1250, "currency": "HKD"}
	return body
}

// members reads an answer that the SDK has accepted.
func (s *sdkTill) members(result *core.APIResult, err error) map[string]any {
	s.t.Helper()
	require.NoError(s.t, err)
	text, err := io.ReadAll(result.Response.Body)
	require.NoError(s.t, err)
	members := map[string]any{}
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &members))
	}
	return members
}

func eachSDKMode(t *testing.T, story func(t *testing.T, s *sdkTill)) {
	for _, mode := range []wxsim.Mode{wxsim.Institution, wxsim.Direct} {
		t.Run(string(mode), func(t *testing.T) { story(t, newSDKTill(t, mode)) })
	}
}

func TestTheSDKsClientTakesTheSimulatorsAnswers(t *testing.T) {
	eachSDKMode(t, func(t *testing.T, s *sdkTill) {
		ids, query := s.ids()
		paid := s.members(s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", s.payBody("SDK1", wxsim.CodeFor("pays-at-once", 1))))
		assert.Equal(t, "SUCCESS", paid["trade_state"])
		asked := s.members(s.client.Get(t.Context(), s.url+"/v3/global/transactions/out-trade-no/SDK1?"+query))
		assert.Equal(t, "SUCCESS", asked["trade_state"])
		byID := s.members(s.client.Get(t.Context(), s.url+"/v3/global/transactions/id/"+paid["id"].(string)+"?"+query))
		assert.Equal(t, "SDK1", byID["out_trade_no"])
		gone := s.members(s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/out-trade-no/NOBODY/reverse", ids))
		assert.Empty(t, gone, "204: the signature is over nothing")
		assert.Len(t, s.certificates(), 1)
	})
}

func TestTheSDKsClientReadsTheSimulatorsErrors(t *testing.T) {
	eachSDKMode(t, func(t *testing.T, s *sdkTill) {
		_, query := s.ids()
		missing, err := s.client.Get(t.Context(), s.url+"/v3/global/transactions/out-trade-no/NOBODY?"+query)
		assert.True(t, core.IsAPIError(err, "ORDER_NOT_EXIST"), "%v", err)
		require.NoError(t, validators.NewWechatPayResponseValidator(s.trust).Validate(t.Context(), missing.Response), "errors are signed too")
		_, err = s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", s.payBody("SDK2", wxsim.CodeFor("no-money", 1)))
		assert.True(t, core.IsAPIError(err, "NOT_ENOUGH"), "%v", err)
	})
}

func TestTheSDKsClientRefusesWhatTheSimulatorForges(t *testing.T) {
	eachSDKMode(t, func(t *testing.T, s *sdkTill) {
		for i, kind := range []wxsim.Kind{wxsim.Unsigned, wxsim.Forged, wxsim.UnknownSerial, wxsim.Probe, wxsim.Stale} {
			s.sim.Inject(wxsim.Fault{On: wxsim.Pay, Kind: kind})
			number := "SDK" + string(kind)
			_, err := s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", s.payBody(number, wxsim.CodeFor("pays-at-once", i+1)))
			assert.Error(t, err, kind)
		}
	})
}

// The pay call's body in the guide "Quick Pay, API v3 Global" is one that the simulator takes as it stands.
func TestTheSimulatorTakesTheGuidesExampleOfAPayCall(t *testing.T) {
	body, err := os.ReadFile("testdata/guide_pay.json")
	require.NoError(t, err)
	s := newSDKTillOf(t, wxsim.Merchant{AppID: "wxdace645e0bc2c424", MerchantID: "10000100", SubMerchantID: "20000100"})
	paid := s.members(s.client.Post(t.Context(), s.url+"/v3/global/micropay/transactions/pay", json.RawMessage(body)))
	assert.Equal(t, "SUCCESS", paid["trade_state"])
	assert.Equal(t, "Payment Test", paid["attach"])
	assert.EqualValues(t, 1, paid["amount"].(map[string]any)["total"])
	assert.Empty(t, s.sim.Books().Violations)
}
