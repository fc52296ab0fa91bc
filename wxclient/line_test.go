package wxclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// bareLine returns a line to the test's gateway, which signs for nobody.
func bareLine(t *testing.T, g *gateway, dial func(context.Context, string, string) (net.Conn, error), hosts ...string) *Line {
	t.Helper()
	config := testConfig(g, dial, hosts...)
	l, err := NewLine(LineConfig{Hosts: config.Hosts, RootCAs: config.RootCAs, Dial: dial, Probe: func() Call { return aCall("probe", nil) }})
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

func aCall(text string, made *int) Call {
	return Call{Name: "call", About: "A1", Target: "/target", ContentType: "text/xml", Body: func() ([]byte, error) {
		if made != nil {
			*made++
		}
		return []byte(text), nil
	}}
}

func TestALineSaysWhatIsWrong(t *testing.T) {
	_, err := NewLine(LineConfig{Hosts: []string{"https://" + firstHost}})
	require.ErrorContains(t, err, "probe")
	_, err = NewLine(LineConfig{Probe: func() Call { return Call{} }})
	require.ErrorContains(t, err, "hosts: 0 are given")
}

func TestALineAsksTheNextHostWithABodyOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost, secondHost)
		l := bareLine(t, g, network.dial, firstHost, secondHost)
		g.always(reply{status: 503, seal: "none"})
		made := 0
		a, err := l.Ask(t.Context(), aCall("<xml/>", &made))
		require.NoError(t, err)
		assert.Equal(t, 503, a.Status)
		assert.Equal(t, 2, made)
		assert.Equal(t, "<xml/>", g.lastBody())
		assert.Equal(t, 2, g.count("POST /target"))

		network.set(firstHost, "refuse")
		network.set(secondHost, "refuse")
		time.Sleep(time.Minute)
		_, err = l.Ask(t.Context(), aCall("", nil))
		assert.ErrorContains(t, NoLink(err), "no connection to WeChat Pay")
		lost := lostOf(t, LostCall("query", payflow.Order{}, err))
		assert.Equal(t, payflow.ReasonNoNetwork, lost.Reason)
		assert.False(t, l.State().LinkUp)
	})
}

func TestALinesWayWritesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		network := newPipes(g, firstHost, secondHost)
		l := bareLine(t, g, network.dial, firstHost, secondHost)
		g.always(reply{drop: true})
		way := l.Way(t.Context())
		_, err := way.Send(t.Context(), aCall("pay", nil))
		way.End()
		require.Error(t, err)
		_, unsent := NotSent(err)
		assert.False(t, unsent)
		assert.Equal(t, 1, g.count("POST /target"))

		network.set(firstHost, "refuse")
		network.set(secondHost, "refuse")
		time.Sleep(time.Minute)
		way = l.Way(t.Context())
		_, err = way.Send(t.Context(), aCall("pay", nil))
		way.End()
		outcome, unsent := NotSent(err)
		assert.True(t, unsent)
		assert.Equal(t, payflow.NotSent, outcome.Kind)
		assert.Equal(t, payflow.ReasonNoNetwork, outcome.Reason)
	})
}

func TestABodyThatCannotBeMadeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		l := bareLine(t, g, newPipes(g, firstHost).dial, firstHost)
		call := aCall("", nil)
		call.Body = func() ([]byte, error) { return nil, errors.New("no key") }
		_, err := l.Ask(t.Context(), call)
		require.ErrorContains(t, err, "no key")
		assert.Zero(t, g.count("POST"))
	})
}

func TestAMutualCallNeedsACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		l := bareLine(t, g, newPipes(g, firstHost).dial, firstHost)
		call := aCall("", nil)
		call.Mutual = true
		_, err := l.Ask(t.Context(), call)
		require.ErrorContains(t, err, "none is given")
		assert.Zero(t, g.count("POST"))
	})
}

func TestALineDownloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		l := bareLine(t, g, newPipes(g, firstHost).dial, firstHost)
		g.always(reply{status: 200, body: "rows", seal: "none"})
		var got []byte
		a, err := l.Download(t.Context(), aCall("", nil), func(_ Answer, plain io.Reader) (err error) {
			got, err = io.ReadAll(plain)
			return err
		})
		require.NoError(t, err)
		assert.Equal(t, 200, a.Status)
		assert.Equal(t, "rows", string(got))
	})
}

func TestAHostIsGoodAgainOnceAProbeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		l := bareLine(t, g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost)
		g.always(reply{drop: true})
		_, err := l.Ask(t.Context(), aCall("", nil))
		require.Error(t, err)
		assert.Equal(t, []string{firstHost, secondHost}, l.State().HostsAside)
		g.always(reply{status: 200, seal: "none"})
		time.Sleep(hostPause)
		asked := 0
		l.Recheck(t.Context(), func(Answer) error { asked++; return errors.New("not verified") })
		assert.Equal(t, 2, asked)
		assert.Len(t, l.State().HostsAside, 2)
		time.Sleep(hostPause)
		l.Recheck(t.Context(), func(Answer) error { return nil })
		assert.Empty(t, l.State().HostsAside)
	})
}

func TestAnAlertIsToldFromABrokenLink(t *testing.T) {
	assert.True(t, TurnedAway(&net.OpError{Op: "remote error", Err: tls.AlertError(42)}))
	assert.False(t, TurnedAway(&net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}))
	assert.False(t, TurnedAway(nil))
}
