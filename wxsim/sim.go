package wxsim

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sim is one simulated WeChat Pay. All its methods may be called from many goroutines at once. Make it inside the bubble
// in which it is to serve, where testing/synctest is used.
type Sim struct {
	authority *authority
	tls       *tls.Config
	accounts  map[string]*account // by merchant number
	first     *account
	keys      Keys
	stranger  *platform // signs what WeChat Pay did not
	ordersMax int
	clock     atomic.Int64 // nanoseconds: WeChat Pay's clock minus this machine's
	network   network

	mu         sync.Mutex // guards all below
	behaviour  Behaviour
	platforms  []*platform
	signs      *platform // the one of them that signs now
	orders     map[orderKey]*order
	line       []orderKey // oldest first
	byID       map[string]*order
	lastID     int
	codes      map[string]*seenCode
	nonces     map[string]time.Time
	faults     []*armedFault
	sent       []sentAnswer // for replays
	tally      tally
	answersV2  int // for Behaviour.ExtraEvery
	violations []Violation

	refundsByID     map[string]*refund
	refundsByNumber map[orderKey]*refund // by merchant and out_refund_no

	notify   Notify   // never changes
	postman  *postman // never changes
	notices  []*notice
	carriers int // of notifications, at work or waiting

	publicKey     *platform // never changes
	publicKeyOnly bool
	movedShare    float64 // percent of the notifications that the public key signs
	movedSum      float64
}

// New makes the root, the certificates and the keys, and a WeChat Pay without orders. It listens to nothing yet. An error
// says what is wrong with config.
func New(config Config) (*Sim, error) {
	s := &Sim{accounts: map[string]*account{}, behaviour: config.Behaviour.whole(), ordersMax: orElse(config.OrdersMax, ordersMax),
		orders: map[orderKey]*order{}, byID: map[string]*order{}, codes: map[string]*seenCode{}, nonces: map[string]time.Time{}, tally: newTally(),
		refundsByID: map[string]*refund{}, refundsByNumber: map[orderKey]*refund{}}
	s.clock.Store(int64(config.Clock))
	s.network.init()
	s.notify, s.postman = config.Notify, newPostman(config.Notify)
	var err error
	if s.keys, err = config.Keys.whole(); err != nil {
		return nil, err
	}
	now := s.clockNow()
	if s.authority, err = newAuthority("Tenpay.com Root CA", now); err != nil {
		return nil, err
	}
	if err := s.openAccounts(config.Merchants); err != nil {
		return nil, err
	}
	if err := s.makeGateway(slices.Concat(gatewayNames(), config.Hosts)); err != nil || !config.OtherCAs {
		return s, err
	}
	return s, s.nameOtherCAs()
}

func (s *Sim) openAccounts(merchants []Merchant) error {
	if len(merchants) == 0 {
		merchants = []Merchant{{}}
	}
	for i, m := range merchants {
		if i == 0 && m.Key == nil {
			m.Key = s.keys.Merchant
		}
		a, err := openAccount(m.whole(), s.authority, s.clockNow())
		if err != nil {
			return err
		}
		if s.accounts[a.MerchantID] != nil {
			return fmt.Errorf("merchant %s stands twice in the configuration", a.MerchantID)
		}
		s.accounts[a.MerchantID] = a
		s.first = orElse(s.first, a)
	}
	return nil
}

func (s *Sim) makeGateway(names []string) error {
	web, err := s.authority.web(names, s.clockNow())
	if err != nil {
		return err
	}
	// Tickets are off because a session ticket is written before the client reads, which blocks on a net.Pipe.
	s.tls = &tls.Config{Certificates: []tls.Certificate{web}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
		SessionTicketsDisabled: true, Time: time.Now, ClientAuth: tls.RequestClientCert, ClientCAs: s.authority.pool()}
	first, err := newPlatform(s.authority, s.keys.Platform, s.clockNow())
	if err != nil {
		return err
	}
	if s.stranger, err = newPlatform(s.authority, s.keys.Stranger, s.clockNow()); err != nil {
		return err
	}
	s.platforms, s.signs, s.publicKey = []*platform{first}, first, newPublicKey(s.keys.Public)
	return nil
}

// Close ends every connection and every listener, and returns when no goroutine of the simulator is left. Books can still
// be read.
func (s *Sim) Close() {
	s.postman.leave()
	s.network.close()
}

// SetClock sets WeChat Pay's clock to this machine's plus offset. It moves what WeChat Pay signs, prints and compares; an
// order's 15 s, 45 s and minute go on by true time.
func (s *Sim) SetClock(offset time.Duration) { s.clock.Store(int64(offset)) }

// clockNow is the time by WeChat Pay's clock.
func (s *Sim) clockNow() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }

// Behave changes the behaviour from now on, for orders there are and orders to come.
func (s *Sim) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b.whole()
}
