package wxclient

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// The outside vectors are known answers that nobody here wrote. POSAGENT_VECTORS names their folder.

func TestOutsideVectors(t *testing.T) {
	if os.Getenv("POSAGENT_VECTORS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("POSAGENT_VECTORS is not set, and CI must run the outside vectors")
		}
		t.Skip("outside vectors not run")
	}
	t.Run("sign and verify", outsideSignAndVerify)
	t.Run("texts", outsideTexts)
	t.Run("seals", outsideSeals)
	t.Run("certificates", outsideCertificates)
	t.Run("certificates answers", outsideCertificatesAnswers)
	t.Run("global samples", outsideGlobalSamples)
	t.Run("pay requests", outsidePayRequests)
	t.Run("outcomes", outsideOutcomes)
	t.Run("sensitive texts", outsideSensitiveTexts)
}

func vectors(t *testing.T, name string, into any) {
	t.Helper()
	folder := os.Getenv("POSAGENT_VECTORS")
	text, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the outside vectors are not in %s", folder)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

func privateKey(t *testing.T, text string) *rsa.PrivateKey {
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.(*rsa.PrivateKey)
}

func outsideSignAndVerify(t *testing.T) {
	var file struct {
		Sign []struct {
			ID, Message   string
			PrivateKeyPEM string `json:"private_key_pem"`
			SignatureB64  string `json:"signature_b64"`
		}
		Verify []struct {
			ID, Message, Serial string
			KeyID               string `json:"key_id"`
			ExpectedKeyID       string `json:"expected_key_id"`
			CertificatePEM      string `json:"certificate_pem"`
			PublicKeyPEM        string `json:"public_key_pem"`
			SignatureB64        string `json:"signature_b64"`
			Expect              bool
		}
	}
	vectors(t, "rsa.json", &file)
	require.NotEmpty(t, file.Sign)
	for _, v := range file.Sign {
		signature, err := sign(privateKey(t, v.PrivateKeyPEM), []byte(v.Message))
		require.NoError(t, err, v.ID)
		assert.Equal(t, v.SignatureB64, signature, v.ID)
	}
	for _, v := range file.Verify {
		var held certificates
		held.held = map[string]platformCertificate{}
		serial, asked := v.Serial, v.Serial
		var key *rsa.PublicKey
		if v.CertificatePEM != "" {
			certificate, err := parseCertificate([]byte(v.CertificatePEM))
			require.NoError(t, err, v.ID)
			assert.Equal(t, normalSerial(v.Serial), serialOf(certificate.SerialNumber), v.ID)
			key = certificate.PublicKey.(*rsa.PublicKey)
		} else {
			block, _ := pem.Decode([]byte(v.PublicKeyPEM))
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			require.NoError(t, err, v.ID)
			key, serial, asked = public.(*rsa.PublicKey), orElse(v.ExpectedKeyID, v.KeyID), v.KeyID
		}
		p := platformCertificate{key: key}
		p.Serial, p.NotAfter = normalSerial(serial), time.Now().Add(time.Hour)
		held.held[p.Serial] = p
		found, err := held.key(normalSerial(asked), time.Now())
		good := err == nil && verifySignature(found, []byte(v.Message), v.SignatureB64) == nil
		assert.Equal(t, v.Expect, good, v.ID)
	}
}

func outsideTexts(t *testing.T) {
	var file struct {
		Request []struct{ Method, URL, Timestamp, Nonce, Body, Message string } `json:"request_message"`
		Answer  []struct{ Timestamp, Nonce, Body, Message string }              `json:"response_message"`
		None    struct{ Timestamp, Nonce, Message string }                      `json:"no_content_message"`
		Shape   struct {
			Prefix string
			Fields []string
			Regex  map[string]string
		} `json:"authorization_shape"`
	}
	vectors(t, "formatter.json", &file)
	for _, v := range file.Request {
		assert.Equal(t, v.Message, string(requestText(v.Method, v.URL, v.Timestamp, v.Nonce, []byte(v.Body))))
	}
	for _, v := range file.Answer {
		assert.Equal(t, v.Message, string(answerText(v.Timestamp, v.Nonce, []byte(v.Body))))
	}
	assert.Equal(t, file.None.Message, string(answerText(file.None.Timestamp, file.None.Nonce, nil)))
	value, err := signer{"10000100", testSerial, merchantKey()}.authorization(request{method: "GET", target: "/x"}, time.Now())
	require.NoError(t, err)
	rest, ok := strings.CutPrefix(value, file.Shape.Prefix)
	require.True(t, ok)
	var names []string
	for _, field := range strings.Split(rest, ",") {
		name, quoted, _ := strings.Cut(field, "=")
		names = append(names, name)
		assert.Regexp(t, `^"[^"]+"$`, quoted)
		if form, ok := file.Shape.Regex[name]; ok {
			assert.Regexp(t, `^"`+form+`"$`, quoted, name)
			delete(file.Shape.Regex, name)
		}
	}
	assert.ElementsMatch(t, file.Shape.Fields, names)
	assert.Empty(t, file.Shape.Regex)
}

type sealVector struct {
	ID, Key, Nonce, Plaintext string
	AssociatedData            string `json:"associated_data"`
	CiphertextB64             string `json:"ciphertext_b64"`
}

func outsideSeals(t *testing.T) {
	var file struct {
		OK    []sealVector `json:"decrypt_ok"`
		Wrong []sealVector `json:"decrypt_error"`
	}
	vectors(t, "aes_gcm.json", &file)
	opened := 0
	for _, v := range file.OK {
		text, err := unseal([]byte(v.Key), sealedText{Nonce: v.Nonce, AssociatedData: v.AssociatedData, Ciphertext: v.CiphertextB64})
		if len(v.Key) != 32 || len(v.Nonce) != 12 {
			assert.Error(t, err, "%s: only keys of 32 bytes and nonces of 12 are WeChat Pay's", v.ID)
			continue
		}
		require.NoError(t, err, v.ID)
		assert.Equal(t, v.Plaintext, string(text), v.ID)
		opened++
	}
	assert.NotZero(t, opened)
	for _, v := range file.Wrong {
		_, err := unseal([]byte(v.Key), sealedText{Nonce: v.Nonce, AssociatedData: v.AssociatedData, Ciphertext: v.CiphertextB64})
		assert.Error(t, err, v.ID)
	}
}

func outsideCertificates(t *testing.T) {
	var file struct {
		Certificates []struct {
			Source, PEM string
			SerialHex   string    `json:"serial_hex"`
			NotAfter    time.Time `json:"not_after"`
		}
	}
	vectors(t, "certificates.json", &file)
	require.NotEmpty(t, file.Certificates)
	for _, v := range file.Certificates {
		certificate, err := parseCertificate([]byte(v.PEM))
		require.NoError(t, err, v.Source)
		assert.Equal(t, normalSerial(v.SerialHex), serialOf(certificate.SerialNumber), v.Source)
		assert.True(t, v.NotAfter.Equal(certificate.NotAfter), v.Source)
	}
}

func outsideCertificatesAnswers(t *testing.T) {
	var file struct {
		Cases []struct {
			ID       string
			Key      string `json:"api_v3_key"`
			Body     string `json:"response_body"`
			Expected []struct {
				SerialNo string `json:"serial_no"`
				PEM      string `json:"certificate_pem"`
			}
		}
	}
	vectors(t, "cert_download.json", &file)
	opened := 0
	for _, v := range file.Cases {
		got, err := openCertificates([]byte(v.Body), []byte(v.Key), "")
		if len(v.Key) != apiv3KeyBytes {
			assert.ErrorIs(t, err, errWrongAPIv3Key, v.ID)
			continue
		}
		require.NoError(t, err, v.ID)
		require.Len(t, got, len(v.Expected), v.ID)
		for i, want := range v.Expected {
			assert.Equal(t, normalSerial(want.SerialNo), got[i].Serial, v.ID)
			text, err := unseal([]byte(v.Key), got[i].sealed.Encrypted)
			require.NoError(t, err)
			assert.Equal(t, strings.TrimSpace(want.PEM), strings.TrimSpace(string(text)), v.ID)
			opened++
		}
		_, err = openCertificates([]byte(v.Body), []byte(v.Key), got[0].Serial)
		assert.ErrorContains(t, err, "merchant's own", v.ID)
	}
	assert.NotZero(t, opened)
}

func outsideGlobalSamples(t *testing.T) {
	var file struct{ Samples map[string]json.RawMessage }
	vectors(t, "global_v3_samples.json", &file)
	trades := 0
	for name, body := range file.Samples {
		if !strings.Contains(name, "Response") || strings.Contains(name, "Refund") || strings.Contains(name, "Settlements") {
			continue
		}
		var sample struct {
			OutTradeNo payflow.OutTradeNo `json:"out_trade_no"`
			SubMchID   string             `json:"sub_mchid"`
			Amount     struct{ Total int64 }
		}
		require.NoError(t, json.Unmarshal(body, &sample))
		o := payflow.Order{OutTradeNo: sample.OutTradeNo, Merchant: payflow.Merchant{Mode: payflow.Direct}}
		if sample.SubMchID != "" {
			o.Merchant.Mode = payflow.Institution
		}
		outcome, err := queryOutcome(o, "", answer{status: http.StatusOK, body: body})
		require.NoError(t, err, name)
		assert.Equal(t, payflow.TradeSuccess, outcome.Trade.State, name)
		assert.Equal(t, payflow.Amount{Minor: sample.Amount.Total, Currency: "HKD"}, outcome.Trade.Amount, name)
		assert.Equal(t, payflow.Amount{Minor: 518799, Currency: "CNY"}, outcome.Trade.PayerAmount, name)
		assert.Equal(t, "10000100", outcome.Trade.MerchantID, name)
		assert.Equal(t, sample.SubMchID, outcome.Trade.SubMerchantID, name)
		assert.Equal(t, "SETTLEMENT_RATE", outcome.Trade.RateType, name)
		assert.NotZero(t, outcome.Trade.Rate, name)
		assert.NotEmpty(t, outcome.Trade.Attach, name)
		assert.Equal(t, 2018, outcome.Trade.SuccessTime.Year(), name)
		trades++
	}
	assert.Equal(t, 6, trades)
}

func outsidePayRequests(t *testing.T) {
	var file struct{ Samples map[string]json.RawMessage }
	vectors(t, "global_v3_samples.json", &file)
	c := &Client{}
	for name, m := range map[string]payflow.Merchant{
		"ModelSamples/Global/Transactions/CreateTransactionMicroPayRequest.json": {Mode: payflow.Direct, AppID: "wxdace645e0bc2c424", MerchantID: "10000100", CategoryCode: "4111"},
		"ModelSamples/Global/_Partner/Transactions/CreatePartnerTransactionMicroPayRequest.json": {Mode: payflow.Institution, AppID: "wxdace645e0bc2c424",
			MerchantID: "10000100", SubMerchantID: "20000100", CategoryCode: "4111"},
	} {
		var want map[string]any
		require.NoError(t, json.Unmarshal(file.Samples[name], &want), name)
		delete(want["scene_info"].(map[string]any), "payer_client_ip") // a till has none
		detail, err := json.Marshal(want["detail"])
		require.NoError(t, err)
		o := payflow.Order{OutTradeNo: "20150806125346", Merchant: m, Amount: payflow.Amount{Minor: 1, Currency: "HKD"}, Description: want["description"].(string),
			GoodsTag: "1234", LimitPay: "no_credit", Operator: "P001", Detail: string(detail), Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building Branch",
				Address: "Nanshan District, Shenzhen, Guangdong", Till: "013467007045764", DeviceIP: "59.37.125.32"}}
		o.Tag = payflow.AttachTag(want["attach"].(string))
		body, err := c.payBody(o, testAuthCode(t))
		require.NoError(t, err)
		text, err := json.Marshal(want)
		require.NoError(t, err)
		assert.JSONEq(t, string(text), string(body), name)
	}
}

