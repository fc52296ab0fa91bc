package wxclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// settlementsJSON is a page of payouts; each is numbered.
func settlementsJSON(offset, count, total int) string {
	var data []string
	for i := offset; i < offset+count; i++ {
		data = append(data, fmt.Sprintf(`{"amount":{"settled":%d,"fee":1,"pay":120,"currency":"HKD","net":118,"unsettle":7,"refund":2},"settlement_date":"20221225",
			"batch_id":"2022122500%d","wallet_region":"CHINA_HONGKONG","trade_start_date":"20221224","trade_end_date":"20221225"}`, i, i))
	}
	return fmt.Sprintf(`{"data":[%s],"offset":%d,"total_count":%d,"limit":%d}`, strings.Join(data, ","), offset, total, count)
}

// The call of the document: "Query Settlement API".
func TestSettlementsAsThePublishedExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.Merchant.SubMerchantID = "100012321"
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		g.script(func(r *http.Request, _ string) reply {
			offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
			return reply{status: 200, body: settlementsJSON(offset, min(5, 17-offset), 17)}
		})
		got, total, err := c.Settlements(t.Context(), SettlementQuery{Settled: true, From: "20221225", To: "20221226", Offset: 10, Limit: 5})
		require.NoError(t, err)
		assert.Equal(t, 17, total)
		require.Len(t, got, 7)
		hkd := func(minor int64) payflow.Amount { return payflow.Amount{Minor: minor, Currency: "HKD"} }
		assert.Equal(t, payflow.Settlement{BatchID: "202212250016", Settled: true, Date: "20221225", TradesFrom: "20221224", TradesTo: "20221225",
			WalletRegion: "CHINA_HONGKONG", Payout: hkd(16), Pay: hkd(120), Refund: hkd(2), Net: hkd(118), Fee: hkd(1)}, got[6])
		assert.Equal(t, 1, g.count("GET /v3/global/settle/settlements?sub_mchid=100012321&settle_state=SETTLED&settle_start_date=20221225&settle_end_date=20221226&offset=10&limit=5"))
		assert.Equal(t, 1, g.count("&offset=15&limit=5"))

		g.always(reply{status: 200, body: settlementsJSON(0, 1, 1)})
		got, _, err = c.Settlements(t.Context(), SettlementQuery{})
		require.NoError(t, err)
		assert.Equal(t, hkd(7), got[0].Payout, "what is not paid out yet")
		assert.False(t, got[0].Settled)
		assert.Equal(t, 1, g.count("settle_state=UNSETTLE&offset=0&limit=20"))
		g.always(reply{status: 200, body: `{"total_count":0,"offset":0,"limit":20}`})
		got, total, err = c.Settlements(t.Context(), SettlementQuery{})
		require.NoError(t, err)
		assert.Empty(t, got)
		assert.Zero(t, total)
	})
}

func TestSettlementsThatAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		for name, p := range map[string]reply{
			"unsigned": {status: 200, body: settlementsJSON(0, 1, 1), seal: "none"}, "forged": {status: 200, body: settlementsJSON(0, 1, 1), seal: "forged"},
			"refused": {status: 403, body: `{"code":"NO_AUTH"}`}, "a fault": {status: 500}, "not JSON": {status: 200, body: "<html>"},
			"an empty page": {status: 200, body: settlementsJSON(0, 0, 3)}, "more than it says": {status: 200, body: settlementsJSON(0, 2, 1)},
			"too many": {status: 200, body: settlementsJSON(0, 1, settlementsMax+1)}, "a strange currency": {status: 200, body: strings.Replace(settlementsJSON(0, 1, 1), "HKD", "XXX", 1)},
			"a broken amount": {status: 200, body: strings.Replace(settlementsJSON(0, 1, 1), `"pay":120`, `"pay":1.5`, 1)},
		} {
			g.always(p)
			got, _, err := c.Settlements(t.Context(), SettlementQuery{Settled: true})
			assert.Empty(t, got, name)
			lostOf(t, err)
			assert.ErrorContains(t, err, "query settlements: ", name)
		}
		before := g.count("/settlements")
		for _, q := range []SettlementQuery{{From: "20221225"}, {From: "2022-12-25", To: "2022-12-26"}, {Offset: -1}, {Limit: 21}} {
			_, _, err := c.Settlements(t.Context(), q)
			assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason)
		}
		assert.Equal(t, before, g.count("/settlements"))
	})
}

func TestSettlementSampleOfTheDocuments(t *testing.T) {
	skipWithoutVectors(t)
	var file struct{ Samples map[string]json.RawMessage }
	vectors(t, "global_v3_samples.json", &file)
	body := file.Samples["ModelSamples/Global/_Partner/Transactions/Settlements/QuerySettlementsResponse.json"]
	page, err := readSettlements(answer{status: 200, body: body})
	require.NoError(t, err)
	assert.Equal(t, 1234, page.TotalCount)
	require.Len(t, page.settlements(true), 2)
	assert.Equal(t, payflow.Amount{Minor: 123, Currency: "HKD"}, page.settlements(true)[1].Payout)
	assert.Equal(t, "20091225003", page.settlements(true)[1].BatchID)
}

func FuzzReadSettlements(f *testing.F) {
	f.Add(200, []byte(settlementsJSON(0, 2, 2)))
	f.Add(403, []byte(`{"code":"NO_AUTH"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		page, err := readSettlements(answer{status: status, body: body})
		if err == nil && (len(page.settlements(true)) > page.TotalCount || page.TotalCount > settlementsMax) {
			t.Fatalf("%+v", page)
		}
	})
}
