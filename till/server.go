package till

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"posagent/health"
	"posagent/payflow"
)

// The bounds of the server.
const (
	headerBytesMax    = 16 << 10
	headerReadTimeout = 5 * time.Second
	bodyReadTimeout   = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	waitMax           = 120 * time.Second // of one long poll; a longer wish is cut to it
	writeTimeout      = waitMax + 15*time.Second
	pollsMax          = 32 // long polls that wait at one time; half of them one caller's
	streamsMax        = 16 // event streams at one time; half of them one caller's
)

// pageCSP lets the page load what the agent itself serves and nothing else.
const pageCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self' data:; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Config is what a Server needs. Desk and Words are required; all else has a zero value that serves.
type Config struct {
	Desk     Desk
	Refunds  RefundDesk      // nil: this till gives no money back
	Late     LateDesk        // nil: nothing is known of payments after their end
	Bills    BillDesk        // nil: WeChat Pay is not asked about a bill's number that the journal does not know
	Location *time.Location  // of the store, for its days; nil: this machine's
	Status   func() Status   // what the other parts report; nil: nothing
	Health   *health.Tracker // the warnings that hold; nil: none
	Tokens   *Tokens         // nil: no token opens anything

	Operators *Operators    // nil: none, and the page asks for no PIN
	PINToSell bool          // the page sells only to an operator who has signed in
	LockAfter time.Duration // idle for so long, an operator is signed out; 0: 10 minutes

	ReadOnly bool // the journal can't be written: what is open stands still, and says so

	Words Wording      // what a person reads of a payment
	Page  http.Handler // the cashier's page; nil: none

	AllowedHosts   []string // Host headers beyond 127.0.0.1, localhost and [::1]
	CORSOrigins    []string // exact origins whose pages may call with a token
	AllowCodeInAPI bool     // till software may hand in codes that it scanned itself
	CodePrefixes   []string // of payment codes; nil: payflow's default list

	Secret func(text string) bool // whether a text that would be kept holds a key of this till; nil: none is known

	Currency payflow.Currency // the till's; a request in another is refused; "": any
	Language string           // en, zh-Hans, zh-Hant
	Store    string           // the store's name
	Till     string           // the till's id

	Backups BackupDesk // nil: none are made here

	Training TrainingDesk // nil: nobody can practise here
	Practice Practice     // nil: a real till

	Metrics func() []Metric // beside those of payments, refunds and the status; nil: none

	Log zerolog.Logger // the zero value logs nowhere
}

// Wording is what a person reads, by language: en, zh-Hans, zh-Hant.
type Wording interface {
	// Message says what a payment's state means, NextStep what to do now.
	Message(e payflow.Entry) map[string]string
	NextStep(e payflow.Entry) map[string]string
	// RefundMessage and RefundNextStep say the same of a refund.
	RefundMessage(e payflow.RefundEntry) map[string]string
	RefundNextStep(e payflow.RefundEntry) map[string]string
	// Notice says the same of a refused scan, or of a reason why no payment is taken; of an unknown kind in general words.
	Notice(kind string) (message, nextStep map[string]string)
}

// Server is the local API and the page.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	api      huma.API
	sessions *sessions
	signIns  *signIns
	meter    *meter
	polls    *places
	streams  *places
	bills    gate // questions about a bill's number, one at a time

	billScans billScans
	firstBy   firstBy

	training atomic.Pointer[Server] // the training till; nil: none
	pole     *Pole                  // nil: no display of an old till is read

	wrongTokens *limiter
	wrongPINs   *limiter

	closing context.Context // ends when Shutdown begins: long polls and streams end with it
	close   context.CancelFunc

	mu        sync.Mutex // guards what follows
	servers   []*http.Server
	listeners []*boundedListener
	closed    bool
}

// New makes a server over a desk. It listens to nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Desk == nil || cfg.Words == nil {
		return nil, errors.New("till: a server needs a desk and its words")
	}
	if cfg.Page == nil {
		cfg.Page = http.NotFoundHandler()
	}
	if cfg.Status == nil {
		cfg.Status = func() Status { return Status{} }
	}
	s := &Server{
		cfg: cfg, mux: http.NewServeMux(), sessions: newSessions(), meter: newMeter(), polls: newPlaces(pollsMax), streams: newPlaces(streamsMax), bills: newGate(1),
		wrongTokens: newLimiter(wrongTokensEach, wrongTokensAll), wrongPINs: newLimiter(wrongPINsEach, wrongPINsAll),
	}
	s.signIns = newSignIns(cfg, s.sell)
	s.closing, s.close = context.WithCancel(context.Background())
	s.api = s.newAPI()
	return s, nil
}

