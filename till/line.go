package till

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"posagent/payflow"
)

// The bounds of the line protocol.
const (
	lineBytesMax    = 256                    // of one line either way, without its end
	lineClientsMax  = 64                     // connections at one time
	lineFollowMax   = 16                     // payments of which one connection is told by itself
	lineWriteMax    = 5 * time.Second        // a reader that takes none of one line for so long is cut off
	lineBadMax      = 20                     // lines in a row that mean nothing
	lineListMax     = 20                     // results in one answer to UNTOLD
	lineLostMax     = 5 * time.Second        // the rest of a line that does not come within this time never will
	lineSaleAge     = 12 * time.Hour         // a sale that ended longer ago is not what a till asks about again: its number was used anew
	lineDayPages    = 100                    // of listMax payments that DAYEND adds up
	lineAcceptRetry = 200 * time.Millisecond // where no file is left for a connection
	lineQuietClose  = 30 * time.Second       // a connection silent for so long makes way for a new one where all are taken
)

// LineConfig is what the line protocol needs beside its server's Config. Its zero value serves.
type LineConfig struct {
	// BySale returns the payments of a sale, the oldest first. nil: a sale that was not armed by this protocol is not known by its number.
	BySale func(payflow.SaleRef) ([]payflow.Entry, error)
	// Receipt is a payment's slip as lines of text, or an error where it has none. nil: no slip is given.
	Receipt func(payflow.Entry) (string, error)
}

// LinePort is a connection of the line protocol: a TCP connection or a serial port. Close ends a Read that waits.
type LinePort interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	SetWriteDeadline(t time.Time) error
	Close() error
}

// Line is the line protocol for old tills, over the desk and the words of its server. docs/line-protocol.md is its description.
type Line struct {
	s   *Server
	cfg LineConfig

	mu       sync.Mutex // guards what is below
	sessions map[*lineSession]struct{}
	running  sync.WaitGroup
}

// NewLine makes the line protocol of a server. It serves nothing yet, and ends with the server's Shutdown.
func (s *Server) NewLine(cfg LineConfig) *Line {
	return &Line{s: s, cfg: cfg, sessions: map[*lineSession]struct{}{}}
}

// Serve answers on a TCP listener until the server's Shutdown; it returns nil then, once every connection has ended. It closes the listener.
// Any program of this machine may connect: the listener must be on loopback.
func (l *Line) Serve(listener net.Listener) error {
	unhook := context.AfterFunc(l.s.closing, func() { _ = listener.Close() })
	defer unhook()
	defer l.running.Wait()
	for {
		conn, err := listener.Accept()
		if l.s.closing.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if passesBy(err) {
			pause(l.s.closing, lineAcceptRetry)
			continue
		}
		if err != nil {
			_ = listener.Close()
			return fmt.Errorf("serve the line protocol: %w", err)
		}
		keepAlive(conn)
		l.admit(conn)
	}
}

// passesBy reports an error of a listener that may be over in a moment: no file is left, or the other side went away again.
func passesBy(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

// ServePort answers on a port until it fails, ctx ends or the server's Shutdown, and closes it. The error says why the port failed.
func (l *Line) ServePort(ctx context.Context, port LinePort) error {
	session := newLineSession(l, port, true)
	l.enter(session)
	defer l.leave(session)
	return session.run(ctx)
}

// keepAlive lets a till's machine that vanished be noticed within half a minute.
func keepAlive(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
}

// admit serves a connection. Where all places are taken, the one that has been silent longest and follows nothing makes way.
func (l *Line) admit(conn net.Conn) {
	session := newLineSession(l, conn, false)
	if !l.makeRoom() {
		session.write(l.s.lineError(lineTooMany))
		_ = conn.Close()
		return
	}
	l.enter(session)
	l.running.Go(func() {
		defer l.leave(session)
		if err := session.run(context.Background()); err != nil {
			l.s.cfg.Log.Debug().Str("error", maskDigits(err.Error())).Msg("line protocol connection")
		}
	})
}

func (l *Line) makeRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sessions) < lineClientsMax {
		return true
	}
	var oldest *lineSession
	for session := range l.sessions {
		if session.silentFor() > lineQuietClose && session.following() == 0 && (oldest == nil || session.silentFor() > oldest.silentFor()) {
			oldest = session
		}
	}
	if oldest == nil {
		return false
	}
	_ = oldest.port.Close()
	delete(l.sessions, oldest)
	return true
}

func (l *Line) enter(session *lineSession) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[session] = struct{}{}
}

func (l *Line) leave(session *lineSession) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, session)
}

// errLineNoise ends a connection that sends nothing but what means nothing.
var errLineNoise = errors.New("too many lines in a row meant nothing")
