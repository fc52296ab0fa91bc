package wxsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The books stand for no document: they are what a till's journal is compared with.

func TestTheBooksTellAnOrdersWholeStory(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "password-pays")
		time.Sleep(16 * time.Second)
		c.state("A1")
		c.reverse("A1")
		line := c.line("A1")
		assert.Equal(t, "10000100 A1 TAG00001 HKD password-pays 0101", fmt.Sprint(line.MerchantID, " ", line.Number, " ", line.Attach, " ", line.Currency, " ", line.Scenario, " ", line.CodeTail))
		assert.Equal(t, []Call{Pay, Query, Reverse}, []Call{line.Arrivals[0].Call, line.Arrivals[1].Call, line.Arrivals[2].Call})
		assert.Equal(t, []int{202, 200, 204}, []int{line.Arrivals[0].Status, line.Arrivals[1].Status, line.Arrivals[2].Status})
		assert.Equal(t, 6*time.Second, line.Paid.Sub(line.Created))
		assert.Equal(t, 16*time.Second, line.Ended.Sub(line.Created))
		_, found := c.sim.Books().Order("A9")
		assert.False(t, found)
	})
}

func TestTheBooksHoldNoPaymentCode(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		_, err := c.pay("A1", realCode)
		require.NoError(t, err)
		_, err = c.pay("A2", realCode)
		require.NoError(t, err)
		text, err := json.Marshal(c.sim.Books())
		require.NoError(t, err)
		assert.NotContains(t, string(text), realCode)
		assert.NotContains(t, string(text), realCode[2:14])
	})
}

func TestHeadersThatMakeATransportSendTwiceAreWrittenDown(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		assert.Equal(t, 0, c.sim.Carried("Idempotency-Key"))
		assert.Empty(t, c.violations())
		c.before = func(r *http.Request) { r.Header.Set("idempotency-key", "x") }
		c.query("A1")
		assert.Equal(t, 1, c.sim.Carried("Idempotency-Key"))
		assert.Equal(t, 3, c.sim.Carried("Authorization"))
		assert.Equal(t, []string{"a request carried Idempotency-Key"}, c.violations())
	})
}

func TestAnothersOrderStandsUnderANumber(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		require.NoError(t, c.sim.Place(Foreign{Number: "A1", Attach: "OTHERTILL"}))
		require.NoError(t, c.sim.Place(Foreign{Number: "A2", Attach: "OTHERTILL", State: NotPay, Total: 1250}))
		require.NoError(t, c.sim.Place(Foreign{Number: "A3", State: Refunded}))
		require.Error(t, c.sim.Place(Foreign{Number: "A1"}))
		require.Error(t, c.sim.Place(Foreign{Number: "no number"}))
		require.Error(t, c.sim.Place(Foreign{Number: "A4", MerchantID: "1"}))
		assert.Equal(t, "403 ORDER_PAID", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		assert.Equal(t, "403 OUT_TRADE_NO_USED", whatCame(c.mustPlay("A2", "pays-at-once"), nil))
		assert.Equal(t, "403 ORDER_PAID", whatCame(c.mustPlay("A3", "pays-at-once"), nil))
		assert.Equal(t, "OTHERTILL", c.query("A1").text("attach"))
		assert.Equal(t, "REFUND", c.state("A3"))
		assert.True(t, c.line("A1").Foreign)
		assert.Empty(t, c.violations(), "a till cannot know of another's order")
		time.Sleep(15 * time.Second)
		assert.Equal(t, 204, c.reverse("A1").status, "WeChat Pay knows of no tills")
		assert.Equal(t, []string{"reversed another till's order"}, c.violations())
	})
}

func TestOnlySoManyOrdersAreKept(t *testing.T) {
	town(t, Config{OrdersMax: 3}, func(t *testing.T, c *caller) {
		c.fetch()
		first := c.mustPlay("A0", "pays-at-once")
		for i := 1; i < 5; i++ {
			c.mustPlay(fmt.Sprint("A", i), "pays-at-once")
		}
		assert.Len(t, c.sim.Books().Orders, 3)
		assert.Equal(t, "ORDER_NOT_EXIST", c.must("GET", "/v3/global/transactions/id/"+first.text("id")+"?"+c.ids(), "").text("code"))
	})
}

func TestManyTillsAtOnceAreAllServed(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("")
	require.NoError(t, err)
	var tills sync.WaitGroup
	for i := range 8 {
		tills.Go(func() {
			c := newCaller(t, sim, url, nil)
			defer c.web.CloseIdleConnections()
			c.fetch()
			c.counter = i * 1000
			for n := range 5 {
				number := fmt.Sprintf("T%dN%d", i, n)
				assert.Equal(t, "200 SUCCESS", whatCame(c.play(number, "pays-at-once")))
				assert.Equal(t, "SUCCESS", c.state(number))
				sim.Books()
			}
		})
	}
	tills.Wait()
	books := sim.Books()
	assert.Len(t, books.Orders, 40)
	assert.Empty(t, books.Violations)
	for _, o := range books.Orders {
		assert.Equal(t, 1, o.Charged)
		assert.Equal(t, 1, o.PayWhole)
	}
}
