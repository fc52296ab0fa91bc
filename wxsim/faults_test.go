package wxsim

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The wire's faults stand for no document: they are what networks do (limits, reliability goal: every fault class on pay, query,
// reverse and certificates), and the calls about refunds likewise.
func TestEveryFaultStrikesEveryCallOnceAndThenItIsOver(t *testing.T) {
	for _, call := range []Call{Pay, Query, Reverse, Certificates, Refund, RefundQuery, Refunds, Statement, Settlements} {
		for _, kind := range Kinds() {
			t.Run(string(call)+" "+string(kind), func(t *testing.T) {
				town(t, Config{Behaviour: Behaviour{StatementsAtOnce: true}}, func(t *testing.T, c *caller) {
					c.fetch()
					c.arm(call)
					c.sim.Inject(Fault{On: call, Kind: kind, Status: 503, Code: "SERVICE_UNAVAILABLE"})
					c.web.CloseIdleConnections() // net/http sends a GET again by itself where a used connection drops
					struck, err := c.do(call, "A1")
					assert.True(t, isStruck(kind, struck, err), "%d %v %v", struck.status, struck.trust, err)
					if kind == Rollover {
						c.fetch()
					}
					time.Sleep(25 * time.Second)
					fine, err := c.do(call, "A2")
					require.NoError(t, err)
					assert.NoError(t, fine.trust)
					assert.Less(t, fine.status, 500)
				})
			})
		}
	}
}

// arm makes an earlier answer for replays.
func (c *caller) arm(call Call) {
	_, err := c.do(call, "A0")
	require.NoError(c.t, err)
}

func (c *caller) do(call Call, number string) (answer, error) {
	switch call {
	case Pay:
		return c.play(number, "pays-at-once")
	case Query:
		return c.send("GET", "/v3/global/transactions/out-trade-no/"+number+"?"+c.ids(), "")
	case Reverse:
		return c.send("POST", "/v3/global/micropay/transactions/out-trade-no/"+number+"/reverse", c.reverseBody())
	case Refund:
		return c.send("POST", "/v3/global/refunds", jsonText(c.refundBody(number, "R"+number, 250, 1250)))
	case Statement:
		if _, err := c.play("S"+number, "pays-at-once"); err != nil {
			return answer{}, err
		}
		c.web.CloseIdleConnections()
		return c.send("GET", "/v3/global/statements?date="+today()+"&"+c.ids(), "")
	case Settlements:
		return c.send("GET", "/v3/global/settle/settlements?settle_state=SETTLED&offset=0&limit=5", "")
	case RefundQuery:
		return c.send("GET", "/v3/global/refunds/out-refund-no/R"+number+"?"+c.ids(), "")
	case Refunds:
		return c.send("GET", "/v3/global/refunds?out_trade_no="+number+"&"+c.ids(), "")
	}
	return c.send("GET", "/v3/global/certificates", "")
}

// isStruck says whether a till sees what a kind promises.
func isStruck(kind Kind, a answer, err error) bool {
	switch kind {
	case DropUnread, DropHalf, DeadLink, ReadLate, Stall, DropAnswer, LateAnswer:
		return err != nil
	case Replayed, ReplayedOther: // of certificates and of a first call there is nothing of the kind to replay
		return err != nil || a.trust == nil
	case Truncated:
		return err != nil || a.status == 204
	case Redirect:
		return err == nil && a.status == http.StatusTemporaryRedirect && a.header.Get("Location") != ""
	case Refuse, ServerError:
		return err == nil && a.status == 503 && a.trust == nil && a.text("code") == "SERVICE_UNAVAILABLE"
	case HTMLPage:
		return err == nil && a.status == 503 && a.trust != nil
	case WrongDate:
		date, _ := http.ParseTime(a.header.Get("Date"))
		return err == nil && time.Until(date) > 50*time.Minute
	case Oversized, TrailingJSON, Gzip: // a 204 has no body to spoil
		long := len(a.body) > 1<<21 || bytes.HasSuffix(a.body, []byte("{}")) || a.header.Get("Content-Encoding") == "gzip"
		return err == nil && (long || a.status == 204) && (kind == Gzip || a.trust == nil)
	}
	return err == nil && a.trust != nil // unsigned, forged, unknown serial, probe, stale, rolled over, duplicate headers
}

func TestALostRequestIsNotCarriedOutAndALostAnswerIs(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		for number, kind := range map[string]Kind{"A1": DropUnread, "A2": DropHalf, "A3": DropAnswer} {
			c.sim.Inject(Fault{On: Pay, Kind: kind})
			_, err := c.play(number, "pays-at-once")
			require.Error(t, err)
		}
		books := c.sim.Books()
		assert.Equal(t, CallCount{Whole: 1, Partial: 2, Processed: 1}, books.Calls[Pay])
		assert.Equal(t, []string{"ORDER_NOT_EXIST", "ORDER_NOT_EXIST", "SUCCESS"}, []string{c.state("A1"), c.state("A2"), c.state("A3")})
		assert.Equal(t, 1, c.line("A3").PayWhole)
		assert.Equal(t, 0, c.line("A3").Arrivals[0].Status, "there was no answer")
	})
}

