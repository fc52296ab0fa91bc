package till

import (
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"
)

// gate lets a bounded number pass at one time.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

// enter reports whether there is room; whoever got in calls leave.
func (g gate) enter() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g gate) leave() { <-g }

// watch logs each call at debug level, by its pattern and never by its path, and turns a panic into an answer.
func (s *Server) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := &recorder{ResponseWriter: w}
		defer func() {
			if fault := recover(); fault != nil {
				s.answerPanic(seen, fault)
			}
			s.cfg.Log.Debug().Str("method", knownMethod(r.Method)).Str("call", s.callName(r)).Int("status", seen.status).
				Int64("elapsed_ms", time.Since(began).Milliseconds()).Msg("local API call")
		}()
		next.ServeHTTP(seen, r)
	})
}

func (s *Server) answerPanic(w *recorder, fault any) {
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	s.cfg.Log.Error().Str("error", maskDigits(fmt.Sprint(fault))).Msg("a call of the local API failed")
	if w.status == 0 {
		newProblem(Internal, "").write(w)
	}
}

// callName is the pattern of the call: a path could hold anything.
func (s *Server) callName(r *http.Request) string {
	if !isAPI(r.URL.Path) {
		return "page"
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		return pattern
	}
	return "unknown"
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status and passes it on.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts as an answer of 200 where no status was written.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// serverLog takes what net/http itself has to say, at debug level: a scanner of ports makes much of it.
func (s *Server) serverLog() *log.Logger { return log.New(logWriter{s}, "", 0) }

type logWriter struct{ s *Server }

func (l logWriter) Write(line []byte) (int, error) {
	l.s.cfg.Log.Debug().Str("error", maskDigits(strings.TrimSpace(string(line)))).Msg("local API connection")
	return len(line), nil
}
