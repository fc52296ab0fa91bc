package till

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
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

// sessions gives and checks the page's cookies. A cookie is its end, a random number and a MAC of both under a key that this process
// draws: nothing is kept, and a restart ends every session.
type sessions struct{ key []byte }

func newSessions() sessions {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return sessions{key: key}
}

// give sets the cookie on an answer to the page, but only on loopback, and only where the request has none that is good for long.
func (s sessions) give(w http.ResponseWriter, r *http.Request, now time.Time) {
	if !fromLoopback(r) || !loopbackName(hostName(r.Host)) || s.left(r, now) > sessionLife-sessionRenew {
		return
	}
	end := now.Add(sessionLife)
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie(r.Host), Value: s.seal(end), Path: "/", Expires: end,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, // no Domain: for this host alone
	})
}

// valid reports whether the request carries a session of this process that has not ended.
func (s sessions) valid(r *http.Request, now time.Time) bool { return s.left(r, now) > 0 }

// sessionOf names the request's session: the whole cookie, whose MAC was checked. "" without one.
func sessionOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie(r.Host))
	if err != nil {
		return ""
	}
	return c.Value
}

// left is how long the request's session has to live; 0 or less without a good one.
func (s sessions) left(r *http.Request, now time.Time) time.Duration {
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

func (s sessions) seal(end time.Time) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	nonce := make([]byte, sessionNonceLen)
	_, _ = rand.Read(nonce)
	raw = append(raw, nonce...)
	return base64.RawURLEncoding.EncodeToString(append(raw, s.mac(raw)...))
}

func (s sessions) mac(text []byte) []byte {
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

func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
