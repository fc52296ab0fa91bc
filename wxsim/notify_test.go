package wxsim

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ear is the merchant's side of notifications: it verifies and opens what comes, and answers as it is told.
type ear struct {
	c      *caller
	net    *pipes
	server *http.Server
	answer func(n int) int // the status for the n-th notification, from 1; nil: 204. 0: no answer

	mu    sync.Mutex // guards what was heard, and the keys that the till holds, where they change meanwhile
	heard []heard
}

type heard struct {
	at       time.Time
	id       string
	event    string
	original string
	resource map[string]any
	trust    error
	path     string
	host     string
	serial   string
}

func newEar() *ear { return &ear{net: newPipes()} }

// listen begins to answer; the till's keys are those of c.
func (e *ear) listen(c *caller) {
	e.c = c
	e.server = &http.Server{Handler: http.HandlerFunc(e.hear)}
	go e.server.Serve(e.net)
	c.t.Cleanup(func() { e.server.Close() })
}

func (e *ear) hear(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := heard{at: time.Now(), path: r.URL.Path, host: r.Host, serial: r.Header.Get("Wechatpay-Serial")}
	e.mu.Lock()
	h.trust = e.c.verify(answer{header: r.Header, body: body})
	e.mu.Unlock()
	var sent struct {
		ID       string `json:"id"`
		Event    string `json:"event_type"`
		Resource struct {
			Original   string `json:"original_type"`
			Nonce      string `json:"nonce"`
			Associated string `json:"associated_data"`
			Ciphertext []byte `json:"ciphertext"`
		} `json:"resource"`
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&sent) == nil {
		h.id, h.event, h.original = sent.ID, sent.Event, sent.Resource.Original
		block, _ := aes.NewCipher([]byte(e.c.creds.APIv3Key))
		aead, _ := cipher.NewGCM(block)
		if text, err := aead.Open(nil, []byte(sent.Resource.Nonce), sent.Resource.Ciphertext, []byte(sent.Resource.Associated)); err == nil {
			json.Unmarshal(text, &h.resource)
		}
	}
	e.mu.Lock()
	e.heard = append(e.heard, h)
	n, tell := len(e.heard), e.answer
	e.mu.Unlock()
	status := http.StatusNoContent
	if tell != nil {
		status = tell(n)
	}
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

func (e *ear) all() []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]heard(nil), e.heard...)
}

// shop runs a test with a till that has an ear for notifications.
func shop(t *testing.T, config Config, answer func(int) int, test func(t *testing.T, c *caller, e *ear)) {
	e := newEar()
	config.Notify.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return e.net.dial(ctx, network, address)
	}
	config.Behaviour.NotifyPlain = true
	town(t, config, func(t *testing.T, c *caller) {
		e.net, e.answer = newPipes(), answer
		e.listen(c)
		c.fetch()
		c.holdPublicKey()
		test(t, c, e)
		e.server.Close()
	})
}

const notifyTo = "http://shop.test/wechat/refunds"

func (c *caller) refundNotified(number, refundNumber string, refund int64) {
	c.t.Helper()
	body := c.refundBody(number, refundNumber, refund, 1250)
	body["notify_url"] = notifyTo
	require.Equal(c.t, 200, c.must("POST", "/v3/global/refunds", jsonText(body)).status)
}

// Notification of refund result (seed 002): POST to the notify_url when the refund has ended; signed; the resource is sealed under
// the API v3 key and holds the members of the page.
func TestTheEndOfARefundIsTold(t *testing.T) {
	rows := map[string][3]string{
		"pays-at-once":    {"REFUND.SUCCESS", "SUCCESS", "success_time"},
		"refund-closed":   {"REFUND.CLOSED", "REFUNDCLOSE", ""},
		"refund-abnormal": {"REFUND.ABNORMAL", "ABNORMAL", ""},
	}
	for scenario, want := range rows {
		for _, mode := range []Mode{Institution, Direct} {
			shop(t, Config{Merchants: []Merchant{{Mode: mode}}}, nil, func(t *testing.T, c *caller, e *ear) {
				paid := c.mustPlay("A1", scenario)
				c.refundNotified("A1", "R1", 250)
				time.Sleep(5*time.Second - time.Millisecond)
				assert.Empty(t, e.all(), "not before it has ended")
				time.Sleep(2 * time.Millisecond)
				require.Len(t, e.all(), 1)
				got := e.all()[0]
				assert.NoError(t, got.trust)
				assert.Equal(t, want[0], got.event)
				assert.Equal(t, "/wechat/refunds shop.test refund", got.path+" "+got.host+" "+got.original)
				assert.LessOrEqual(t, len(got.id), 36)
				assert.Equal(t, want[1], got.resource["refund_status"])
				assert.NotContains(t, got.resource, "status")
				for name, value := range map[string]any{"out_trade_no": "A1", "out_refund_no": "R1", "transaction_id": paid.text("id"), "refund_id": c.line("A1").Refunds[0].ID} {
					assert.Equal(t, value, got.resource[name], name)
				}
				amount := got.resource["amount"].(map[string]any)
				assert.Equal(t, []any{250.0, 1250.0, 230.0, 1150.0, "HKD", "CNY"}, []any{amount["refund"], amount["total"], amount["payer_refund"], amount["payer_total"], amount["currency"], amount["payer_currency"]})
				_, told := got.resource["success_time"]
				assert.Equal(t, want[2] != "", told)
				time.Sleep(48 * time.Hour)
				assert.Len(t, e.all(), 1, "taken is taken")
				book := c.sim.Books().Notices[0]
				assert.True(t, book.Taken)
				assert.Equal(t, []any{got.id, "A1", "R1", 204}, []any{book.ID, book.Number, book.RefundNumber, book.Attempts[0].Status})
			})
		}
	}
}

