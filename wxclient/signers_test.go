package wxclient

import (
	"crypto/rsa"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const newSerial = "6268FAFEFDC096DE15EBE81A47057A7232F1B8E2"

func TestANewPairSignsOnceItWasAccepted(t *testing.T) {
	var s signers
	s.begin(signer{serial: "OLD"})
	assert.Nil(t, s.trial(true), "there is no other")

	assert.True(t, s.offer(signer{serial: "NEW"}))
	assert.Equal(t, "OLD", s.now().serial)
	assert.True(t, s.waiting())
	tried := s.trial(false)
	require.NotNil(t, tried)
	assert.True(t, s.accepted(tried))
	assert.Equal(t, "NEW", s.now().serial)
	assert.False(t, s.waiting())
	assert.Nil(t, s.trial(false), "the old one rests while the new one is taken")
}

func TestTheOldPairComesBackWhereTheNewOneIsRefused(t *testing.T) {
	var s signers
	s.begin(signer{serial: "OLD"})
	s.offer(signer{serial: "NEW"})
	s.accepted(s.trial(false))

	old := s.trial(true)
	require.NotNil(t, old)
	assert.Equal(t, "OLD", old.serial)
	assert.True(t, s.accepted(old))
	assert.Equal(t, "OLD", s.now().serial)
	assert.True(t, s.waiting(), "the new one is tried on")
	assert.Equal(t, "NEW", s.trial(false).serial)
}

func TestALaterOfferReplacesAnEarlierOne(t *testing.T) {
	var s signers
	s.begin(signer{serial: "OLD"})
	s.offer(signer{serial: "NEW"})
	first := s.trial(false)
	s.offer(signer{serial: "NEWER"})
	assert.False(t, s.accepted(first), "its answer comes too late")
	assert.Equal(t, "OLD", s.now().serial)
	assert.Equal(t, "NEWER", s.trial(false).serial)

	assert.False(t, s.offer(signer{serial: "OLD"}), "the offer is taken back")
	assert.Nil(t, s.trial(true))
	assert.False(t, s.waiting())
}

func TestPairsAreTakenFromSeveralGoroutines(t *testing.T) {
	var s signers
	s.begin(signer{serial: "0"})
	var all sync.WaitGroup
	for _, serial := range []string{"1", "2", "3", "4"} {
		all.Go(func() {
			for range 200 {
				s.offer(signer{serial: serial})
				if tried := s.trial(false); tried != nil {
					s.accepted(tried)
				}
				assert.NotEmpty(t, s.now().serial)
			}
		})
	}
	all.Wait()
}

// platform is a merchant platform that knows some serials and refuses the others, as a gateway does.
type platform struct {
	*gateway
	known sync.Map
}

// roll is a till whose gateway knows the serial in use, with what was told of it.
type roll struct {
	p    *platform
	c    *Client
	mu   sync.Mutex // guards told
	told []Condition
}

func newRoll(t *testing.T) *roll {
	t.Helper()
	r := &roll{p: &platform{gateway: newGateway(t)}}
	r.p.known.Store(testSerial, true)
	r.p.gateway.server.Handler = r.p
	config := testConfig(r.p.gateway, newPipes(r.p.gateway, firstHost).dial, firstHost)
	config.OnCondition = func(c Condition) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, c)
	}
	r.c = newClient(t, config)
	go r.c.Run(t.Context())
	synctest.Wait()
	require.True(t, r.c.Verified())
	return r
}

// ServeHTTP refuses what an unknown serial signed.
func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), `serial_no="`)
	serial, _, _ := strings.Cut(rest, `"`)
	if _, known := p.known.Load(serial); !known {
		p.gateway.write(w, r, reply{status: 401, body: `{"code":"SIGN_ERROR","message":"no such certificate"}`})
		return
	}
	p.gateway.ServeHTTP(w, r)
}

// after lets time pass and everything settle.
func (r *roll) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *roll) stands(kind ConditionKind) (stands bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.told {
		if c.Kind == kind {
			stands = !c.Over
		}
	}
	return stands
}

