package v2

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

func TestTheFirstRoundTripAsksForAnOrderThatCannotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told told
		g := newGateway(t)
		config := testConfig(t, g, newPipes(g, firstHost).dial, firstHost)
		config.OnCondition = told.hear
		c := newClient(t, config)
		assert.False(t, c.Verified())
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		assert.True(t, c.Verified())
		assert.NotNil(t, told.stands(wxclient.RoundTripVerified))
		assert.Regexp(t, `^PROBE-[0-9A-Z]{26}$`, g.last().with["out_trade_no"])
		_, err := payflow.ParseOutTradeNo(g.last().with["out_trade_no"])
		assert.Error(t, err, "no order of ours has such a number")
		assert.LessOrEqual(t, len(g.last().with["out_trade_no"]), 32)
	})
}

func TestTheFirstRoundTripSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		reply reply
		want  string
		ours  bool // it will not pass by itself
	}{
		"another API key":  {refusal("ORDERNOTEXIST").sealed("another key"), "check api_key", true},
		"return_code FAIL": {reply{raw: "<xml><return_code>FAIL</return_code><return_msg>签名错误</return_msg></xml>"}, "签名错误", true},
		"unsigned":         {refusal("ORDERNOTEXIST").sealed("none"), "carries no sign", true},
		"a login page":     {reply{raw: "<html>"}, "look for a login page", true},
		"no rights":        {refusal("NOAUTH"), "refuses this merchant", true},
		"down":             {reply{status: 503}, "asked again by itself", false},
		"a fault":          {refusal("SYSTEMERROR"), "asked again by itself", false},
		"silent":           {reply{hang: true}, "asked again by itself", false},
		"an order after all": {reply{with: map[string]string{"result_code": "SUCCESS", "trade_state": "SUCCESS", "out_trade_no": "X"}},
			"asked again by itself", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				g := newGateway(t)
				config := testConfig(t, g, newPipes(g, firstHost).dial, firstHost)
				config.OnCondition = told.hear
				client := newClient(t, config)
				g.always(c.reply)
				err := client.FirstRoundTrip(t.Context())
				require.ErrorContains(t, err, c.want)
				assert.Equal(t, c.ours, told.stands(wxclient.ConfigurationRefused) != nil)
				if name != "a fault" && name != "an order after all" { // their sign is good
					assert.False(t, client.Verified())
				}
				g.always(refusal("ORDERNOTEXIST"))
				require.NoError(t, client.FirstRoundTrip(t.Context()))
				assert.Nil(t, told.stands(wxclient.ConfigurationRefused))
			})
		})
	}
}

func TestTheFirstRoundTripExplainsAMissingNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost)
		network.set(firstHost, "refuse")
		var told told
		config := testConfig(t, g, network.dial, firstHost)
		config.OnCondition = told.hear
		err := newClient(t, config).FirstRoundTrip(t.Context())
		require.ErrorContains(t, err, "no connection to WeChat Pay; look at the network cable")
		assert.NotNil(t, told.stands(wxclient.GatewayUnreachable))
		assert.Nil(t, told.stands(wxclient.ConfigurationRefused))
	})
}

// running returns a gateway, its network, and a client whose Run goes on until the test ends.
func running(t *testing.T, hosts ...string) (*gateway, *pipes, *Client, *told) {
	g := newGateway(t)
	network := newPipes(g, hosts...)
	told := &told{}
	config := testConfig(t, g, network.dial, hosts...)
	config.OnCondition = told.hear
	c := newClient(t, config)
	done := make(chan struct{})
	go func() { defer close(done); c.Run(t.Context()) }()
	t.Cleanup(func() { c.Close(); <-done })
	synctest.Wait()
	return g, network, c, told
}

func TestRunTriesUntilARoundTripIsVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, network, c, _ := running(t, firstHost)
		assert.True(t, c.Verified())
		before := g.count(queryPath)
		time.Sleep(59 * time.Minute)
		assert.Equal(t, before, g.count(queryPath))
		time.Sleep(2 * time.Minute)
		assert.Equal(t, before+1, g.count(queryPath), "and once an hour")

		network.set(firstHost, "refuse")
		time.Sleep(61 * time.Minute)
		assert.False(t, c.LinkUp())
		network.set(firstHost, "")
		time.Sleep(time.Minute)
		assert.True(t, c.LinkUp())
	})
}

func TestARefusedSetUpIsAskedForAgainWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _, told := running(t, firstHost)
		g.always(refusal("NOAUTH"))
		time.Sleep(61 * time.Minute)
		require.NotNil(t, told.stands(wxclient.ConfigurationRefused))
		before := g.count(queryPath)
		time.Sleep(10 * time.Minute)
		assert.InDelta(t, 20, g.count(queryPath)-before, 2, "each 30 s")
		g.always(refusal("ORDERNOTEXIST"))
		time.Sleep(time.Minute)
		assert.Nil(t, told.stands(wxclient.ConfigurationRefused))
	})
}