// Handler serves API and page over TCP: Host and origin are checked, and callers show a token or the page's session.
func (s *Server) Handler() http.Handler {
	return s.besideTraining(s.watch(harden(s.guard(http.HandlerFunc(s.route)))))
}

// SocketHandler serves the API on the unix socket, whose owner and group are trusted, by the kernel's word on who they are: no token, no Host
// check, no page.
func (s *Server) SocketHandler() http.Handler {
	return s.watch(harden(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAPI(r.URL.Path) {
			newProblem(NotFound, "").write(w)
			return
		}
		c, p := socketCaller(r)
		if p != nil {
			p.write(w)
			return
		}
		s.route(w, withCaller(r, c))
	})))
}

// Serve answers on a TCP listener until Shutdown; it returns nil then. It closes the listener.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, s.Handler()) }

// ServeSocket answers on the unix socket's listener until Shutdown; it returns nil then. The mode of the socket's
// file is the caller's care.
func (s *Server) ServeSocket(l net.Listener) error { return s.serve(l, s.SocketHandler()) }

func (s *Server) serve(listener net.Listener, h http.Handler) error {
	l := newBoundedListener(listener)
	server := &http.Server{
		Handler: h, MaxHeaderBytes: headerBytesMax, ReadHeaderTimeout: headerReadTimeout, // a ReadTimeout would end long polls
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, ErrorLog: s.serverLog(), ConnContext: withPeer, ConnState: l.follow,
	}
	if !s.keep(server, l) {
		return l.Close()
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the local API: %w", err)
	}
	return nil
}

// keep remembers a server for Shutdown, unless that has begun.
func (s *Server) keep(server *http.Server, l *boundedListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, l)
	s.servers = append(s.servers, server)
	return !s.closed
}

// Shutdown ends every long poll (with the payment's present form) and every event stream, lets running calls end, and closes the
// listeners; what still runs when ctx ends is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.close()
	s.mu.Lock()
	s.closed = true
	servers := s.servers
	s.mu.Unlock()
	var errs []error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, err, server.Close())
		}
	}
	return errors.Join(errs...)
}

// sell reports that a payment holds the till.
func (s *Server) sell() bool {
	_, held := s.cfg.Desk.Holding()
	return held
}

func (s *Server) now() time.Time { return time.Now() }

// route finds the call, and answers in its own words where the router's would be plain text or repeat the path.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	switch {
	case !cleanPath(r.URL.Path):
		newProblem(NotFound, "").write(w)
	case isAPI(r.URL.Path):
		s.routeAPI(w, r)
	case !reads(r):
		w.Header().Set("Allow", "GET, HEAD")
		newProblem(MethodNotAllowed, "").write(w)
	default:
		w.Header().Set("Content-Security-Policy", pageCSP)
		w.Header().Set("Cache-Control", "no-cache")
		s.sessions.give(w, r, s.now())
		s.cfg.Page.ServeHTTP(w, r)
	}
}

func (s *Server) routeAPI(w http.ResponseWriter, r *http.Request) {
	found, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	var seen sink
	found.ServeHTTP(&seen, r)
	if seen.status != http.StatusMethodNotAllowed {
		newProblem(NotFound, "").write(w)
		return
	}
	w.Header().Set("Allow", seen.Header().Get("Allow"))
	newProblem(MethodNotAllowed, "").write(w)
}

func isAPI(p string) bool {
	return p == "/v1" || strings.HasPrefix(p, "/v1/") || p == "/healthz" || p == "/readyz" || p == "/metrics" || strings.HasPrefix(p, problemsPath)
}

// sink keeps an answer's status and headers and drops its text.
type sink struct {
	header http.Header
	status int
}

func (k *sink) Header() http.Header {
	if k.header == nil {
		k.header = http.Header{}
	}
	return k.header
}

func (k *sink) Write(b []byte) (int, error) { return len(b), nil }

func (k *sink) WriteHeader(status int) { k.status = status }
