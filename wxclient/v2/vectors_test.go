package v2

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

// The outside vectors are known answers that nobody here wrote. POSAGENT_VECTORS names their folder.

func TestOutsideVectors(t *testing.T) {
	if os.Getenv("POSAGENT_VECTORS") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("POSAGENT_VECTORS is not set, and CI must run the outside vectors")
		}
		t.Skip("outside vectors not run")
	}
	t.Run("signs", outsideSigns)
	t.Run("messages", outsideMessages)
	t.Run("req_info", outsideReqInfo)
	t.Run("outcomes", outsideOutcomes)
	t.Run("bill", outsideBill)
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

func outsideSigns(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, Key, Sign string
			SignType      SignType `json:"sign_type"`
			Params        map[string]string
			StringA       string `json:"string_a"`
		}
		Hashes []struct{ Input, MD5 string } `json:"md5_hash_kat"`
	}
	vectors(t, "v2_sign.json", &file)
	require.Len(t, file.Cases, 4)
	for _, v := range file.Cases {
		s := signer{v.Key, v.SignType}
		m := message(v.Params)
		assert.Equal(t, v.Sign, s.sign(m.sorted(), v.SignType), v.ID)
		m["empty"], m["sign"] = "", v.Sign
		assert.NoError(t, s.verify(m), "%s: neither an empty parameter nor the sign itself is signed", v.ID)
		read, err := readXML([]byte(xmlOf("xml", m)), "xml")
		require.NoError(t, err)
		assert.NoError(t, s.verify(read), v.ID)
		if v.StringA != "" {
			assert.Equal(t, v.Sign, s.digest([]byte(v.StringA+"&key="+v.Key), v.SignType), v.ID)
		}
	}
	for _, v := range file.Hashes {
		assert.Equal(t, strings.ToUpper(v.MD5), signer{}.digest([]byte(v.Input), MD5))
	}
	order := message{"rfc822": "3", "rfc1": "1", "rfc2086": "2"}.sorted()
	assert.Equal(t, fields{{"rfc1", "1"}, {"rfc2086", "2"}, {"rfc822", "3"}}, order)
}

func outsideMessages(t *testing.T) {
	type refused struct{ Name, XML string }
	var file struct {
		Reject []refused `json:"must_reject"`
		Ours   []refused `json:"own_additions_must_reject"`
		Parse  []struct {
			From, Root, XML string
			Expect          map[string]string
		} `json:"must_parse"`
	}
	vectors(t, "xml.json", &file)
	require.NotEmpty(t, file.Reject)
	for _, v := range append(file.Reject, file.Ours...) {
		for _, root := range []string{"xml", "root", "foo", "batchjob", "movies", "html"} {
			_, err := readXML([]byte(v.XML), root)
			assert.ErrorIs(t, err, errShape, v.Name)
		}
	}
	require.NotEmpty(t, file.Parse)
	for _, v := range file.Parse {
		m, err := readXML([]byte(v.XML), v.Root)
		require.NoError(t, err, v.From)
		for name, want := range v.Expect {
			assert.Equal(t, want, m[name], "%s: %s", v.From, name)
		}
		again, err := readXML(m.sorted().write(), xmlRoot)
		require.NoError(t, err, v.From)
		assert.Equal(t, m, again, v.From)
		if v.Root == "root" {
			r, err := readReqInfo([]byte(v.XML))
			require.NoError(t, err, v.From)
			assert.Equal(t, payflow.RefundStateSuccess, r.State)
			assert.Equal(t, int64(3960), r.Amount.Minor)
		}
	}
}

func outsideReqInfo(t *testing.T) {
	type sealed struct {
		Why       string
		APIKey    string `json:"api_key"`
		ReqInfo   string `json:"req_info_base64"`
		Plaintext string
		Expect    map[string]string
	}
	var file struct {
		Decrypt []sealed
		Raw     []struct {
			Key        string `json:"key_ascii"`
			Plaintext  string
			Ciphertext string `json:"ciphertext_base64"`
		} `json:"raw_ecb"`
		Fail []sealed `json:"must_fail"`
		Zero struct {
			APIKey string `json:"api_key"`
			Hex    string `json:"md5_hex_key"`
		} `json:"leading_zero_key"`
	}
	vectors(t, "v2_req_info.json", &file)
	require.NotEmpty(t, file.Decrypt)
	require.NotEmpty(t, file.Fail)
	for _, v := range file.Decrypt {
		text, err := openReqInfo(v.ReqInfo, v.APIKey)
		require.NoError(t, err)
		assert.Equal(t, v.Plaintext, string(text))
		m, err := readXML(text, v.Expect["root"])
		require.NoError(t, err)
		delete(v.Expect, "root")
		for name, want := range v.Expect {
			assert.Equal(t, want, m[name], name)
		}
		r, err := readReqInfo(text)
		require.NoError(t, err)
		assert.Equal(t, int64(6), r.Amount.Minor)
	}
	for _, v := range file.Raw {
		text, err := base64.StdEncoding.DecodeString(v.Ciphertext)
		require.NoError(t, err)
		text, err = openECB([]byte(v.Key), text)
		require.NoError(t, err)
		assert.Equal(t, v.Plaintext, string(text))
	}
	for _, v := range file.Fail {
		_, err := openReqInfo(v.ReqInfo, v.APIKey)
		assert.ErrorIs(t, err, errReqInfo, v.Why)
	}
	require.True(t, strings.HasPrefix(file.Zero.Hex, "0"))
	assert.Equal(t, file.Zero.Hex, string(reqInfoKey(file.Zero.APIKey)), "the leading zero stays")
}

