package wxclient

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// globalHeader is the first line that the page on API v3's statement gives (download reconciliation, 返回参数).
const globalHeader = "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,充值券币种,充值券金额,优惠券币种,优惠券金额,微信退款单号,商户退款单号,退款类型,退款状态,商品名称,商户数据包,手续费,费率,标价币种,订单金额(标价币种),用户支付币种,用户支付金额,结算币种,应结订单金额,支付汇率,退款汇率,申请退款金额,用户退款币种,用户退款金额,退款结算币种,退款应结订单金额,充值券退款金额,优惠券退款金额"

const globalPaid = "`2026-01-31 23:59:59,`wx2421b1c4370ec43b,`10000100,`20000100,`T1,`1008450740201411110005820873,`SZTX001T1A1,`oUpF8uN95,`MICROPAY,`SUCCESS,`CCB_DEBIT,`,`0.00,`,`0.00,`0,`0,`,`,`Image Store, Tencent - QQ Doll,`ABCDEFGH01234567 sale, 7,`0.03750,`0.30%,`HKD,`12.50,`CNY,`11.00,`HKD,`12.50,`88000000,`0,`0.00,`,`0.00,`,`0.00,`0.00,`0.00"

const globalRefund = "`2026-01-31 12:00:00,`wx2421b1c4370ec43b,`10000100,`0,`T1,`1008450740201411110005820873,`SZTX001T1A1,`oUpF8uN95,`MICROPAY,`REFUND,`CCB_DEBIT,`,`0.00,`,`0.00,`50200207182018070300011301001,`R20150806125346,`ORIGINAL,`PROCESSING,`QQ Doll,`,`0.00000,`0.30%,`JPY,`1250.00,`CNY,`61.00,`JPY,`1250.00,`0,`4880000,`1000.00,`CNY,`49.00,`JPY,`1000.00,`0.00,`0.00"

func readAll(text string) ([]payflow.StatementRow, StatementSummary, error) {
	var rows []payflow.StatementRow
	summary, err := ReadStatement(strings.NewReader(text), func(row payflow.StatementRow) error {
		rows = append(rows, row)
		return nil
	})
	return rows, summary, err
}

func TestReadStatementOfTheGlobalAPI(t *testing.T) {
	rows, summary, err := readAll("\ufeff" + globalHeader + "\r\n" + globalPaid + "\r\n" + globalRefund + "\r\n")
	require.NoError(t, err)
	assert.Equal(t, StatementSummary{Rows: 2}, summary)
	require.Len(t, rows, 2)
	assert.True(t, rows[0].At.Equal(time.Date(2026, 1, 31, 15, 59, 59, 0, time.UTC)), "GMT+8")
	rows[0].At, rows[1].At = time.Time{}, time.Time{}
	assert.Equal(t, payflow.StatementRow{MerchantID: "10000100", SubMerchantID: "20000100", TransactionID: "1008450740201411110005820873", OutTradeNo: "SZTX001T1A1",
		TradeType: "MICROPAY", State: payflow.TradeSuccess, Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, PayerAmount: payflow.Amount{Minor: 1100, Currency: "CNY"},
		BankType: "CCB_DEBIT", Description: "Image Store, Tencent - QQ Doll", Attach: "ABCDEFGH01234567 sale, 7", Fee: "0.03750", Rate: "0.30%"}, rows[0])
	assert.Equal(t, payflow.StatementRow{MerchantID: "10000100", TransactionID: "1008450740201411110005820873", OutTradeNo: "SZTX001T1A1",
		TradeType: "MICROPAY", State: payflow.TradeRefund, Amount: payflow.Amount{Minor: 1250, Currency: "JPY"}, PayerAmount: payflow.Amount{Minor: 6100, Currency: "CNY"},
		RefundID: "50200207182018070300011301001", OutRefundNo: "R20150806125346", Refund: payflow.Amount{Minor: 1000, Currency: "JPY"}, RefundState: payflow.RefundStateProcessing,
		BankType: "CCB_DEBIT", Description: "QQ Doll", Fee: "0.00000", Rate: "0.30%"}, rows[1])
}