// A peer that reads the request only after the client's time-out, and carries it out then.
func TestARequestThatIsReadLateIsCarriedOutThoughTheTillHasGone(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Pay, Kind: ReadLate})
		_, err := c.play("A1", "pays-at-once")
		require.Error(t, err)
		time.Sleep(20 * time.Second)
		line := c.line("A1")
		assert.Equal(t, Success, line.State)
		assert.True(t, line.Arrivals[0].Late && line.Arrivals[0].Whole && line.Arrivals[0].Processed)
		assert.Equal(t, 20*time.Second, line.Created.Sub(line.Arrivals[0].At))
		assert.Equal(t, 1, c.sim.Books().Calls[Pay].Late)
	})
}

func TestAFaultStrikesOnlyTheOrderThatItNames(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{Order: "A2", Kind: DropUnread, Times: -1})
		assert.Equal(t, "200 SUCCESS", whatCame(c.mustPlay("A1", "pays-at-once"), nil))
		_, err := c.play("A2", "pays-at-once")
		assert.Error(t, err)
		assert.Equal(t, "SUCCESS", c.state("A1"))
		assert.Equal(t, "lost", c.seenInQuery("A2"))
		assert.False(t, c.line("A2").Arrivals[0].Processed)
		c.sim.Heal()
		assert.Equal(t, "ORDER_NOT_EXIST", c.state("A2"))
	})
}

func TestFaultsStrikeInTheOrderInWhichTheyWereArmed(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Query, Kind: HTMLPage, Skip: 1, Times: 2})
		remove := c.sim.Inject(Fault{On: Query, Kind: Unsigned, Times: -1})
		var got []string
		for range 5 {
			got = append(got, whatCame(c.query("A1"), nil))
		}
		assert.Equal(t, []string{"404 ORDER_NOT_EXIST?", "502 ?", "502 ?", "404 ORDER_NOT_EXIST?", "404 ORDER_NOT_EXIST?"}, got)
		remove()
		assert.Equal(t, "404 ORDER_NOT_EXIST", whatCame(c.query("A1"), nil))
		remove()
	})
}

func TestAFaultThatMakesNoSenseIsRefused(t *testing.T) {
	for _, f := range []Fault{{}, {Kind: "flood"}, {On: "login", Kind: Stall}, {On: Connect, Kind: Gzip}, {Kind: Refuse}} {
		assert.Error(t, f.Check())
		assert.Panics(t, func() { (&Sim{}).Inject(f) })
	}
}

// An earlier answer, to the letter: the same nonce, time and signature.
func TestAReplayedAnswerIsAnEarlierOneToTheLetter(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "password-pays")
		c.mustPlay("A2", "pays-at-once")
		early, other := c.query("A1"), c.query("A2")
		time.Sleep(7 * time.Second)
		c.sim.Inject(Fault{On: Query, Kind: Replayed})
		again := c.query("A1")
		assert.Equal(t, "USERPAYING", again.text("trade_state"), "though it is paid by now")
		assert.Equal(t, early.header.Get("Wechatpay-Nonce"), again.header.Get("Wechatpay-Nonce"))
		assert.NoError(t, again.trust, "only the nonce gives it away")
		c.sim.Inject(Fault{On: Query, Kind: ReplayedOther})
		again = c.query("A1")
		assert.Equal(t, other.body, again.body)
		c.sim.Inject(Fault{On: Reverse, Kind: Replayed})
		_, err := c.do(Reverse, "A1")
		assert.Error(t, err, "with nothing to replay the answer is lost")
	})
}

// Headers: the signature is over the unpacked body.
func TestACompressedAnswerIsSignedOverItsPlainBody(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.sim.Inject(Fault{On: Query, Kind: Gzip})
		a := c.query("A1")
		plain, err := gzip.NewReader(bytes.NewReader(a.body))
		require.NoError(t, err)
		a.body, err = io.ReadAll(plain)
		require.NoError(t, err)
		assert.NoError(t, c.verify(a))
	})
}

func TestARedirectedPayCallArrivesAgainWhereATillFollowsIt(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.web.CheckRedirect = nil // as Go's client does by itself
		_, err := c.play("A1", "redirect")
		require.Error(t, err)
		assert.Equal(t, 10, c.line("A1").PayWhole)
		_, err = c.play("A2", "redirect-elsewhere")
		require.NoError(t, err)
		assert.Equal(t, 1, c.sim.Books().Calls[Other].Whole)
	})
}