func outsideOutcomes(t *testing.T) {
	var file struct {
		Pay []struct {
			Code  string `json:"err_code"`
			Class string
		} `json:"v2_micropay"`
		Refund []struct {
			Code  string `json:"err_code"`
			Class string
		} `json:"v2_refund"`
		States map[string]string `json:"trade_state"`
	}
	vectors(t, "outcomes.json", &file)
	require.NotEmpty(t, file.Pay)
	require.NotEmpty(t, file.Refund)
	failed := func(code string) message { return message{"result_code": "FAIL", "err_code": code} }
	for _, v := range file.Pay {
		for _, code := range []string{v.Code, strings.ReplaceAll(v.Code, "_", "")} {
			outcome, err := payOutcome(testOrder(), failed(code))
			switch {
			case v.Class == "FAILED":
				require.NoError(t, err, code)
				assert.Equal(t, payflow.Refused, outcome.Kind, code)
			case v.Class == "QUERY_THEN_DECIDE":
				require.NoError(t, err, code)
				assert.Equal(t, payflow.Collision, outcome.Kind, code)
			case v.Class == "QUERY" && code == "USERPAYING":
				require.NoError(t, err, code)
				assert.Equal(t, payflow.TradeUserPaying, outcome.Trade.State)
			case v.Class == "QUERY":
				assert.Error(t, err, code)
			default:
				t.Errorf("unknown class %s", v.Class)
			}
		}
	}
	for _, v := range file.Refund {
		outcome, err := refundOutcome(testRefund(), failed(v.Code))
		switch v.Class {
		case "RETRY_SAME_OUT_REFUND_NO":
			assert.Error(t, err, v.Code)
		case "RETRY_SAME_OUT_REFUND_NO_AFTER_60S", "RETRY_SAME_OUT_REFUND_NO_SLOWER":
			require.NoError(t, err, v.Code)
			assert.Equal(t, payflow.RefundLater, outcome.Kind, v.Code)
		default:
			require.NoError(t, err, v.Code)
			assert.Equal(t, payflow.RefundDeclined, outcome.Kind, v.Code)
		}
	}
	for state := range file.States {
		word, _, _ := strings.Cut(state, " ")
		outcome, err := queryOutcome(testOrder(), "", message{"result_code": "SUCCESS", "trade_state": word, "out_trade_no": string(testOrder().OutTradeNo)})
		require.NoError(t, err)
		assert.Equal(t, payflow.TradeState(word), outcome.Trade.State)
	}
}

func outsideBill(t *testing.T) {
	var file struct {
		CSV    string `json:"csv_base64"`
		SHA1   string `json:"sha1_hex"`
		Expect struct {
			Rows    int
			Header  []string          `json:"summary_header"`
			Summary []string          `json:"summary"`
			First   map[string]string `json:"first_row"`
			States  map[string]int    `json:"count_by_state"`
			Sums    map[string]string `json:"computed_sums"`
		}
	}
	vectors(t, "bill_v2.json", &file)
	text, err := base64.StdEncoding.DecodeString(file.CSV)
	require.NoError(t, err)
	kept := wxclient.StatementFile{Day: "20190219", File: filepath.Join(t.TempDir(), "bill.csv")}
	require.NoError(t, takeBill(&kept, wxclient.Answer{Status: 200}, strings.NewReader(zipped(t, string(text)))))
	assert.Equal(t, file.SHA1, kept.SHA1)
	bill, err := os.Open(kept.File)
	require.NoError(t, err)
	defer bill.Close()
	var rows []payflow.StatementRow
	summary, err := wxclient.ReadStatement(bill, func(r payflow.StatementRow) error { rows = append(rows, r); return nil })
	require.NoError(t, err)
	require.Len(t, rows, file.Expect.Rows)
	first := file.Expect.First
	assert.Equal(t, first["交易时间"], rows[0].At.In(storeTime).Format(time.DateTime))
	assert.Equal(t, first["商户号"], rows[0].MerchantID)
	assert.Equal(t, first["微信订单号"], string(rows[0].TransactionID))
	assert.Equal(t, first["商户订单号"], string(rows[0].OutTradeNo))
	assert.Equal(t, first["微信退款单号"], string(rows[0].RefundID))
	assert.Equal(t, first["商户退款单号"], string(rows[0].OutRefundNo))
	assert.Equal(t, first["退款金额"], rows[0].Refund.Major())
	assert.Equal(t, first["交易状态"], string(rows[0].State))
	assert.Equal(t, first["商品名称"], rows[0].Description)
	assert.Equal(t, first["手续费"], rows[0].Fee)
	assert.Equal(t, first["费率"], rows[0].Rate)
	states, amount, refund := map[string]int{}, payflow.Amount{Currency: "CNY"}, payflow.Amount{Currency: "CNY"}
	for _, r := range rows {
		states[string(r.State)]++
		amount.Minor += r.Amount.Minor
		refund.Minor += r.Refund.Minor
	}
	assert.Equal(t, file.Expect.States, states)
	assert.Equal(t, file.Expect.Sums["订单金额"], amount.Major())
	assert.Equal(t, file.Expect.Sums["退款金额"], refund.Major())
	for i, name := range file.Expect.Header {
		assert.Equal(t, file.Expect.Summary[i], summary.Totals[name], name)
	}
}
