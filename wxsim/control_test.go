package wxsim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnotherProcessReadsTheBooksAndMakesThingsGoWrong(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		control := c.sim.Control()
		ask := func(method, path, body string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			control.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
			return w
		}
		assert.Equal(t, 204, ask("POST", "/faults", `{"on":"query","kind":"html-page","times":-1}`).Code)
		assert.Equal(t, 502, c.query("A1").status)
		assert.Equal(t, 204, ask("DELETE", "/faults", "").Code)
		assert.Equal(t, 404, c.query("A1").status)
		assert.Equal(t, 204, ask("POST", "/orders", `{"out_trade_no":"A1","attach":"OTHER","state":"NOTPAY"}`).Code)
		assert.Equal(t, "NOTPAY", c.state("A1"))
		assert.Equal(t, 204, ask("POST", "/clock", `{"offset":600000000000}`).Code)
		assert.Equal(t, 401, c.query("A1").status)
		assert.Equal(t, 204, ask("POST", "/clock", `{}`).Code)
		assert.Equal(t, 204, ask("POST", "/network", `{"up":false}`).Code)
		_, err := c.do(Query, "A1")
		assert.Error(t, err)
		assert.Equal(t, 204, ask("POST", "/network", `{"up":true,"dead":true}`).Code)

		assert.Equal(t, 204, ask("POST", "/orders", `{"out_trade_no":"A2","total":1250}`).Code)
		assert.Equal(t, 204, ask("POST", "/refunds", `{"out_trade_no":"A2","amount":250}`).Code)
		assert.Equal(t, int64(1000), c.line("A2").Held)
		assert.Equal(t, 204, ask("POST", "/keys", `{"add_certificate":true,"use_certificate":true,"drop_certificates":true,"move_public_key":50}`).Code)
		assert.Error(t, c.query("A2").trust, "another certificate signs")
		assert.Equal(t, 204, ask("POST", "/keys", `{"public_key_only":true}`).Code)
		assert.Equal(t, 404, c.must("GET", "/v3/global/certificates", "").status)
		assert.Equal(t, 400, ask("POST", "/probe", `{"url":"https://shop.test/refunds"}`).Code, "nothing leaves this machine")

		for path, body := range map[string]string{"/refunds": `{"out_trade_no":"A2","amount":1001}`, "/keys": `{"key":1}`, "/probe": `{}`, "/faults": `{"kind":"flood"}`, "/orders": `{"out_trade_no":"A1"}`, "/clock": `{"offest":1}`, "/network": `down`} {
			assert.Equal(t, 400, ask("POST", path, body).Code, path)
		}
		var books Books
		require.NoError(t, json.Unmarshal(ask("GET", "/books", "").Body.Bytes(), &books))
		line, found := books.Order("A1")
		assert.True(t, found && line.Foreign && line.State == NotPay)
		var table []Scenario
		require.NoError(t, json.Unmarshal(ask("GET", "/scenarios", "").Body.Bytes(), &table))
		assert.Equal(t, Scenarios(), table)
	})
}

// The handler alone, for a server of the caller's own, plays the same faults as far as net/http lets it.
func TestTheHandlerAnswersThroughNetHTTP(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	c := newCaller(t, sim, server.URL, nil)
	c.web = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	c.fetch()
	assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
	assert.Equal(t, "403 NOT_ENOUGH", whatCame(c.mustPlay("A2", "no-money"), nil))
	for _, scenario := range []string{"answer-lost", "truncated"} {
		_, err := c.play("A-"+scenario, scenario)
		assert.Error(t, err, scenario)
		assert.Equal(t, "SUCCESS", c.state("A-"+scenario))
	}
	assert.Error(t, c.mustPlay("A3", "duplicate-headers").trust)
	sim.Close()
	_, err = c.play("A4", "dead-link")
	assert.Error(t, err)
}