func TestReadStatementFindsColumnsByName(t *testing.T) {
	rows, _, err := readAll("WeChat order No.,Order Amount,Transaction Status,Labeled Currency,Transaction time,A new one,Vendor order No.,Vendor ID,Sub vendor ID\n" +
		"`4200000263,`12.5,`REVOKED,`HKD,`2026-01-31 23:59:59,`?,`SZTX001T1A1,`10000100,`20000100\n")
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, payflow.TradeRevoked, rows[0].State)
	assert.Equal(t, payflow.Amount{Minor: 1250, Currency: "HKD"}, rows[0].Amount)
	assert.Equal(t, payflow.OutTradeNo("SZTX001T1A1"), rows[0].OutTradeNo)
}

func TestReadStatementRefusesWhatDoesNotFit(t *testing.T) {
	summary := "\n总交易单数,订单总金额\n`1.0,`12.50\n"
	for name, text := range map[string]string{
		"nothing":                     "",
		"an error":                    `{"code":"NO_STATEMENT_EXIST"}`,
		"XML":                         "<xml><return_code>FAIL</return_code></xml>",
		"a row only":                  globalPaid,
		"a value too few":             globalHeader + "\n" + strings.TrimSuffix(globalPaid, ",`0.00"),
		"a value too many":            globalHeader + "\n" + globalPaid + ",`0.00",
		"a torn row":                  globalHeader + "\n" + globalPaid[:200],
		"no time":                     globalHeader + "\n" + strings.Replace(globalPaid, "2026-01-31 23:59:59", "yesterday", 1),
		"no currency":                 globalHeader + "\n" + strings.Replace(globalPaid, "`HKD", "`", 1),
		"a strange currency":          globalHeader + "\n" + strings.Replace(globalPaid, "`HKD", "`XXX", 1),
		"a third decimal":             globalHeader + "\n" + strings.Replace(globalPaid, "`12.50", "`12.505", 1),
		"a part of a yen":             globalHeader + "\n" + strings.Replace(globalRefund, "`1250.00", "`1250.50", 1),
		"an exponent":                 globalHeader + "\n" + strings.Replace(globalPaid, "`12.50", "`1e3", 1),
		"a refund of letters":         globalHeader + "\n" + strings.Replace(globalRefund, "`1000.00", "`all", 1),
		"no order":                    globalHeader + "\n" + strings.NewReplacer("`1008450740201411110005820873", "`0", "`SZTX001T1A1", "`").Replace(globalPaid),
		"a column twice":              globalHeader + ",交易时间\n",
		"too many columns":            globalHeader + strings.Repeat(",x", 128),
		"a line without end":          globalHeader + "\n`" + strings.Repeat("x", statementLineMax),
		"another count":               globalHeader + "\n" + globalPaid + "\n" + globalPaid + summary,
		"a count of nothing":          globalHeader + "\n" + globalPaid + strings.Replace(summary, "`1.0", "`", 1),
		"text behind the summary":     globalHeader + "\n" + globalPaid + summary + globalPaid,
		"a summary without values":    globalHeader + "\n" + globalPaid + "\n总交易单数,订单总金额\n",
		"a summary of too few values": globalHeader + "\n" + globalPaid + "\n总交易单数,订单总金额\n`1.0\n",
		"no summary":                  globalHeader + "\n" + globalPaid + "\n<html>",
	} {
		_, _, err := readAll(text)
		assert.ErrorContains(t, err, "read statement, line ", name)
	}
	rows, sum, err := readAll(globalHeader + "\n" + globalPaid + summary)
	require.NoError(t, err)
	assert.Len(t, rows, 1)
	assert.Equal(t, StatementSummary{Rows: 1, Told: true, Count: 1, Totals: map[string]string{"总交易单数": "1.0", "订单总金额": "12.50"}}, sum)
}

