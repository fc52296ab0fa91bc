package wxclient

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestVerifyBelievesNothingThatIsNotSignedJustNowAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		o := testOrder()
		for _, seal := range []string{"none", "forged", "stranger", "probe", "twice", "half", "stale"} {
			g.always(reply{status: 200, body: paidBody(o), seal: seal})
			outcome, err := c.Query(t.Context(), o)
			assert.Zero(t, outcome, seal)
			assert.Empty(t, lostOf(t, err).Claim, seal)
			_, err = c.Pay(t.Context(), o, testAuthCode(t), gone())
			lostOf(t, err)
		}
		g.always(reply{status: 200, body: paidBody(o)})
		_, err := c.Query(t.Context(), o)
		require.NoError(t, err)
	})
}

func TestVerifyRefusesAReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{status: 204, nonce: "THESAMENONCE"})
		outcome, err := c.Reverse(t.Context(), testOrder())
		require.NoError(t, err)
		require.Equal(t, payflow.ReverseDone, outcome.Kind)
		_, err = c.Reverse(t.Context(), testOrder())
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason, "a signed 204 names no order: it counts once")
		time.Sleep(10*time.Minute - time.Second)
		_, err = c.Reverse(t.Context(), testOrder())
		require.Error(t, err)
		time.Sleep(2 * time.Second)
		_, err = c.Reverse(t.Context(), testOrder())
		require.NoError(t, err, "forgotten after ten minutes: by then the window refuses the old answer")
	})
}

func TestVerifyWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := inTown(t)
		key := &g.keys["7A"].PublicKey
		h := http.Header{}
		g.seal(h, reply{body: "x"})
		s, err := readSignature(h)
		require.NoError(t, err)
		now := time.Now()
		for off, fine := range map[time.Duration]bool{0: true, 299 * time.Second: true, -299 * time.Second: true, 300 * time.Second: false, -300 * time.Second: false} {
			assert.Equal(t, fine, s.verify(key, []byte("x"), now.Add(off)) == nil, off)
		}
		assert.Error(t, s.verify(key, []byte("y"), now))
	})
}

// inTownRolledOver is a client that has made its first round trip, and a WeChat Pay that signs with a certificate that came after it. It is not handed out yet.
func inTownRolledOver(t *testing.T) (*gateway, *Client) {
	t.Helper()
	g, c := inTown(t)
	time.Sleep(time.Minute)
	g.addPlatform("7B", strangerKey(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	g.signWith("7B")
	return g, c
}

func TestVerifyFetchesAnUnknownSerialOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTownRolledOver(t)
		g.handOut("7A", "7B")
		g.always(reply{status: 200, body: paidBody(testOrder())})

		done := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := c.Query(t.Context(), testOrder())
				done <- err
			}()
		}
		for range 5 {
			assert.NoError(t, <-done)
		}
		assert.Equal(t, 2, g.count("certificates"), "the first round trip, and one refresh for all five")
		assert.Len(t, c.State().Certificates, 2)
	})
}

// Of several answers at once under a new serial, one asks for the certificates. Another may have looked before they came, and ask after.
func TestVerifyLooksAgainWhereAnothersRefreshEndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTownRolledOver(t)
		g.handOut("7A", "7B")
		a := answer{header: http.Header{}, body: []byte("x"), host: c.hosts.all[0], sentAt: time.Now(), gotAt: time.Now()}
		g.seal(a.header, reply{body: "x"})
		require.Equal(t, unknownSerial, distrustOf(c.verifyOnce(a)))

		ctx := &betweenLooks{Context: t.Context(), do: func() { require.NoError(t, c.refresh(t.Context(), false)) }}
		assert.NoError(t, c.verify(ctx, a))
		assert.Nil(t, ctx.do, "the refresh ended between the two looks")
		assert.Equal(t, 2, g.count("certificates"), "the first round trip, and the other's refresh")
	})
}

// betweenLooks is a context that does something when it is first asked for its deadline, which verify does between its two looks.
type betweenLooks struct {
	context.Context
	do func()
}

func (c *betweenLooks) Deadline() (time.Time, bool) {
	if do := c.do; do != nil {
		c.do = nil
		do()
	}
	return c.Context.Deadline()
}

func TestVerifyAsksForAnUnheardOfSerialOnlyNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var told []Condition
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.OnCondition = func(c Condition) { told = append(told, c) }
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		g.always(reply{status: 200, body: paidBody(testOrder()), seal: "stranger"})
		for range 20 {
			_, err := c.Query(t.Context(), testOrder())
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, g.count("certificates"), 3)
		require.NotEmpty(t, told)
		assert.Equal(t, SerialUnknown, told[len(told)-1].Kind)
		assert.Equal(t, "BAD5E41A1", told[len(told)-1].Serial)
	})
}

// An answer that could not be verified when it came, because its certificate was not known yet, is kept back by somebody and sent again once it is.
func TestAnAnswerThatCouldNotBeVerifiedCountsNoLaterEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTownRolledOver(t)
		g.always(reply{status: 200, body: paidBody(testOrder()), nonce: "KEPTBACK"})
		_, err := c.Query(t.Context(), testOrder())
		require.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason, "certificates are handed out without the new one")

		g.handOut("7A", "7B")
		time.Sleep(time.Minute)
		g.always(reply{status: 200, body: paidBody(testOrder())})
		_, err = c.Query(t.Context(), testOrder())
		require.NoError(t, err, "it is known now")
		g.always(reply{status: 200, body: paidBody(testOrder()), nonce: "KEPTBACK"})
		_, err = c.Query(t.Context(), testOrder())
		assert.Equal(t, payflow.ReasonUnverified, lostOf(t, err).Reason)
	})
}

func TestDoubtsAreBoundedAndPushOutNothingThatWasBelieved(t *testing.T) {
	var n nonces
	now := time.Now()
	require.True(t, n.fresh("believed", now, now))
	for i := range 3 * noncesMax {
		n.doubted(strconv.Itoa(i), now)
	}
	assert.Len(t, n.doubts, doubtsMax)
	assert.False(t, n.fresh("believed", now, now))
	assert.False(t, n.fresh(strconv.Itoa(3*noncesMax-1), now, now))
	assert.True(t, n.fresh(strconv.Itoa(3*noncesMax-1), now, now.Add(nonceKept)))
}

func TestNoncesAreBounded(t *testing.T) {
	var n nonces
	now := time.Now()
	for i := range 3 * noncesMax {
		require.True(t, n.fresh(strconv.Itoa(i), now, now))
	}
	assert.LessOrEqual(t, len(n.seen), noncesMax)
	assert.Len(t, n.order, len(n.seen))
}