// Notification of refund result: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h, 24 h 4 min in all.
func TestANotificationThatIsNotTakenComesAgainAsThePageSays(t *testing.T) {
	shop(t, Config{}, func(int) int { return 500 }, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.refundNotified("A1", "R1", 250)
		time.Sleep(48 * time.Hour)
		all := e.all()
		require.Len(t, all, 16)
		var waits []time.Duration
		for i := 1; i < len(all); i++ {
			waits = append(waits, all[i].at.Sub(all[i-1].at))
			assert.Equal(t, all[0].id, all[i].id, "the same notification")
			assert.NoError(t, all[i].trust, "signed anew")
		}
		const s, m, h = time.Second, time.Minute, time.Hour
		assert.Equal(t, []time.Duration{15 * s, 15 * s, 30 * s, 3 * m, 10 * m, 20 * m, 30 * m, 30 * m, 30 * m, 60 * m, 3 * h, 3 * h, 3 * h, 6 * h, 6 * h}, waits)
		assert.Equal(t, 24*time.Hour+4*time.Minute, all[15].at.Sub(all[0].at))
		assert.False(t, c.sim.Books().Notices[0].Taken)
	})
}

// 200 and 204 within 5 s are a success; all else is not.
func TestANotificationIsTakenBy200And204InTime(t *testing.T) {
	answers := []int{500, 404, 302, 0, 202, 200}
	shop(t, Config{Behaviour: Behaviour{NotifyFaster: 60}}, func(n int) int { return answers[n-1] }, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.refundNotified("A1", "R1", 250)
		time.Sleep(time.Hour)
		all := e.all()
		require.Len(t, all, 6)
		assert.Equal(t, 250*time.Millisecond, all[1].at.Sub(all[0].at), "60 times as fast")
		assert.Equal(t, 5*time.Second+3*time.Second, all[4].at.Sub(all[3].at), "no answer, and then 3 min sped up")
		book := c.sim.Books().Notices[0]
		assert.True(t, book.Taken)
		assert.Equal(t, []int{500, 404, 302, 0, 202, 200}, []int{book.Attempts[0].Status, book.Attempts[1].Status, book.Attempts[2].Status,
			book.Attempts[3].Status, book.Attempts[4].Status, book.Attempts[5].Status})
	})
}

// Seed 002: the same notification may be sent multiple times.
func TestANotificationCanComeTwice(t *testing.T) {
	shop(t, Config{Behaviour: Behaviour{NotifyTwice: true}}, nil, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.refundNotified("A1", "R1", 250)
		time.Sleep(time.Hour)
		require.Len(t, e.all(), 2)
		assert.Equal(t, e.all()[0].id, e.all()[1].id)
	})
}

// Seed 002: when the response is lost, WeChat Pay thinks that the notification failed, and sends it again.
func TestANotificationWhoseAnswerIsLostComesAgain(t *testing.T) {
	shop(t, Config{}, nil, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.sim.Inject(Fault{On: Notice, Order: "A1", Kind: DropAnswer})
		c.refundNotified("A1", "R1", 250)
		time.Sleep(time.Hour)
		all := e.all()
		require.Len(t, all, 2)
		assert.Equal(t, all[0].id, all[1].id)
		assert.Equal(t, 15*time.Second, all[1].at.Sub(all[0].at))
		assert.True(t, c.sim.Books().Notices[0].Taken)
	})
}

// Seed 002 describes a notification of the payment; Quick Pay sends none, so that it is off.
func TestAPaymentIsToldOnlyWhereItIsAskedFor(t *testing.T) {
	shop(t, Config{}, nil, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		time.Sleep(time.Minute)
		assert.Empty(t, e.all())
	})
	shop(t, Config{Notify: Notify{Payments: "http://shop.test/payments"}}, nil, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.mustPlay("A2", "password-pays")
		c.mustPlay("A3", "password-never")
		c.mustPlay("A4", "no-money")
		time.Sleep(6*time.Second + time.Millisecond)
		require.Len(t, e.all(), 2)
		got := e.all()[1]
		assert.NoError(t, got.trust)
		assert.Equal(t, "TRANSACTION.SUCCESS transaction /payments", got.event+" "+got.original+" "+got.path)
		assert.Equal(t, []any{"A2", "SUCCESS", "TAG00001"}, []any{got.resource["out_trade_no"], got.resource["trade_state"], got.resource["attach"]})
		time.Sleep(time.Hour)
		assert.Len(t, e.all(), 2)
	})
}

