package payflow

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryScanIsNamed(t *testing.T) {
	for _, row := range []struct {
		text, aim string
		want      CodeKind
	}{
		{"134567890123454321", "", CodeWeChat}, {"104567890123454321", "Q1", CodeWeChat}, {"154567890123454321", "C0", CodeWeChat},
		{"164567890123454321", "", CodeWrongPrefix}, {"094567890123454321", "", CodeWrongPrefix},
		{"287654321098765432", "", CodeAlipay}, {"2587654321098765", "", CodeAlipay}, {"308765432109876543210987", "", CodeAlipay},
		{"6220123456789012345", "", CodeUnionPay}, {"6901234567892", "", CodeGoods}, {"96385074", "", CodeGoods}, {"036000291452", "", CodeGoods},
		{"6901234567893", "", CodeWrongLength}, {"13456789012345432", "", CodeWrongLength}, {"1345678901234543210", "", CodeWrongLength},
		{"134567890123454321", "C1", CodeGoods}, {"134567890123454321", "E0", CodeGoods}, {"134567890123454321", "e0", CodeGoods},
		{"wxp://f2f0AbC", "", CodeMerchantOwn}, {"HTTPS://payapp.weixin.qq.com/x", "", CodeMerchantOwn}, {"http://a", "", CodeMerchantOwn},
		{"13456789012345432a", "", CodeNotDigits}, {"134567890123454321\n", "", CodeNotDigits}, {" 134567890123454321", "", CodeNotDigits},
		{"１３４５６７８９０１２３４５４３２１", "", CodeNotDigits}, {"", "", CodeNothing}, {strings.Repeat("1", 5000), "", CodeWrongLength},
	} {
		assert.Equal(t, row.want, KindOfCode(row.text, row.aim, nil), "%.40q %s", row.text, row.aim)
		code, err := ParseAuthCode(row.text, row.aim, nil)
		if row.want == CodeWeChat {
			require.NoError(t, err)
			assert.Equal(t, row.text, code.Reveal())
			continue
		}
		var wrong *WrongCodeError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, row.want, wrong.Kind)
		assert.True(t, code.IsZero())
		assert.Contains(t, err.Error(), "ask the customer to open WeChat")
		for _, digits := range strings.FieldsFunc(row.text, func(r rune) bool { return r < '0' || r > '9' }) {
			assert.False(t, len(digits) > 3 && strings.Contains(err.Error(), digits), "an error shows what was scanned")
		}
	}
}

func TestPrefixesAreASetting(t *testing.T) {
	assert.Equal(t, CodeWeChat, KindOfCode("160949346665978663", "", append(DefaultCodePrefixes(), "160")))
	assert.Equal(t, CodeWrongPrefix, KindOfCode("161949346665978663", "", append(DefaultCodePrefixes(), "160")))
	assert.Equal(t, CodeWrongPrefix, KindOfCode("134567890123454321", "", []string{""}), "an empty prefix lets nothing in")
	DefaultCodePrefixes()[0] = "99"
	assert.Equal(t, CodeWeChat, KindOfCode("104567890123454321", "", nil), "the default list is a copy")
}

// A payment code is money: no verb, format or log shows more than its last four digits.
func TestCodeIsMaskedEverywhere(t *testing.T) {
	code := aCode()
	holder := struct {
		Code AuthCode
		Ptr  *AuthCode
	}{code, &code}
	var said bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%b", "%c", "%U", "%e", "%t", "%20s", "%.2s"} {
		fmt.Fprintf(&said, verb+" ", code)
		fmt.Fprintf(&said, verb+" ", &code)
		fmt.Fprintf(&said, verb+" ", holder)
		fmt.Fprintf(&said, verb+" ", []AuthCode{code})
		fmt.Fprintf(&said, verb+" ", Event{Kind: CodeScanned, Code: code})
		fmt.Fprintf(&said, verb+" ", Command{Kind: SendPay, Code: code})
	}
	log := zerolog.New(&said)
	log.Info().Interface("code", code).Any("event", Event{Code: code}).Stringer("s", code).Any("holder", holder).Any("command", Command{Code: code}).Msg("x")
	said.WriteString(code.GoString())
	assert.Contains(t, said.String(), "4321")
	for _, secret := range []string{code.Reveal()[:14], code.Reveal()[4:12], fmt.Sprintf("%x", code.Reveal()[:8])} {
		assert.NotContains(t, said.String(), secret)
	}
	assert.Equal(t, "(no code)", AuthCode{}.String())
	assert.Empty(t, AuthCode{}.Tail())
}

