package wxclient

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestPlainText(t *testing.T) {
	for _, row := range []struct {
		in    string
		limit int
		out   string
	}{
		{"QQ Doll", 127, "QQ Doll"},
		{"腾讯公仔", 127, "腾讯公仔"},
		{"腾讯公仔", 7, "腾讯"},
		{"doll 🧸!", 127, "doll ?!"},
		{"𠮷野家", 127, "?野家"},
		{"a\nb\x00c", 127, "a b c"},
		{"bad \xff bytes", 127, "bad ? bytes"},
		{"", 5, ""},
		{strings.Repeat("x", 200), 127, strings.Repeat("x", 127)},
	} {
		assert.Equal(t, row.out, plain(row.in, row.limit), row.in)
	}
}

func TestTheTagIsNeverCutFromTheAttach(t *testing.T) {
	c := &Client{merchant: testMerchant()}
	o := testOrder()
	o.Attach = strings.Repeat("茶", 100)
	body, err := c.payBody(o, testAuthCode(t))
	require.NoError(t, err)
	assert.Contains(t, string(body), `"attach":"ABCDEFGH01234567 `)
	trade, err := readTradeAnswer(answer{body: body})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(trade.Attach), attachMax)
	assert.True(t, o.Tag.Carries(trade.Attach))
}

func TestMaskingHidesCodesAndLeavesOtherNumbers(t *testing.T) {
	assert.Equal(t, "**************1395", maskText(testCode, 64))
	assert.Equal(t, "code **************1395 twice **************1395.", maskText("code "+testCode+" twice "+testCode+".", 64))
	assert.Equal(t, "1008450740201411110005820873", maskID("1008450740201411110005820873", 32), "a transaction id has 28 digits")
	assert.Equal(t, "**************1395", maskID(testCode, 32))
	assert.Equal(t, "12345678901234567", maskText("12345678901234567", 64))
}

func FuzzPlain(f *testing.F) {
	f.Add("doll 🧸", 7)
	f.Add("\xff\xfe", 1)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 0 {
			return
		}
		out := plain(text, limit)
		if len(out) > limit || !utf8.ValidString(out) {
			t.Fatalf("%q", out)
		}
		for _, r := range out {
			if r > 0xFFFF {
				t.Fatalf("%q", out)
			}
		}
	})
}

func FuzzReadAnswers(f *testing.F) {
	o := testOrder()
	f.Add(200, []byte(paidBody(o)))
	f.Add(202, []byte(`{"code":"USERPAYING"}`))
	f.Add(400, []byte(`{"code":"ORDER_PAID","message":3}`))
	f.Add(204, []byte(nil))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := answer{status: status, body: body}
		for _, read := range []func() (payflow.Outcome, error){
			func() (payflow.Outcome, error) { return payOutcome(o, a) },
			func() (payflow.Outcome, error) { return queryOutcome(o, "", a) },
			func() (payflow.Outcome, error) { return reverseOutcome(o, a) },
		} {
			outcome, err := read()
			if (err == nil) != (outcome.Kind != "") {
				t.Fatalf("%+v %v", outcome, err)
			}
			if outcome.Kind == payflow.Found && outcome.Trade.State != payflow.TradeUserPaying && outcome.Trade.OutTradeNo != o.OutTradeNo {
				t.Fatalf("another's order: %+v", outcome.Trade)
			}
		}
	})
}

func FuzzOpenCertificates(f *testing.F) {
	f.Add([]byte(`{"data":[{"serial_no":"7A","encrypt_certificate":{"algorithm":"AEAD_AES_256_GCM","nonce":"abcdefghijkl","associated_data":"","ciphertext":"AAAA"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := openCertificates(body, []byte(testAPIv3Key), ""); err == nil && len(got) == 0 {
			t.Fatal("nothing, and no error")
		}
	})
}

func TestPlainJSON(t *testing.T) {
	for in, out := range map[string]string{
		`{"b":1, "a":"QQ 公仔"}`:       `{"b":1, "a":"QQ 公仔"}`, // nothing to change
		`{"a":"🧸","b":null,"c":[1]}`: `{"a":"?","c":[1]}`,
		`{"a":"\ud83e\uddf8"}`:       `{"a":"?"}`, // the same bear, by an escape
		`{"a":"x\u0000y"}`:           `{"a":"x y"}`,
	} {
		got, err := plainJSON(in)
		assert.NoError(t, err, in)
		assert.Equal(t, out, string(got), in)
	}
	for _, in := range []string{``, `null`, `[]`, `1`, `{`, `{} {}`, `{"a":nullx}`, `{"a"}`} {
		_, err := plainJSON(in)
		assert.Error(t, err, in)
	}
}

func FuzzPlainJSON(f *testing.F) {
	f.Add(`{"a":[1,"🧸",null,{"b":2e3}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		out, err := plainJSON(text)
		if err != nil {
			return
		}
		if again, err := plainJSON(string(out)); err != nil || string(again) != string(out) {
			t.Fatalf("%s became %s (%v)", out, again, err)
		}
	})
}
