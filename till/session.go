package till

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// sessionLife is how long a page may go on without being loaded again; the page loads itself again on a 401.
	sessionLife = 7 * 24 * time.Hour
	// sessionRenew is when a load of the page gives a fresh cookie.
	sessionRenew = 24 * time.Hour

	sessionNonceLen = 16 // bytes
	sessionLen      = 8 + sessionNonceLen + sha256.Size
)

// renewGrace is how long a session that was renewed still reads, as nobody: what the page had asked for in that moment is under way.
const renewGrace = 5 * time.Second

// renewedMax bounds the sessions that are remembered as ended. Only a right PIN makes one; beyond them the one that ended first is forgotten,
// and opens again what any program on this machine gets for the asking: a page on which nobody has signed in.
const renewedMax = 4096

// sessions gives and checks the page's cookies. A cookie is its end, a random number and a MAC of both under a key that this process
// draws: a restart ends every session. Of those given nothing is kept; of those that were renewed, that they are over.
//
// The cookie of a host is every port's of that host: whatever serves another port of this machine can put one of its own into the browser, and
// no prefix of the name keeps it from that (__Host- binds to the host, and takes Secure, which the page on loopback has not). So whoever signs in
// gets a session that was never in anybody's hands before, and the old one is over.
type sessions struct {
	key []byte

	mu    sync.Mutex // guards what follows
	ended map[string]time.Time
	order []string // of ended, the one that ended first first
}

func newSessions() *sessions {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return &sessions{key: key, ended: map[string]time.Time{}}
}

// give sets the cookie on an answer to the page, but only on loopback, and only where the request has none that is good for long.
func (s *sessions) give(w http.ResponseWriter, r *http.Request, now time.Time) {
	if !fromLoopback(r) || !loopbackName(hostName(r.Host)) || s.left(r, now) > sessionLife-sessionRenew && !s.isOver(sessionOf(r), now) {
		return
	}
	s.fresh(w, r, now)
}

// fresh sets the cookie of a new session, and returns it.
func (s *sessions) fresh(w http.ResponseWriter, r *http.Request, now time.Time) string {
	end := now.Add(sessionLife)
	value := s.seal(end)
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie(r.Host), Value: value, Path: "/", Expires: end,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, // no Domain: for this host alone
	})
	return value
}

// renew ends the request's session and gives the browser another one in its place, which it returns.
func (s *sessions) renew(w http.ResponseWriter, r *http.Request, now time.Time) string {
	s.end(sessionOf(r), now)
	return s.fresh(w, r, now)
}

func (s *sessions) end(session string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, over := s.ended[session]; over {
		return
	}
	if len(s.order) >= renewedMax {
		delete(s.ended, s.order[0])
		s.order = s.order[1:]
	}
	s.ended[session] = now
	s.order = append(s.order, session)
}

// isOver reports a session that was renewed, and may not even read any more.
func (s *sessions) isOver(session string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, over := s.ended[session]
	return over && now.Sub(at) >= renewGrace
}

func (s *sessions) wasRenewed(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.ended[session]
	return over
}

// valid reports whether the request carries a session of this process that has not ended.
func (s *sessions) valid(r *http.Request, now time.Time) bool {
	if s.left(r, now) <= 0 {
		return false
	}
	session := sessionOf(r)
	return !s.wasRenewed(session) || reads(r) && !s.isOver(session, now)
}

// sessionOf names the request's session: the whole cookie, whose MAC was checked. "" without one.
func sessionOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie(r.Host))
	if err != nil {
		return ""
	}
	return c.Value
}

// left is how long the request's session has to live; 0 or less without a good one.
func (s *sessions) left(r *http.Request, now time.Time) time.Duration {
	c, err := r.Cookie(sessionCookie(r.Host))
	if err != nil {
		return 0
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(raw) != sessionLen || !hmac.Equal(raw[8+sessionNonceLen:], s.mac(raw[:8+sessionNonceLen])) {
		return 0
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw)), 0).Sub(now)
}

func (s *sessions) seal(end time.Time) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	nonce := make([]byte, sessionNonceLen)
	_, _ = rand.Read(nonce)
	raw = append(raw, nonce...)
	return base64.RawURLEncoding.EncodeToString(append(raw, s.mac(raw)...))
}

func (s *sessions) mac(text []byte) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write(text)
	return m.Sum(nil)
}

// sessionCookie names the cookie by the port, because browsers keep cookies by host alone and a PC may run two tills.
func sessionCookie(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil || port == "" {
		port = "80"
	}
	return "posagent_session_" + port
}

// seatLife is how long a browser is known as a seat of those who have signed in there; browsers keep no cookie longer.
const seatLife = 400 * 24 * time.Hour

// giveSeat has the browser keep a known seat's value: it opens nothing, and spares whoever signs in there the wait that strangers' wrong PINs
// bring.
func giveSeat(w http.ResponseWriter, r *http.Request, value string, now time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: seatCookie(r.Host), Value: value, Path: "/v1/session", Expires: now.Add(seatLife), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

func knownSeatOf(r *http.Request) string {
	c, err := r.Cookie(seatCookie(r.Host))
	if err != nil {
		return ""
	}
	return c.Value
}

func seatCookie(host string) string {
	return strings.Replace(sessionCookie(host), "_session_", "_seat_", 1)
}

func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