// Public key, switching: callbacks move over in steps.
func TestTheShareOfNotificationsThatThePublicKeySignsGrows(t *testing.T) {
	shop(t, Config{}, nil, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		count := func(percent float64) int {
			before := len(e.all())
			c.sim.MovePublicKey(percent)
			for i := range 10 {
				c.refundNotified("A1", CodeFor("pays-at-once", before+i), 1)
			}
			time.Sleep(6 * time.Second)
			all, public := e.all()[before:], 0
			require.Len(t, all, 10)
			for _, h := range all {
				assert.NoError(t, h.trust)
				if h.serial == c.creds.PublicKeyID {
					public++
				}
			}
			return public
		}
		assert.Equal(t, []int{0, 2, 5, 10}, []int{count(0), count(20), count(50), count(100)})
		c.sim.MovePublicKey(0)
		c.sim.UsePublicKeyOnly()
		assert.Equal(t, 10, count(0))
	})
}

// Signature verification: probing traffic is signed WECHATPAY/SIGNTEST/ and must fail; and so must what a fault has spoilt.
func TestANotificationCanBeAProbeOrForged(t *testing.T) {
	shop(t, Config{}, nil, func(t *testing.T, c *caller, e *ear) {
		e.mu.Lock()
		e.answer = func(n int) int {
			if e.all()[n-1].trust != nil {
				return 401
			}
			return 204
		}
		e.mu.Unlock()
		status, err := c.sim.Probe("http://shop.test/wechat/refunds")
		require.NoError(t, err)
		assert.Equal(t, 401, status)
		c.mustPlay("A1", "pays-at-once")
		for i, kind := range []Kind{Forged, UnknownSerial, Stale, Unsigned, DuplicateHeaders, Probe, Rollover} {
			c.sim.Inject(Fault{On: Notice, Kind: kind})
			c.refundNotified("A1", CodeFor("pays-at-once", i), 1)
			time.Sleep(6 * time.Second)
			all := e.all()
			assert.Error(t, all[len(all)-1].trust, kind)
			e.mu.Lock()
			c.fetch()
			e.mu.Unlock()
			time.Sleep(15 * time.Second)
			all = e.all()
			assert.NoError(t, all[len(all)-1].trust, kind)
			assert.Equal(t, all[len(all)-2].id, all[len(all)-1].id)
		}
		assert.Panics(t, func() { c.sim.Inject(Fault{On: Notice, Kind: ReadLate}) })
		c.sim.Inject(Fault{Kind: Forged, Times: -1})
		c.sim.Heal()
	})
}

// Nothing leaves this machine unless it is told how.
func TestANotificationStaysOnThisMachine(t *testing.T) {
	town(t, Config{}, func(t *testing.T, c *caller) {
		c.fetch()
		c.mustPlay("A1", "pays-at-once")
		body := c.refundBody("A1", "R1", 250, 1250)
		body["notify_url"] = "https://shop.test/refunds"
		require.Equal(t, 200, c.must("POST", "/v3/global/refunds", jsonText(body)).status)
		time.Sleep(6 * time.Second)
		book := c.sim.Books().Notices[0]
		assert.Contains(t, book.Attempts[0].Error, "not on this machine")
		_, err := c.sim.Probe("https://shop.test/refunds")
		assert.Error(t, err)
	})
}

// What the test above hears through pipes goes over loopback as well, through the shop's proxy.
func TestANotificationGoesThroughTheShopsProxy(t *testing.T) {
	heard := make(chan string, 1)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent struct {
			Resource struct{ Ciphertext string }
		}
		_ = json.Unmarshal(body, &sent)
		sealed, _ := base64.StdEncoding.DecodeString(sent.Resource.Ciphertext)
		heard <- r.Host + r.URL.Path
		if len(sealed) == 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer shop.Close()
	sim, err := New(Config{Keys: testKeys(), Notify: Notify{Through: shop.URL}, Behaviour: Behaviour{RefundAfter: time.Millisecond}})
	require.NoError(t, err)
	defer sim.Close()
	url, err := sim.Start("")
	require.NoError(t, err)
	c := newCaller(t, sim, url, (&net.Dialer{}).DialContext)
	defer c.web.CloseIdleConnections()
	c.mustPlay("A1", "pays-at-once")
	body := c.refundBody("A1", "R1", 250, 1250)
	body["notify_url"] = "https://shop.test/wechat/refunds"
	require.Equal(t, 200, c.must("POST", "/v3/global/refunds", jsonText(body)).status)
	assert.Equal(t, "shop.test/wechat/refunds", <-heard)
}

// Close ends what is waiting and what is on its way.
func TestCloseEndsNotificationsThatWait(t *testing.T) {
	shop(t, Config{Behaviour: Behaviour{RefundAfter: time.Hour}}, func(int) int { return 0 }, func(t *testing.T, c *caller, e *ear) {
		c.mustPlay("A1", "pays-at-once")
		c.mustPlay("A2", "pays-at-once")
		c.refundNotified("A1", "R1", 250)
		time.Sleep(time.Hour + time.Second) // on its way
		c.refundNotified("A2", "R2", 250)   // waits
	})
}
