package wxclient

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// The examples that WeChat Pay publishes in its guide "Quick Pay, API v3 Global" (procedures and code examples), as our client
// sends them. The body in testdata is the guide's.

// published returns one of the guide's bodies as values.
func published(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(text, &body))
	return body
}

// sends makes a call by a client with the guide's ids, and returns the request as it arrived.
func sends(t *testing.T, m payflow.Merchant, call func(t *testing.T, c *Client, o payflow.Order)) (line, body string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.Merchant = m
		c := newClient(t, config)
		call(t, c, payflow.Order{Merchant: m})
		g.mu.Lock()
		defer g.mu.Unlock()
		line, body = g.arrivals[0], g.bodies[0]
		assert.Equal(t, "application/json", g.headers[0].Get("Accept"))
		assert.Equal(t, "application/json", g.headers[0].Get("Content-Type"), "the guide adds a charset; JSON has one alone")
	})
	return line, body
}

func TestTheGuidesExampleOfAPayCall(t *testing.T) {
	want := published(t, "guide_pay.json")
	m := payflow.Merchant{Mode: payflow.Institution, AppID: "wxdace645e0bc2c424", MerchantID: "10000100", SubMerchantID: "20000100", CategoryCode: "4111"}
	line, body := sends(t, m, func(t *testing.T, c *Client, o payflow.Order) {
		detail, err := json.Marshal(want["detail"])
		require.NoError(t, err)
		o.OutTradeNo, o.Amount = "20150806125346", payflow.Amount{Minor: 1, Currency: "HKD"}
		o.Description, o.Attach, o.GoodsTag, o.LimitPay = "Image Store - Tencent Building in Shenzhen - QQ Doll", "Payment Test", "1234", "no_credit"
		o.Detail, o.Operator = string(detail), "P001"
		o.Store = payflow.Store{ID: "SZTX001", Name: "Tencent Building Branch", Address: "Nanshan District, Shenzhen, Guangdong", Till: "013467007045764", DeviceIP: "59.37.125.32"}
		_, _ = c.Pay(t.Context(), o, testAuthCode(t), gone())
	})
	assert.Equal(t, "POST /v3/global/micropay/transactions/pay", line)
	delete(want["scene_info"].(map[string]any), "payer_client_ip") // the guide's sample has one; a customer at a till has no address
	want["attach"] = payflow.AttachTag("").Attach("Payment Test")  // ours begins with a tag
	text, err := json.Marshal(want)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), body)
}

func TestTheGuidesExampleOfAQuery(t *testing.T) {
	m := payflow.Merchant{Mode: payflow.Institution, AppID: "wx1", MerchantID: "1900000000", SubMerchantID: "100012321"}
	line, body := sends(t, m, func(t *testing.T, c *Client, o payflow.Order) { _, _ = c.QueryByID(t.Context(), o, "4200123456789000") })
	sameCall(t, "GET /v3/global/transactions/id/4200123456789000?sub_mchid=100012321&sp_mchid=1900000000", line)
	assert.Empty(t, body)
}

func TestTheGuidesExampleOfAReverse(t *testing.T) {
	m := payflow.Merchant{Mode: payflow.Institution, AppID: "wx1", MerchantID: "10000100", SubMerchantID: "20000100"}
	line, body := sends(t, m, func(t *testing.T, c *Client, o payflow.Order) {
		o.OutTradeNo = "YX001"
		_, _ = c.Reverse(t.Context(), o)
	})
	assert.Equal(t, "POST /v3/global/micropay/transactions/out-trade-no/YX001/reverse", line)
	assert.JSONEq(t, `{"sp_mchid": "10000100", "sub_mchid": "20000100"}`, body)
}

func TestTheGuidesExampleOfTheCertificatesCall(t *testing.T) {
	line, body := sends(t, testMerchant(), func(t *testing.T, c *Client, _ payflow.Order) { _ = c.FirstRoundTrip(t.Context()) })
	assert.Equal(t, "GET /v3/global/certificates", line)
	assert.Empty(t, body)
}

// sameCall compares two request lines; the order of a query's members is free.
func sameCall(t *testing.T, want, got string) {
	t.Helper()
	wantPath, wantQuery, _ := strings.Cut(want, "?")
	gotPath, gotQuery, _ := strings.Cut(got, "?")
	assert.Equal(t, wantPath, gotPath)
	wanted, err := url.ParseQuery(wantQuery)
	require.NoError(t, err)
	sent, err := url.ParseQuery(gotQuery)
	require.NoError(t, err)
	assert.Equal(t, wanted, sent)
}
