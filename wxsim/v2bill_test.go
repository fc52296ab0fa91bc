package wxsim

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// billRows takes a bill apart as a till must: by comma and backtick, for a value may hold a comma.
func billRows(t *testing.T, text string) (columns []string, rows [][]string, sums []string) {
	t.Helper()
	text, marked := strings.CutPrefix(text, "\ufeff")
	require.True(t, marked, "a byte order mark: %q", text)
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	require.GreaterOrEqual(t, len(lines), 4)
	columns = strings.Split(lines[0], ",")
	for _, line := range lines[1 : len(lines)-2] {
		rows = append(rows, strings.Split(strings.TrimPrefix(line, "`"), ",`"))
	}
	assert.Equal(t, "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额", lines[len(lines)-2])
	return columns, rows, strings.Split(strings.TrimPrefix(lines[len(lines)-1], "`"), ",`")
}

func (c *tillV2) bill2(day, kind, pack string) answerV2 {
	c.t.Helper()
	return c.ask("/pay/downloadbill", map[string]string{"bill_date": day, "bill_type": kind, "tar_type": pack})
}

func dayV2() string { return time.Now().In(time.FixedZone("GMT+8", 8*3600)).Format("20060102") }

// API v2, download bill: ALL, SUCCESS and REFUND, with what either API did.
func TestTheBillOfADayHasWhatWasPaidAndGivenBack(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{StatementsAtOnce: true}}, func(t *testing.T, c *tillV2) {
		c.fetch()
		f := payment("A1", CodeFor("pays-at-once", 1))
		f["body"], f["device_info"] = "Soup, hot", "T1"
		require.Equal(t, "SUCCESS", c.ask("/pay/micropay", f).word())
		c.mustPlay("A2", "password-pays")
		c.play2("A3", "pays-at-once")
		c.play2("A4", "no-money")
		c.play2("A5", "password-never")
		time.Sleep(15 * time.Second)
		refund := c.refund2("A1", "R1", 250).f["refund_id"]
		c.reverse2("A3")
		time.Sleep(6 * time.Second)

		columns, rows, sums := billRows(t, c.bill2(dayV2(), "", "").body)
		require.Len(t, rows, 5)
		seen := []string{}
		for _, row := range rows {
			require.Len(t, row, len(columns))
			seen = append(seen, strings.Join([]string{row[6], row[9], row[12], row[16]}, " "))
		}
		assert.Equal(t, []string{"A1 SUCCESS 12.50 0.00", "A3 SUCCESS 12.50 0.00", "A2 SUCCESS 12.50 0.00", "A1 REFUND 0.00 2.50", "A3 REVOKED 0.00 12.50"}, seen)
		first := rows[0]
		assert.Equal(t, "wx2421b1c4370ec43b 10000100 20000100 T1", strings.Join(first[1:5], " "))
		assert.Equal(t, "MICROPAY SUCCESS CCB_DEBIT HKD 12.50 0.00 0 0 0.00 0.00   Soup, hot TAG00001 0.07500 0.60% 12.50 0.00 ", strings.Join(first[8:], " "))
		assert.Equal(t, refund+" R1 2.50 0.00 ORIGINAL SUCCESS", strings.Join(rows[3][14:20], " "))
		assert.Equal(t, []string{"5.0", "37.5", "15.0", "0.0", "0.135", "37.5", "15.0"}, sums)

		_, rows, sums = billRows(t, c.bill2(dayV2(), "SUCCESS", "").body)
		assert.Len(t, rows, 3)
		assert.Equal(t, "3.0", sums[0])
		columns, rows, _ = billRows(t, c.bill2(dayV2(), "REFUND", "").body)
		require.Len(t, rows, 1)
		assert.Len(t, rows[0], len(columns))
		assert.Equal(t, "退款申请时间,退款成功时间", strings.Join(columns[14:16], ","))
		assert.Equal(t, "No Bill Exist", c.bill2(dayV2(), "RECHARGE_REFUND", "").f["return_msg"])
	})
}

// API v2, download bill: tar_type GZIP.
func TestABillIsPackedWhenAskedFor(t *testing.T) {
	townV2(t, Config{Behaviour: Behaviour{StatementsAtOnce: true}}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "pays-at-once")
		a := c.bill2(dayV2(), "ALL", "GZIP")
		assert.Empty(t, a.header.Get("Content-Encoding"), "the file is packed, not the answer")
		z, err := gzip.NewReader(strings.NewReader(a.body))
		require.NoError(t, err)
		text, err := io.ReadAll(z)
		require.NoError(t, err)
		assert.Equal(t, c.bill2(dayV2(), "ALL", "").body, string(text))
	})
}

// API v2, download bill: XML where there is none; the bill of a day is there from 10:00 on the next, GMT+8.
func TestThereIsNoBillBeforeTheNextMorning(t *testing.T) {
	townV2(t, Config{}, func(t *testing.T, c *tillV2) {
		c.play2("A1", "pays-at-once")
		day := dayV2()
		a := c.bill2(day, "ALL", "GZIP")
		assert.Equal(t, "FAIL No Bill Exist 20002", a.f["return_code"]+" "+a.f["return_msg"]+" "+a.f["error_code"])
		assert.NotContains(t, a.f, "sign")
		midnight, err := time.ParseInLocation("20060102", day, time.FixedZone("GMT+8", 8*3600))
		require.NoError(t, err)
		time.Sleep(time.Until(midnight.Add(34*time.Hour - time.Second)))
		assert.Equal(t, "No Bill Exist", c.bill2(day, "ALL", "").f["return_msg"])
		time.Sleep(time.Second)
		_, rows, _ := billRows(t, c.bill2(day, "ALL", "").body)
		assert.Len(t, rows, 1)
		assert.Equal(t, "No Bill Exist", c.bill2(midnight.AddDate(0, 0, -1).Format("20060102"), "ALL", "").f["return_msg"])
		assert.Equal(t, "DENIED PARAM_ERROR", c.bill2("20251340", "ALL", "").word())
		assert.Equal(t, "DENIED PARAM_ERROR", c.bill2("2025-1-1", "ALL", "").word())
		assert.Equal(t, "DENIED PARAM_ERROR", c.bill2(day, "SOME", "").word())
		assert.Equal(t, "DENIED LACK_PARAMS", c.bill2("", "ALL", "").word())
	})
}

func TestOutsideBillHasTheFormThatIsPrintedHere(t *testing.T) {
	var file struct {
		CSV string `json:"csv_base64"`
	}
	outside(t, "bill_v2.json", &file)
	text, err := base64.StdEncoding.DecodeString(file.CSV)
	require.NoError(t, err)
	columns, rows, sums := billRows(t, string(text))
	assert.Equal(t, billColumns("ALL"), columns)
	assert.Len(t, sums, len(summaryColumns))
	for _, row := range rows {
		ours := statementRow{order: &order{account: &account{}, currency: "CNY"}}.billValues("ALL")
		require.Len(t, row, len(ours))
		for _, i := range []int{12, 13, 16, 17, 22, 24, 25} {
			assert.Equal(t, len(row[i])-strings.Index(row[i], "."), len(ours[i])-strings.Index(ours[i], "."), "the decimals of %s", columns[i])
		}
	}
}
