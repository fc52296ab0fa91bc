package wxsim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func put(path string, value any) func(map[string]any) {
	return func(body map[string]any) {
		names := strings.Split(path, "/")
		for _, name := range names[:len(names)-1] {
			if body[name] == nil {
				body[name] = map[string]any{}
			}
			body = body[name].(map[string]any)
		}
		body[names[len(names)-1]] = value
	}
}

func drop(path string) func(map[string]any) {
	return func(body map[string]any) {
		if outer, name, found := strings.Cut(path, "/"); found {
			delete(body[outer].(map[string]any), name)
		} else {
			delete(body, path)
		}
	}
}

// Quick Pay, submit payment (Global v3, 2.2): types, lengths and what is required. Text fields: characters of 1 to 3 bytes. Do
// not send null.
func TestFieldsOfThePayCallAreHeldAgainstTheDocument(t *testing.T) {
	bad := map[string]func(map[string]any){
		"no description":               drop("description"),
		"no attach is allowed, null":   put("attach", nil),
		"an empty attach":              put("attach", ""),
		"a long attach":                put("attach", strings.Repeat("a", 128)),
		"a description of 128 bytes":   put("description", strings.Repeat("a", 128)),
		"an emoji":                     put("description", "cake \U0001F370"),
		"no order number":              drop("out_trade_no"),
		"33 digits of number":          put("out_trade_no", strings.Repeat("1", 33)),
		"a blank in the number":        put("out_trade_no", "A 1"),
		"another trade type":           put("trade_type", "NATIVE"),
		"no trade type":                drop("trade_type"),
		"a list as limit_pay":          put("limit_pay", []string{"no_credit"}),
		"no category":                  drop("merchant_category_code"),
		"a v2 business code":           put("merchant_category_code", "343"),
		"no payment code":              drop("payer/auth_code"),
		"a number as a code":           put("payer/auth_code", 134650720866361395),
		"no total":                     drop("amount/total"),
		"a total of 0":                 put("amount/total", 0),
		"a negative total":             put("amount/total", -1),
		"a fraction":                   put("amount/total", 12.5),
		"a text as total":              put("amount/total", "1250"),
		"a currency that is not there": put("amount/currency", "VND"),
		"no currency":                  drop("amount/currency"),
		"an unknown member":            put("notify_url", "https://example.test"),
		"another case":                 put("Attach", "x"),
		"true":                         put("goods_tag", true),
		"a store without address":      put("scene_info/store_info", map[string]any{"id": "1", "name": "x"}),
		"a list as detail":             put("detail", []any{}),
		"goods without a price":        put("detail", map[string]any{"goods_detail": []any{map[string]any{"goods_id": "1", "quantity": 1}}}),
		"a text as payer":              put("payer", "134650720866361395"),
		"a text as goods":              put("detail", map[string]any{"goods_detail": "x"}),
	}
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for name, change := range bad {
			body := c.payBody("A1", realCode, 1250)
			change(body)
			a := c.must("POST", payPath, jsonText(body))
			assert.Equal(t, "400 PARAM_ERROR", whatCame(a, nil), name)
			if name == "an unknown member" {
				assert.True(t, strings.HasSuffix(a.header.Get("Request-ID"), "-270924358"))
			}
			assert.Equal(t, "body", a.members["detail"].(map[string]any)["location"], name)
			assert.NotContains(t, string(a.body), realCode, "%s: a payment code is never repeated", name)
		}
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("A1"))
	})
}

// The same table, from the other side: what the documents' sample sends is taken.
func TestTheDocumentsSampleIsTaken(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		body := c.payBody("20150806125346", "134650720866361395", 1)
		body["description"] = "Image Store - Tencent Building in Shenzhen - QQ Doll"
		body["goods_tag"], body["limit_pay"] = "1234", "no_credit"
		body["detail"] = map[string]any{"cost_price": 1, "receipt_id": "1234", "goods_detail": []any{
			map[string]any{"goods_id": "iphone6s_16G", "wxpay_goods_id": "3405", "goods_name": "iPhone6s 16G", "quantity": 1, "price": 1}}}
		body["scene_info"] = map[string]any{"payer_client_ip": "14.23.150.211", "device_ip": "59.37.125.32", "device_id": "013467007045764", "operator_id": "P001",
			"store_info": map[string]any{"id": "SZTX001", "name": "店铺 Tencent Building Branch", "address": "Nanshan District, Shenzhen, Guangdong"}}
		assert.Equal(t, "200 SUCCESS", whatCame(c.must("POST", payPath, jsonText(body)), nil))
	})
}

// HTTP status and errors: a body that is no JSON object, or more than one.
func TestABodyIsOneJSONObject(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		good := jsonText(c.payBody("A1", realCode, 1250))
		for _, body := range []string{"", "[]", "null", "{", good + "{}", "<xml/>"} {
			assert.Equal(t, "400 PARAM_ERROR", whatCame(c.must("POST", payPath, body), nil), body)
		}
		assert.Equal(t, 413, c.must("POST", payPath, good+strings.Repeat(" ", 2<<20)).status)
		order, _ := c.sim.Books().Order("A1")
		require.NotEmpty(t, order.Arrivals)
		assert.Equal(t, 413, order.Arrivals[len(order.Arrivals)-1].Status)
	})
}