func outsideOutcomes(t *testing.T) {
	var file struct {
		Pay []struct {
			Code  string `json:"err_code"`
			Class string
		} `json:"v2_micropay"`
		HTTP   []httpVector      `json:"v3_http"`
		States map[string]string `json:"trade_state"`
	}
	vectors(t, "outcomes.json", &file)
	require.NotEmpty(t, file.Pay)
	for _, v := range file.Pay {
		for _, code := range []string{v.Code, strings.ReplaceAll(v.Code, "_", "")} {
			outcome, err := payOutcome(testOrder(), answer{status: 400, body: []byte(`{"code":"` + code + `"}`)})
			switch v.Class {
			case "FAILED":
				require.NoError(t, err, code)
				assert.Equal(t, payflow.Refused, outcome.Kind, code)
			case "QUERY_THEN_DECIDE":
				require.NoError(t, err, code)
				assert.Equal(t, payflow.Collision, outcome.Kind, code)
			case "QUERY":
				if code == "USERPAYING" {
					assert.Equal(t, payflow.TradeUserPaying, outcome.Trade.State)
					continue
				}
				assert.Error(t, err, code)
			default:
				t.Errorf("unknown class %s", v.Class)
			}
		}
	}
	for _, v := range file.HTTP {
		assert.Equal(t, v.Class, v.class(t), "%d %s%s", v.HTTP, v.Transport, v.Code)
	}
	states := map[string]payflow.TradeState{"PAID": payflow.TradeSuccess, "PAID_THEN_REFUNDED(look at refunds)": payflow.TradeRefund, "QUERY_THEN_REVERSE": payflow.TradeNotPay,
		"FINAL_UNPAID": payflow.TradeClosed, "FINAL_REVERSED": payflow.TradeRevoked, "QUERY": payflow.TradeUserPaying, "REVERSE": payflow.TradePayError, "QUERY (v2 only)": "ACCEPT"}
	for state, word := range file.States {
		outcome, err := queryOutcome(testOrder(), "", answer{status: 200, body: []byte(tradeBody(testOrder(), state))})
		require.NoError(t, err)
		assert.Equal(t, states[word], outcome.Trade.State, state)
	}
}