func TestKeepWarmProbesWhileAPaymentIsArmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, c, told := running(t, firstHost)
		before := g.count(queryPath)
		c.KeepWarm(true)
		time.Sleep(1900 * time.Millisecond)
		assert.Equal(t, before, g.count(queryPath), "nothing is asked right after arming")
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 5, g.count(queryPath)-before, 1)
		g.setMute(true) // a link that some box keeps alive, and carries nothing
		time.Sleep(6 * time.Second)
		assert.False(t, c.LinkUp())
		assert.NotNil(t, told.stands(wxclient.LinkDown))
		g.setMute(false)
		time.Sleep(10 * time.Second)
		assert.True(t, c.LinkUp())
		assert.Nil(t, told.stands(wxclient.LinkDown))
	})
}

func TestAHostThatWasSetAsideIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, network, c, _ := running(t, firstHost, secondHost)
		time.Sleep(30 * time.Second) // idle connections have ended
		network.set(firstHost, "refuse")
		_, err := c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, secondHost, c.State().Host)
		assert.Equal(t, []string{firstHost}, c.State().HostsAside)
		network.set(firstHost, "")
		time.Sleep(2 * time.Minute)
		network.set(secondHost, "refuse")
		_, err = c.Query(t.Context(), testOrder())
		require.NoError(t, err)
		assert.Equal(t, firstHost, c.State().Host)
	})
}

// TestTheClockIsComparedAndNotCorrected: no time in API v2 is signed.
func TestTheClockIsComparedAndNotCorrected(t *testing.T) {
	for _, off := range []time.Duration{0, 90 * time.Second, 10 * time.Minute, -10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var told told
			g := newGateway(t)
			config := testConfig(t, g, newPipes(g, firstHost).dial, firstHost)
			config.OnCondition = told.hear
			dated := refusal("ORDERNOTEXIST")
			dated.header = map[string]string{"Date": time.Now().Add(off).UTC().Format(http.TimeFormat)}
			c := newClient(t, config)
			assert.False(t, c.State().ClockKnown)
			g.always(dated.sealed("forged"))
			_ = c.FirstRoundTrip(t.Context())
			assert.False(t, c.State().ClockKnown, "the answer must be verified")

			g.always(dated)
			require.NoError(t, c.FirstRoundTrip(t.Context()))
			s := c.State()
			assert.True(t, s.ClockKnown)
			assert.False(t, s.ClockCorrected)
			assert.InDelta(t, off, s.ClockOffset, float64(time.Second))
			assert.Equal(t, time.Now(), c.Now())
			stands := told.stands(wxclient.ClockOff)
			assert.Equal(t, off != 0, stands != nil)
			if stands != nil {
				assert.Equal(t, off.Abs() >= 240*time.Second, stands.Red)
			}
			g.always(paid(testOrder(), ""))
			_, err := c.Pay(t.Context(), testOrder(), testAuthCode(t), gone())
			assert.NoError(t, err, "payments go on: nothing that is sent holds a time")
		})
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	// The bubble fails when a goroutine is left over.
	synctest.Test(t, func(t *testing.T) {
		g, _, c, _ := running(t, firstHost)
		c.KeepWarm(true)
		g.always(reply{hang: true})
		for range 3 {
			go func() { _, _ = c.Query(context.Background(), testOrder()) }()
			go func() { _, _ = c.Reverse(context.Background(), testOrder()) }()
			go func() { _, _ = c.Pay(context.Background(), testOrder(), testAuthCode(t), gone()) }()
			go func() { _, _ = c.Pay(t.Context(), testOrder(), testAuthCode(t), make(chan struct{})) }()
		}
		synctest.Wait()
		c.Close()
		assert.Error(t, c.FirstRoundTrip(t.Context()))
	})
}

// No payment is to be started that could not be taken back: that a certificate is not taken must be known before the first sale.
func TestARefusedCertificateIsKnownBeforeTheFirstSale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told told
		g, c := inTown(t, func(config *Config) { config.OnCondition = told.hear })
		taken := false
		var mu sync.Mutex // guards taken
		g.script(func(a arrival) reply {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case !strings.HasSuffix(a.path, reversePath):
				return refusal("ORDERNOTEXIST")
			case !taken:
				return reply{status: 400, raw: "<html>400 The SSL certificate error</html>"}
			}
			return refusal("SYSTEMERROR") // it says nothing, and it was let in
		})
		done := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() { defer close(done); c.Run(ctx) }()
		time.Sleep(time.Second)
		assert.True(t, c.Verified())
		assert.NotNil(t, told.stands(CertificateRefused))

		mu.Lock()
		taken = true
		mu.Unlock()
		time.Sleep(time.Minute)
		assert.Nil(t, told.stands(CertificateRefused))
		tried := g.count(reversePath)
		time.Sleep(90 * time.Minute)
		assert.Equal(t, tried, g.count(reversePath), "one that is taken is not tried again")

		certificate := testConfig(t, g, nil, firstHost).Certificate
		require.NoError(t, c.UseCertificate(certificate))
		time.Sleep(time.Minute)
		assert.LessOrEqual(t, g.count(reversePath), tried+1)
		stop()
		<-done
	})
}
