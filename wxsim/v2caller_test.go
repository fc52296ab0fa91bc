package wxsim

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// tillV2 is a merchant's till that speaks API v2. Like caller, it signs, writes and reads by itself.
type tillV2 struct {
	*caller
	web2     *http.Client
	signType string                    // "": MD5, and not said
	edit     func(f map[string]string) // before the request is signed
	spoil    func(body string) string  // after it was
}

// townV2 is town with a till that speaks API v2 and has its client certificate.
func townV2(t *testing.T, config Config, test func(t *testing.T, c *tillV2)) {
	town(t, config, func(t *testing.T, c *caller) {
		till := newTillV2(t, c)
		test(t, till)
		till.web2.CloseIdleConnections()
	})
}

func newTillV2(t *testing.T, c *caller) *tillV2 {
	t.Helper()
	till := &tillV2{caller: c}
	till.showingFile(c.creds)
	return till
}

// showingFile makes the till show the certificate in its apiclient_cert.p12.
func (c *tillV2) showingFile(creds Credentials) {
	c.t.Helper()
	key, certificate, _, err := pkcs12.DecodeChain(creds.PKCS12, creds.MerchantID)
	require.NoError(c.t, err, "the .p12 opens with the merchant number")
	c.showing(&tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key})
}

// showing makes the till show a client certificate in the handshake, or none.
func (c *tillV2) showing(certificate *tls.Certificate) {
	old := c.web.Transport.(*http.Transport)
	config := old.TLSClientConfig.Clone()
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	if c.web2 != nil {
		c.web2.CloseIdleConnections()
	}
	c.web2 = &http.Client{Transport: &http.Transport{DialContext: old.DialContext, TLSClientConfig: config, DisableCompression: true},
		CheckRedirect: c.web.CheckRedirect, Timeout: 10 * time.Second}
}

// answerV2 is what came back.
type answerV2 struct {
	status int
	header http.Header
	body   string
	f      map[string]string
	trust  error // nil: signed with the till's sign type over every field
}

// word is the answer in short: "SUCCESS", "FAIL NOTENOUGH", or "DENIED" and return_msg's first word, with "?" where the sign is not good.
func (a answerV2) word() string {
	word := a.f["result_code"]
	switch {
	case a.f["return_code"] == "FAIL":
		code, _, _ := strings.Cut(a.f["return_msg"], " ")
		return "DENIED " + code
	case a.f == nil:
		return fmt.Sprint(a.status, " page")
	case a.f["err_code"] != "":
		word += " " + a.f["err_code"]
	case a.f["trade_state"] != "":
		word = a.f["trade_state"]
	}
	if a.trust != nil {
		word += "?"
	}
	return word
}

// call sends the fields of one call, with ids, nonce and sign.
func (c *tillV2) call(path string, fields map[string]string) (answerV2, error) {
	f := map[string]string{"appid": c.creds.AppID, "mch_id": c.creds.MerchantID, "sub_mch_id": c.creds.SubMerchantID, "nonce_str": rand.Text(),
		"sign_type": c.signType}
	maps.Copy(f, fields)
	if c.edit != nil {
		c.edit(f)
	}
	if _, there := f["sign"]; !there {
		f["sign"] = c.signed(f)
	}
	body := "<xml>"
	for name, value := range f {
		if value != "" {
			body += "<" + name + "><![CDATA[" + value + "]]></" + name + ">"
		}
	}
	body += "</xml>"
	if c.spoil != nil {
		body = c.spoil(body)
	}
	return c.post("POST", path, body)
}

func (c *tillV2) post(method, path, body string) (answerV2, error) {
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	response, err := c.web2.Do(r)
	if err != nil {
		return answerV2{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	a := answerV2{status: response.StatusCode, header: response.Header, body: string(text)}
	if err != nil {
		return a, err
	}
	a.f, a.trust = c.read(text)
	return a, nil
}

// read takes an answer apart and checks its sign.
func (c *tillV2) read(text []byte) (map[string]string, error) {
	var message struct {
		XMLName xml.Name `xml:"xml"`
		Fields  []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	if decoder.Decode(&message) != nil {
		return nil, errors.New("no XML")
	}
	f := map[string]string{}
	for _, field := range message.Fields {
		if _, twice := f[field.XMLName.Local]; twice {
			return f, errors.New("a field stands twice")
		}
		f[field.XMLName.Local] = field.Value
	}
	if rest := text[decoder.InputOffset():]; len(strings.TrimSpace(string(rest))) > 0 {
		return f, errors.New("something follows")
	}
	if f["sign"] == "" || f["sign"] != c.signed(f) {
		return f, errors.New("the sign is not good")
	}
	return f, nil
}

// signed is the general steps to create a signature, once more.
func (c *tillV2) signed(f map[string]string) string {
	pairs := []string{}
	for name, value := range f {
		if value != "" && name != "sign" {
			pairs = append(pairs, name+"="+value)
		}
	}
	sort.Slice(pairs, func(i, j int) bool {
		a, _, _ := strings.Cut(pairs[i], "=")
		b, _, _ := strings.Cut(pairs[j], "=")
		return a < b
	})
	text := strings.Join(append(pairs, "key="+c.creds.APIv2Key), "&")
	if c.signType == "HMAC-SHA256" {
		mac := hmac.New(sha256.New, []byte(c.creds.APIv2Key))
		mac.Write([]byte(text))
		return fmt.Sprintf("%X", mac.Sum(nil))
	}
	return fmt.Sprintf("%X", md5.Sum([]byte(text)))
}

// ask is call where an answer has to come.
func (c *tillV2) ask(path string, fields map[string]string) answerV2 {
	c.t.Helper()
	a, err := c.call(path, fields)
	require.NoError(c.t, err)
	return a
}

func payment(number, code string) map[string]string {
	return map[string]string{"body": "Image Store - QQ Doll", "attach": "TAG00001", "out_trade_no": number, "total_fee": "1250", "fee_type": "HKD",
		"spbill_create_ip": "10.0.0.9", "auth_code": code}
}

func (c *tillV2) pay2(number, code string) (answerV2, error) {
	return c.call("/pay/micropay", payment(number, code))
}

// play2 pays with a fresh code of a scenario.
func (c *tillV2) play2(number, scenario string) answerV2 {
	c.t.Helper()
	c.counter++
	a, err := c.pay2(number, CodeFor(scenario, c.counter))
	require.NoError(c.t, err)
	return a
}

func (c *tillV2) query2(number string) answerV2 {
	c.t.Helper()
	return c.ask("/pay/orderquery", map[string]string{"out_trade_no": number})
}

func (c *tillV2) reverse2(number string) answerV2 {
	c.t.Helper()
	return c.ask("/secapi/pay/reverse", map[string]string{"out_trade_no": number})
}

func names(f map[string]string) []string { return slices.Sorted(maps.Keys(f)) }