// httpVector is a kind of answer, or of no answer, and what a till must take it for.
type httpVector struct {
	HTTP      int
	Class     string
	Transport string
	Signature string
	Body      string          `json:"body"`
	BodyState string          `json:"body_state"`
	Code      json.RawMessage `json:"code"`
}

// class is what this client takes the vector for, in the vectors' words.
func (v httpVector) class(t *testing.T) string {
	switch {
	case v.Transport != "" || v.Signature != "":
		return v.classOnTheWire(t)
	case v.HTTP == http.StatusNoContent:
		_, err := payOutcome(testOrder(), answer{status: v.HTTP})
		require.Error(t, err)
		_, err = queryOutcome(testOrder(), "", answer{status: v.HTTP})
		require.Error(t, err)
		outcome, err := reverseOutcome(testOrder(), answer{status: v.HTTP})
		require.NoError(t, err)
		require.Equal(t, payflow.ReverseDone, outcome.Kind)
		return "ACCEPTED_FOR_REVERSE_ONLY"
	case v.BodyState != "":
		return outsideClass(payOutcome(testOrder(), answer{status: v.HTTP, body: []byte(tradeBody(testOrder(), v.BodyState))}))
	}
	codes := []string{v.Body}
	if v.Code != nil {
		require.NoError(t, json.Unmarshal(v.Code, &codes))
	}
	classes := map[string]bool{}
	for _, code := range codes {
		a := answer{status: v.HTTP, body: []byte(`{"code":"` + code + `"}`)}
		class := outsideClass(payOutcome(testOrder(), a))
		if asked, err := queryOutcome(testOrder(), "", a); err == nil && asked.Kind == payflow.NoSuchOrder {
			class = "FOR_QUERY_MEANS_NO_ORDER"
		}
		classes[class] = true
	}
	require.Len(t, classes, 1, "the codes of a line mean the same")
	for class := range classes {
		return class
	}
	return ""
}