func TestCodeNeverMarshals(t *testing.T) {
	_, err := json.Marshal(aCode())
	assert.ErrorIs(t, err, errAuthCodeMarshals)
	_, err = json.Marshal(map[AuthCode]int{aCode(): 1})
	assert.Error(t, err)
	assert.Error(t, gob.NewEncoder(&bytes.Buffer{}).Encode(aCode()))
	_, err = aCode().MarshalBinary()
	assert.Error(t, err)

	text, err := json.Marshal(Event{Kind: CodeScanned, Code: aCode(), CodeHash: "h"})
	require.NoError(t, err, "an event is journaled without its code")
	assert.NotContains(t, string(text), "4321")
}

// The payment that the journal holds knows the code's last four digits and no more.
func TestPaymentHoldsNoCode(t *testing.T) {
	p, _ := anArmed(DefaultTiming())
	p, commands := Step(p, Event{Kind: CodeScanned, At: beginning, Code: aCode(), CodeHash: "h1"})
	text, err := json.Marshal(p)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"code_tail":"4321"`)
	assert.NotContains(t, string(text), aCode().Reveal()[:14])
	assert.Equal(t, aCode(), commands[0].Code, "the code leaves in the one pay call")

	var back Payment
	require.NoError(t, json.Unmarshal(text, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(again))
}

// vectorsFolder is where the known answers from outside stand; they are not part of this project.
func vectorsFolder(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("POSAGENT_VECTORS")
	if folder == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("POSAGENT_VECTORS is not set; it must name the folder of the outside vectors")
		}
		t.Skip("outside vectors not run")
	}
	return folder
}

func TestOutsideVectorsOfPaymentCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(vectorsFolder(t), "payment_code.json"))
	require.NoError(t, err)
	type row struct{ Code, Why, Hint string }
	var vectors struct {
		Accept, Reject     []row
		AcceptIfConfigured []row `json:"accept_if_configured"`
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors.Accept)
	require.NotEmpty(t, vectors.Reject)
	for _, v := range vectors.Accept {
		assert.Equal(t, CodeWeChat, KindOfCode(v.Code, "", nil), v.Code)
	}
	for _, v := range vectors.AcceptIfConfigured {
		assert.Equal(t, CodeWrongPrefix, KindOfCode(v.Code, "", nil), v.Why)
		assert.Equal(t, CodeWeChat, KindOfCode(v.Code, "", append(DefaultCodePrefixes(), "160")), v.Why)
	}
	for _, v := range vectors.Reject {
		kind := KindOfCode(v.Code, "", nil)
		assert.NotEqual(t, CodeWeChat, kind, v.Why)
		if v.Hint != "" {
			assert.Equal(t, strings.ToLower(v.Hint), string(kind), v.Why)
		}
	}
}

func FuzzParseAuthCode(f *testing.F) {
	for _, text := range []string{"134567890123454321", "wxp://x", "6901234567892", "", "１３４５", "1345678901234543211345678901234543211"} {
		f.Add(text, "Q1")
	}
	f.Fuzz(func(t *testing.T, text, aim string) {
		code, err := ParseAuthCode(text, aim, nil)
		if err != nil {
			require.True(t, code.IsZero())
			require.Less(t, len(err.Error()), 200)
			return
		}
		require.Len(t, text, AuthCodeDigits)
		require.Empty(t, strings.Trim(text, "0123456789"))
		require.Equal(t, text, code.Reveal())
		require.NotContains(t, code.String(), text[:14])
	})
}

func ExampleParseAuthCode() {
	code, err := ParseAuthCode("134567890123454321", "", nil)
	fmt.Println(code, err)
	_, err = ParseAuthCode("287654321098765432", "", nil)
	fmt.Println(err)
	// Output:
	// **************4321 <nil>
	// not a WeChat Pay payment code (alipay); ask the customer to open WeChat, Me, Pay, and scan that code
}
