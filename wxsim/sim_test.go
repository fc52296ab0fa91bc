package wxsim

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPaymentGoesThroughOverTLSOnLoopback(t *testing.T) {
	sim, err := New(Config{Keys: testKeys()})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("")
	require.NoError(t, err)
	c := newCaller(t, sim, url, (&net.Dialer{}).DialContext)
	defer c.web.CloseIdleConnections()

	assert.NoError(t, c.fetch().trust)
	a, err := c.pay("A1", realCode)
	require.NoError(t, err)
	assert.NoError(t, a.trust)
	assert.Equal(t, 200, a.status, string(a.body))
	assert.Equal(t, "SUCCESS", a.text("trade_state"))
	assert.Equal(t, "SUCCESS", c.state("A1"))
	assert.Equal(t, 400, c.reverse("A1").status, "sooner than 15 s")
	assert.Equal(t, int64(1250), c.line("A1").Held)
}

func TestAPaymentGoesThroughInABubble(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		assert.NoError(t, c.fetch().trust)
		a, err := c.pay("A1", realCode)
		require.NoError(t, err)
		assert.NoError(t, a.trust)
		assert.Equal(t, "SUCCESS", a.text("trade_state"), string(a.body))
	})
}
