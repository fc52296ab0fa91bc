package wxsim

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statement asks for a day's file and verifies what the PHP SDK verifies: the signature over the digest's JSON, then the digest.
func (c *caller) statement(date string) answer {
	c.t.Helper()
	a := c.must("GET", "/v3/global/statements?date="+date+"&"+c.ids(), "")
	if a.status != http.StatusOK {
		return a
	}
	plain := a.body
	if a.header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(a.body))
		require.NoError(c.t, err)
		plain, err = io.ReadAll(z)
		require.NoError(c.t, err)
	}
	named := a.header.Get("Wechatpay-Statement-Sha1")
	if sum := sha1.Sum(plain); hex.EncodeToString(sum[:]) != named {
		a.trust = fmt.Errorf("the digest is %s", named)
	}
	a.body = plain
	return a
}

// rows splits a file: its header, its rows by column, and the summary.
func rows(t *testing.T, file []byte) (header []string, all [][]string, sums []string) {
	t.Helper()
	text, marked := strings.CutPrefix(string(file), "\ufeff")
	require.True(t, marked, "a byte order mark")
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	split := func(line string) []string {
		require.True(t, strings.HasPrefix(line, "`"), line)
		return strings.Split(line[1:], ",`")
	}
	for _, line := range lines[1 : len(lines)-2] {
		all = append(all, split(line))
	}
	return strings.Split(lines[0], ","), all, split(lines[len(lines)-1])
}

func today() string { return chinaTime(time.Now()).Format("20060102") }

// Downloading reconciliation (4012356934): 38 columns in the page's order, amounts in major units, a refund that is on its way is
// listed as accepted, an order that was taken back after it was paid is listed too.
func TestAStatementTellsOfTheDaysPaymentsRefundsAndReverses(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{StatementsAtOnce: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		assert.Equal(t, "400 NO_STATEMENT_EXIST", whatCame(c.statement(today()), nil), "no trade yet")
		paid := c.mustPlay("A1", "pays-at-once")
		c.mustPlay("A2", "no-money")
		c.mustPlay("A3", "password-never")
		c.mustPlay("A4", "pays-at-once")
		time.Sleep(15 * time.Second)
		require.Equal(t, 204, c.reverse("A4").status)
		c.refund("A1", "R1", 250)
		time.Sleep(5 * time.Second)
		c.refund("A1", "R2", 5)

		a := c.statement(today())
		require.Equal(t, 200, a.status, string(a.body))
		assert.NoError(t, a.trust)
		assert.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
		header, all, sums := rows(t, a.body)
		assert.Len(t, header, 38)
		require.Len(t, all, 5)
		got := map[string][]string{}
		for _, row := range all {
			require.Len(t, row, 38)
			byName := map[string]string{}
			for i, name := range header {
				byName[name] = row[i]
			}
			key := byName["Vendor order No."] + " " + byName["Transaction status"] + " " + byName["Merchant refund No."]
			got[key] = []string{byName["Order amount (priced currency)"], byName["Requested refund amount"], byName["Refund status"], byName["Service fee"]}
			assert.Equal(t, "10000100 20000100 HKD MICROPAY", strings.Join([]string{byName["Vendor ID"], byName["Sub vendor ID"], byName["Priced currency"], byName["Transaction type"]}, " "))
		}
		assert.Equal(t, map[string][]string{
			"A1 SUCCESS 0":  {"12.50", "0.00", "", "0.07500"},
			"A1 REFUND R1":  {"0.00", "2.50", "SUCCESS", "-0.01500"},
			"A1 REFUND R2":  {"0.00", "0.05", "PROCESSING", "-0.00030"},
			"A4 SUCCESS 0":  {"12.50", "0.00", "", "0.07500"},
			"A4 REVOKED A4": {"0.00", "12.50", "SUCCESS", "-0.07500"},
		}, got)
		assert.Equal(t, []string{"5.0", "25.00", "15.05", "0.0", "0.05970", "25.00", "15.05"}, sums)
		first := all[0]
		assert.Equal(t, []string{c.line("A1").TransactionID, "A1"}, first[5:7])
		assert.Equal(t, "Image Store - QQ Doll,TAG00001", strings.Join(first[19:21], ","))
		at, err := time.Parse(time.RFC3339, paid.text("success_time"))
		require.NoError(t, err)
		assert.Equal(t, at.Format("2006-01-02 15:04:05"), first[0])
	})
}