func TestReadStatementStopsWhereItIsTold(t *testing.T) {
	stop := errors.New("stop")
	_, err := ReadStatement(strings.NewReader(globalHeader+"\n"+globalPaid+"\n<html>"), func(payflow.StatementRow) error { return stop })
	assert.Equal(t, stop, err)
}

// The bill of the official PHP SDK's tests.
func TestReadStatementOfTheOlderAPI(t *testing.T) {
	skipWithoutVectors(t)
	var file struct {
		CSV    string `json:"csv_base64"`
		Expect struct {
			Rows    int
			Summary []string
			Header  []string          `json:"summary_header"`
			Sums    map[string]string `json:"computed_sums"`
			States  map[string]int    `json:"count_by_state"`
			First   map[string]string `json:"first_row"`
		}
	}
	vectors(t, "bill_v2.json", &file)
	text, err := base64.StdEncoding.DecodeString(file.CSV)
	require.NoError(t, err)
	rows, summary, err := readAll(string(text))
	require.NoError(t, err)
	assert.Equal(t, file.Expect.Rows, summary.Rows)
	assert.True(t, summary.Told)
	for i, name := range file.Expect.Header {
		assert.Equal(t, file.Expect.Summary[i], summary.Totals[name])
	}
	states := map[string]int{}
	paid, back := payflow.Amount{Currency: "CNY"}, payflow.Amount{Currency: "CNY"}
	for _, row := range rows {
		states[string(row.State)]++
		paid.Minor += row.Amount.Minor
		back.Minor += row.Refund.Minor
	}
	assert.Equal(t, file.Expect.States, states)
	assert.Equal(t, file.Expect.Sums["订单金额"], paid.Major())
	assert.Equal(t, file.Expect.Sums["申请退款金额"], back.Major())
	first := rows[0]
	assert.Equal(t, file.Expect.First["交易时间"], first.At.In(statementZone).Format(time.DateTime))
	assert.Equal(t, file.Expect.First["微信订单号"], string(first.TransactionID))
	assert.Equal(t, file.Expect.First["商户订单号"], string(first.OutTradeNo))
	assert.Equal(t, file.Expect.First["微信退款单号"], string(first.RefundID))
	assert.Equal(t, file.Expect.First["商户退款单号"], string(first.OutRefundNo))
	assert.Equal(t, file.Expect.First["商品名称"], first.Description)
	assert.Equal(t, payflow.RefundStateSuccess, first.RefundState)
	assert.Empty(t, first.SubMerchantID)
}

func TestDecimalIsExact(t *testing.T) {
	for text, minor := range map[string]int64{"12.50": 1250, "12.5": 1250, "12": 1200, "0.00": 0, "0": 0, "-0.01": -1, "9999999999999.99": 999999999999999, "12.5000": 1250, "1.": 100} {
		got, err := decimal(text, 2)
		require.NoError(t, err, text)
		assert.Equal(t, minor, got, text)
	}
	for _, text := range []string{"", ".", ".5", "-", "1.234", "1,000.00", "1e3", " 1", "+1", "--1", "1.2.3", "99999999999999", "１"} {
		_, err := decimal(text, 2)
		assert.Error(t, err, text)
	}
}

func FuzzReadStatement(f *testing.F) {
	f.Add([]byte("\ufeff" + globalHeader + "\r\n" + globalPaid + "\r\n" + globalRefund + "\n总交易单数,订单总金额\n`2.0,`12.50\n"))
	f.Add([]byte("交易时间,微信订单号,商户订单号,交易状态,货币种类,总金额\n`2026-01-31 23:59:59,`1,`2,`SUCCESS,`CNY,`0.01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows := 0
		summary, err := ReadStatement(strings.NewReader(string(text)), func(row payflow.StatementRow) error {
			rows++
			if row.TransactionID == "" && row.OutTradeNo == "" || row.Amount.Currency == "" {
				t.Fatalf("%+v", row)
			}
			return nil
		})
		if rows != summary.Rows || err == nil && summary.Told && summary.Count != rows {
			t.Fatalf("%d rows, %+v", rows, summary)
		}
	})
}
