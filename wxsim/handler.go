package wxsim

import (
	"maps"
	"net/http"
	"strconv"
)

// Handler answers calls through net/http, for a server of the caller's own. Faults of the wire are played as far as
// net/http lets them: a dropped connection is an aborted handler, and a dead link is one that waits until the client
// leaves. Serve and Start play them truly.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Sim) serveHTTP(out http.ResponseWriter, in *http.Request) {
	in.Body = http.MaxBytesReader(out, in.Body, bodyMax+1)
	r := s.take(in)
	if r.dead || r.stall {
		select {
		case <-in.Context().Done():
		case <-s.network.closing:
		}
	}
	if r.dead || r.stall || r.drop || !s.network.wait(r.late) {
		panic(http.ErrAbortHandler)
	}
	r.pack()
	maps.Copy(out.Header(), r.header)
	if r.status != http.StatusNoContent {
		out.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	out.WriteHeader(r.status)
	if r.cut {
		out.Write(r.body[:len(r.body)/2])
		panic(http.ErrAbortHandler)
	}
	out.Write(r.body)
}