// Downloading reconciliation: signed is {"sha1":"…"}, and the file is packed for whoever asks for it.
func TestAStatementIsPackedForWhoeverAsks(t *testing.T) {
	town(t, Config{Behaviour: Behaviour{StatementsAtOnce: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		plain := c.statement(today())
		assert.Empty(t, plain.header.Get("Content-Encoding"))
		c.before = func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }
		packed := c.statement(today())
		assert.Equal(t, "gzip", packed.header.Get("Content-Encoding"))
		assert.NoError(t, packed.trust)
		assert.Equal(t, plain.body, packed.body)
		assert.Regexp(t, "^[0-9a-f]{40}$", packed.header.Get("Wechatpay-Statement-Sha1"))
	})
}

// The page's sample of the digest is a long base64 text; and a digest may not fit.
func TestAStatementsDigestCanBeOddOrWrong(t *testing.T) {
	for digest, form := range map[Digest]string{DigestOdd: "^[0-9A-Za-z+/]{80}$", DigestWrong: "^0{40}$"} {
		town(t, Config{Behaviour: Behaviour{StatementsAtOnce: true, StatementDigest: digest}}, func(t *testing.T, c *caller) {
			c.fetch()
			c.mustPlay("A1", "pays-at-once")
			a := c.statement(today())
			named := a.header.Get("Wechatpay-Statement-Sha1")
			assert.Regexp(t, form, named)
			assert.Error(t, a.trust)
			assert.NoError(t, c.verify(a), "it is signed as it stands")
		})
	}
}

// Reconciliation FAQ: a day goes from midnight to midnight, GMT+8, and its statement is to be had from 10:00 of the next day on;
// for 180 days.
func TestAStatementIsToBeHadFromTheNextMorningOn(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch() // the bubble's time begins at 8:00 of 1 January 2000, GMT+8
		c.mustPlay("A1", "pays-at-once")
		c.refund("A1", "R1", 250)
		time.Sleep(16*time.Hour - time.Minute)
		c.mustPlay("A2", "pays-at-once")
		time.Sleep(time.Minute)
		c.mustPlay("A3", "pays-at-once")
		time.Sleep(10*time.Hour - time.Second)
		assert.Equal(t, "400 NO_STATEMENT_EXIST", whatCame(c.statement("20000101"), nil))
		time.Sleep(time.Second)
		_, all, _ := rows(t, c.statement("20000101").body)
		require.Len(t, all, 3)
		assert.Equal(t, "A1 A1 A2", strings.Join([]string{all[0][6], all[1][6], all[2][6]}, " "))
		assert.Equal(t, "400 NO_STATEMENT_EXIST", whatCame(c.statement("20000102"), nil))
		assert.Equal(t, "400 NO_STATEMENT_EXIST", whatCame(c.statement("19991231"), nil), "no trade")
		for _, bad := range []string{"", "2000-1-1", "20000132"} {
			assert.Equal(t, "400 PARAM_ERROR", whatCame(c.statement(bad), nil), bad)
		}
		time.Sleep(180 * 24 * time.Hour)
		assert.Equal(t, "400 INVALID_REQUEST", whatCame(c.statement("20000101"), nil))
	})
}

// Downloading reconciliation: without sub_mchid, all sub merchants; another merchant's statement is nobody's business.
func TestAStatementIsTheMerchantsOwn(t *testing.T) {
	merchants := []Merchant{{}, {Mode: Direct, MerchantID: "10000200"}}
	town(t, Config{Merchants: merchants, Behaviour: Behaviour{StatementsAtOnce: true, ChineseStatements: true, NoStatementSummary: true}}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		a := c.must("GET", "/v3/global/statements?date="+today()+"&sp_mchid=10000100", "")
		assert.Equal(t, 200, a.status)
		assert.True(t, strings.HasPrefix(string(a.body), "\ufeff交易时间,公众账号ID,商户号,子商户号,"))
		assert.Equal(t, 2, strings.Count(string(a.body), "\r\n"))
		for _, bad := range []string{"mchid=10000200", "sp_mchid=10000200", "sp_mchid=10000100&sub_mchid=20000200", ""} {
			assert.NotEqual(t, 200, c.must("GET", "/v3/global/statements?date="+today()+"&"+bad, "").status, bad)
		}
		var err error
		c.creds, err = c.sim.Credentials("10000200")
		require.NoError(t, err)
		assert.Equal(t, "400 NO_STATEMENT_EXIST", whatCame(c.statement(today()), nil))
		require.Equal(t, 200, c.mustPlay("A1", "pays-at-once").status)
		assert.Contains(t, string(c.statement(today()).body), ",`10000200,`0,")
	})
}

func TestMoneyIsPrintedInMajorUnits(t *testing.T) {
	assert.Equal(t, "12.50 0.05 1250.00", strings.Join([]string{money(1250, "HKD"), money(5, "HKD"), money(1250, "JPY")}, " "))
	assert.Equal(t, "0.07500 -0.00006 7.50000", strings.Join([]string{feeText(7500, "HKD"), feeText(-6, "HKD"), feeText(7500, "KRW")}, " "))
}
