package till

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// bodyMax bounds a request's body, in bytes: the largest real one is a goods detail of 6,000.
	bodyMax = 64 << 10
	// pageHeader with the value "page" is what a write of the page carries: no form and no foreign script can send it without being asked first.
	pageHeader = "X-Posagent"
	pageValue  = "page"
)

// caller is who sent a request.
type caller struct {
	name   string // for the log
	scopes []Scope
	page   bool   // the agent's own page, by its session
	via    string // which way a wish came, for the journal: page, token kiosk (1a2b3c4d), socket uid 1000
	peer   string // of the unix socket: who stands in the journal where the request names nobody
	people people // of the page, where operators are set up
}

// who is the operator of a wish: of the page whoever signed in, whatever the request says; of a program whom it names.
func (c caller) who(claimed string) string {
	switch {
	case c.page && c.people.setUp:
		return c.people.operator.ID
	case claimed == "":
		return c.peer
	}
	return claimed
}

// decides is the operator of a wish that takes a manager: of the page the manager whose PIN was given.
func (c caller) decides(claimed string) string {
	if c.page && c.people.setUp {
		return c.people.manager.ID
	}
	return c.who(claimed)
}

func (c caller) may(wanted []Scope) bool {
	return slices.ContainsFunc(wanted, func(s Scope) bool { return slices.Contains(c.scopes, s) })
}

type callerKey struct{}

func withCaller(r *http.Request, c caller) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// guard is what every request over TCP passes before anything reads it.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hostAllowed(r.Host) {
			hangUp(w, newProblem(BadHost, ""))
			return
		}
		listed := s.allowOrigin(w, r)
		if listed && preflight(r) {
			answerPreflight(w, r)
			return
		}
		if !reads(r) && !listed && foreign(r) {
			hangUp(w, newProblem(CrossOrigin, ""))
			return
		}
		c, p := s.identify(r)
		if p != nil {
			if p.Code == Unauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="posagent"`)
			}
			hangUp(w, p)
			return
		}
		if len(c.scopes) == 0 {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(nobodyWriteTimeout))
		}
		next.ServeHTTP(w, withCaller(withSession(w, r), c))
	})
}

// identify returns who the caller is: a token's program, the page, or nobody in particular. A token that is no good is refused even
// where none is needed.
func (s *Server) identify(r *http.Request) (caller, *Problem) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, text, _ := strings.Cut(header, " ")
		token, ok := s.cfg.Tokens.Check(strings.TrimSpace(text))
		if !strings.EqualFold(scheme, "Bearer") || !ok {
			return caller{}, s.wrongToken(r)
		}
		return caller{name: "token " + token.ID, scopes: token.Scopes, via: fmt.Sprintf("token %s (%s)", token.Name, token.ID)}, nil
	}
	if s.pageSession(r) {
		return s.pageCaller(r), nil
	}
	return caller{name: "nobody"}, nil
}

// pageCaller is the page with whoever has signed in on it.
func (s *Server) pageCaller(r *http.Request) caller {
	c := caller{name: "page", scopes: []Scope{ScopePay, ScopeRefund, ScopeReport}, page: true, via: "page"}
	if c.people = s.signIns.of(sessionOf(r), s.now()); c.people.operator.Role == RoleInstaller {
		c.scopes = append(c.scopes, ScopeAdmin)
	}
	return c
}

// wrongToken refuses a token that is no good. A right one was let in before this: however many wrong ones come, from wherever, no program
// with a right one waits.
func (s *Server) wrongToken(r *http.Request) *Problem {
	address, now := addressOf(r.RemoteAddr), s.now()
	if wait := s.wrongTokens.wait(address, now); wait > 0 {
		return newProblem(TooManyWrong, "").after(wait)
	}
	s.wrongTokens.count(address, now)
	return newProblem(Unauthorized, "")
}

// pageSession reports a request of the agent's own page: its cookie, from its own origin, and with its header on a write.
func (s *Server) pageSession(r *http.Request) bool {
	return s.sessions.valid(r, s.now()) && !foreign(r) && (reads(r) || r.Header.Get(pageHeader) == pageValue)
}

// hostAllowed keeps a foreign name that was made to point at this machine (DNS rebinding) from reaching anything.
func (s *Server) hostAllowed(host string) bool {
	name := hostName(host)
	return loopbackName(name) || slices.ContainsFunc(s.cfg.AllowedHosts, func(a string) bool { return hostName(a) == name })
}

// hostName is a Host header's or a setting's host in lower case, without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func loopbackName(name string) bool {
	return name == "127.0.0.1" || name == "localhost" || name == "::1"
}

func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// foreign reports that a browser says the request comes from another origin's page. Programs that are no browser send neither header.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

// allowOrigin lets the page of an exactly configured origin read the answer. It never allows the page's cookie.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	if len(s.cfg.CORSOrigins) == 0 {
		return false
	}
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(s.cfg.CORSOrigins, origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Location, Retry-After, Preference-Applied")
	return true
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

func answerPreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Prefer, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}

// harden sets what every answer carries, and bounds the body.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyReadTimeout)) // lifted once the body is read
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax+1) // the API's library answers at bodyMax
		next.ServeHTTP(w, r)
	})
}

// cleanPath reports a path that no router would redirect: a redirect repeats what it was asked for.
func cleanPath(p string) bool {
	return strings.HasPrefix(p, "/") && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}