// classOnTheWire pays over a line, or with a signature, that goes wrong in each of the vector's ways.
func (v httpVector) classOnTheWire(t *testing.T) (class string) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost)
		c := newClient(t, testConfig(g, network.dial, firstHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		ways := []reply{{drop: true}, {hang: true}}
		if v.Signature != "" {
			ways = nil
			for _, seal := range []string{"none", "forged", "stranger", "stale", "probe", "half"} {
				ways = append(ways, reply{status: v.HTTP, body: paidBody(testOrder()), seal: seal})
			}
		}
		if strings.HasPrefix(v.Transport, "dial") {
			c.idle.closeAll()
			network.set(firstHost, "refuse")
		}
		for i, way := range ways {
			g.always(way)
			outcome, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			got := outsideClass(outcome, err)
			require.True(t, i == 0 || got == class, "each way means the same")
			class = got
		}
	})
	return class
}

// outsideClass names a pay call's outcome in the vectors' words.
func outsideClass(outcome payflow.Outcome, err error) string {
	switch {
	case err != nil, outcome.Trade.State == payflow.TradeUserPaying:
		return "QUERY"
	case outcome.Kind == payflow.NotSent:
		return "NOT_SENT"
	case outcome.Trade.State == payflow.TradeSuccess:
		return "PAID"
	case outcome.Reason == payflow.ReasonBusy:
		return "NOT_ACCEPTED_RETRY_LATER_BUT_QUERY_FIRST_FOR_PAY"
	case outcome.Reason == payflow.ReasonConfiguration:
		return "FAILED_CONFIG"
	}
	return string(outcome.Kind)
}

func outsideSensitiveTexts(t *testing.T) {
	var file struct {
		OAEP []struct {
			ID            string
			Plaintext     *string
			PrivateKeyPEM string `json:"private_key_pem"`
			CiphertextB64 string `json:"ciphertext_b64"`
		}
	}
	vectors(t, "rsa.json", &file)
	require.NotEmpty(t, file.OAEP)
	for _, v := range file.OAEP {
		text, err := openSensitive(privateKey(t, v.PrivateKeyPEM), v.CiphertextB64)
		if v.Plaintext == nil {
			assert.Error(t, err, v.ID)
			continue
		}
		require.NoError(t, err, v.ID)
		assert.Equal(t, *v.Plaintext, text, v.ID)
	}
}