func (r *roll) pay(t *testing.T) payflow.OutcomeKind {
	t.Helper()
	o := testOrder()
	r.p.always(reply{status: 200, body: paidBody(o)})
	outcome, err := r.c.Pay(t.Context(), o, testAuthCode(t), gone())
	require.NoError(t, err)
	return outcome.Kind
}

func TestANewCertificateIsUsedOnceWeChatPayTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoll(t)
		r.after(time.Hour)
		require.NoError(t, r.c.OfferKey(newSerial, strangerKey()))
		r.after(time.Minute)
		assert.Equal(t, testSerial, r.c.KeySerial(), "WeChat Pay does not know it yet")
		assert.True(t, r.stands(MerchantKeyRefused))
		assert.Equal(t, payflow.Found, r.pay(t))

		r.p.known.Store(newSerial, true)
		r.after(11 * time.Minute)
		assert.Equal(t, newSerial, r.c.KeySerial())
		assert.True(t, r.stands(MerchantKeyChanged))
		assert.False(t, r.stands(MerchantKeyRefused))
		r.p.known.Delete(testSerial)
		assert.Equal(t, payflow.Found, r.pay(t))
	})
}

func TestACertificateThatIsTakenAtOnceIsUsedWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoll(t)
		r.p.known.Store(newSerial, true)
		require.NoError(t, r.c.OfferKey(newSerial, strangerKey()))
		r.after(11 * time.Second) // the first call was just now
		assert.Equal(t, newSerial, r.c.KeySerial())
	})
}

func TestTheOldCertificateSignsAgainWhileTheNewOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoll(t)
		r.p.known.Store(newSerial, true)
		require.NoError(t, r.c.OfferKey(newSerial, strangerKey()))
		r.after(time.Minute)
		require.Equal(t, newSerial, r.c.KeySerial())

		r.p.known.Delete(newSerial)
		o := testOrder()
		r.p.always(reply{status: 200, body: paidBody(o)})
		outcome, err := r.c.Query(t.Context(), o)
		require.NoError(t, err, "one certificates call finds the pair that is taken, and the query is made again")
		assert.Equal(t, payflow.Found, outcome.Kind)
		assert.Equal(t, testSerial, r.c.KeySerial())
		assert.True(t, r.stands(MerchantKeyRefused))

		r.p.known.Store(newSerial, true)
		r.after(11 * time.Minute)
		assert.Equal(t, newSerial, r.c.KeySerial())
		assert.False(t, r.stands(MerchantKeyRefused))
	})
}

// An answer that can't be verified proves nothing about a pair.
func TestAForgedAnswerTakesNoPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoll(t)
		r.p.known.Store(newSerial, true)
		r.p.addPlatform("7B", strangerKey(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		r.p.signWith("7B") // handed out by nobody
		require.NoError(t, r.c.OfferKey(newSerial, strangerKey()))
		r.after(time.Hour)
		assert.Equal(t, testSerial, r.c.KeySerial())
	})
}

func TestAnOfferThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := inTown(t)
		assert.ErrorContains(t, c.OfferKey(newSerial, nil), "private key is missing")
		assert.ErrorContains(t, c.OfferKey("no serial", strangerKey()), "hex digits")
		assert.ErrorContains(t, c.OfferKey(newSerial, &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: newRSA(1024).N}}), "1024 bits")
		assert.NoError(t, c.OfferKey(strings.ToLower(testSerial), merchantKey()))
		assert.Equal(t, testSerial, c.KeySerial())
	})
}

// A certificate roll-over in the middle of 300 payments: the new one is offered before WeChat Pay knows it, then known, then the old one ends.
func TestARollOverLosesAndRefusesNoPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoll(t)
		used := map[string]int{}
		for n := range 300 {
			switch n {
			case 90:
				require.NoError(t, r.c.OfferKey(newSerial, strangerKey()))
			case 120:
				r.p.known.Store(newSerial, true)
			case 240:
				r.p.known.Delete(testSerial)
			}
			require.Equal(t, payflow.Found, r.pay(t), "payment %d", n)
			used[r.c.KeySerial()]++
			r.after(10 * time.Second)
		}
		assert.Greater(t, used[testSerial], 120)
		assert.Greater(t, used[newSerial], 100)
	})
}
