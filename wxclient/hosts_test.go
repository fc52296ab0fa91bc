package wxclient

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func twoHosts(t *testing.T) (*gateway, *pipes, *Client) {
	g := newGateway(t)
	network := newPipes(g, firstHost, secondHost)
	c := newClient(t, testConfig(g, network.dial, firstHost, secondHost))
	require.NoError(t, c.FirstRoundTrip(t.Context()))
	return g, network, c
}

func TestQueryAndReverseChangeHostAtOnce(t *testing.T) {
	for name, p := range map[string]reply{"hung up": {drop: true}, "fault": {status: 500, body: `{"code":"SYSTEM_ERROR"}`}, "bad gateway": {status: 502, body: "<html>", seal: "none"},
		"never answered": {hang: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _, c := twoHosts(t)
				g.script(func(r *http.Request, _ string) reply {
					switch {
					case r.Host == firstHost:
						return p
					case r.Method == http.MethodPost:
						return reply{status: 204}
					}
					return reply{status: 200, body: paidBody(testOrder())}
				})
				start := time.Now()
				outcome, err := c.Query(t.Context(), testOrder())
				require.NoError(t, err)
				assert.Equal(t, payflow.Found, outcome.Kind)
				assert.LessOrEqual(t, time.Since(start), 5*time.Second)
				outcome, err = c.Reverse(t.Context(), testOrder())
				require.NoError(t, err)
				assert.Equal(t, payflow.ReverseDone, outcome.Kind)
				assert.Equal(t, secondHost, c.State().Host, "the host that answered stays in use")
				assert.Equal(t, secondHost, g.hosts[len(g.hosts)-1])
			})
		})
	}
}

func TestAHostSetAsideIsProbedAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, network, c := twoHosts(t)
		done := make(chan struct{})
		go func() { defer close(done); c.Run(t.Context()) }()
		synctest.Wait()
		c.idle.closeAll()
		network.set(firstHost, "refuse")
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, []string{firstHost}, c.State().HostsAside)
		time.Sleep(2 * time.Minute)
		assert.Len(t, c.hosts.due(time.Now().Add(time.Hour)), 1, "it still refuses")
		network.set(firstHost, "")
		before := g.count("certificates")
		time.Sleep(2 * time.Minute)
		assert.Empty(t, c.hosts.due(time.Now().Add(time.Hour)))
		assert.Equal(t, before+1, g.count("certificates"), "one verified answer brings it back")
		assert.Equal(t, secondHost, c.State().Host, "and the one in use stays in use")
		c.Close()
		<-done
	})
}

func TestQueryOnAConnectionThatDiedWhileItWaitedAsksAgainOnTheSameHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		for range 5 {
			for _, l := range c.idle.all {
				l.conn.Conn.Close()
			}
			_, err := c.Query(t.Context(), testOrder())
			require.NoError(t, err)
		}
		assert.Empty(t, c.State().HostsAside)
	})
}

func TestQueryByIDAndReverseByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		g.always(reply{status: 200, body: paidBody(o)})
		outcome, err := c.QueryByID(t.Context(), o, "1008450740201411110005820873")
		require.NoError(t, err)
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, 1, g.count("GET /v3/global/transactions/id/1008450740201411110005820873?sp_mchid=10000100&sub_mchid=20000100"))
		_, err = c.QueryByID(t.Context(), o, "99")
		lostOf(t, err)
		g.always(reply{status: 204})
		outcome, err = c.ReverseByID(t.Context(), o, "1008450740201411110005820873")
		require.NoError(t, err)
		assert.Equal(t, payflow.ReverseDone, outcome.Kind)
		assert.Equal(t, 1, g.count("POST /v3/global/micropay/transactions/id/1008450740201411110005820873/reverse"))
		o.Merchant = payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: "1900000109"}
		_, _ = c.Query(t.Context(), o)
		assert.Equal(t, 1, g.count("GET /v3/global/transactions/out-trade-no/SZTX001T1A1?mchid=1900000109"))
	})
}
