package wxclient

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"posagent/payflow"
)

// The bounds of a download.
const (
	downloadMax   = 512 << 20                       // bytes of the plain text: a million payments a day
	downloadLimit = 30 * time.Minute / payflow.Pace // all of it, on one host
	downloadStall = 30 * time.Second / payflow.Pace // without a single byte
)

// downloadSigned makes a download as call makes a call: where our signature is refused, it is made once more.
func (c *Client) downloadSigned(ctx context.Context, r request, take func(a answer, plain io.Reader) error) (answer, error) {
	r.header += "\r\nAccept-Encoding: gzip"
	a, err := c.download(ctx, c.signed(r, c.clock.Now), take)
	if err == nil && a.status == http.StatusUnauthorized && c.refresh(ctx, false) == nil {
		return c.download(ctx, c.signed(r, c.clock.Now), take)
	}
	return a, err
}

// download makes a call whose answer may be too large to hold. The body of a 200 is given to take as it comes, unpacked and bounded;
// every other answer is returned whole. It has a connection of its own, beside those that payments go by, and ends it. Where a
// connection fails or the answer is a 5xx, the next host is asked, and take is called anew; what take itself refuses is returned.
func (c *line) download(ctx context.Context, o outgoing, take func(a answer, plain io.Reader) error) (answer, error) {
	var last answer
	var failures []error
	unlinked := true
	for _, h := range c.hosts.order() {
		a, err := c.downloadFrom(ctx, h, o, take)
		if err == nil && a.status < http.StatusInternalServerError {
			return a, nil
		}
		if refused := (*takeError)(nil); errors.As(err, &refused) {
			return a, refused.err
		}
		if err == nil {
			last = a
		} else {
			failures = append(failures, err)
		}
		unlinked = unlinked && errors.As(err, new(*noLinkError))
		if ctx.Err() != nil {
			break
		}
		c.hosts.bad(h, time.Now())
	}
	if last.header != nil {
		return last, nil
	}
	err := errors.Join(failures...)
	if unlinked && ctx.Err() == nil {
		return last, &noLinkError{c.unreachable(err)}
	}
	return last, err
}

// takeError is what take said of a body that came as it should.
type takeError struct{ err error }

func (e *takeError) Error() string { return e.err.Error() }

func (c *line) downloadFrom(ctx context.Context, h *host, o outgoing, take func(a answer, plain io.Reader) error) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	conn, secure, err := c.dialer.open(ctx, h)
	if err != nil {
		return answer{}, &noLinkError{err}
	}
	defer conn.Conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Conn.Close() })()
	c.reachable()
	wire, err := o.wire(h.name)
	if err != nil {
		return answer{}, err
	}
	a := answer{host: h, sentAt: c.clock.pc()}
	patience := &patience{conn: secure}
	if _, err := patience.Write(wire); err != nil {
		return answer{}, fmt.Errorf("send to %s: %w", h.name, err)
	}
	if err := c.readDownload(&a, patience, take); err != nil {
		return a, err
	}
	c.log.Debug().Str("call", o.call).Str("host", h.name).Int("status", a.status).Str("request_id", requestID(a)).Msg("download")
	return a, nil
}

// readDownload reads head and body, each within its bound.
func (c *line) readDownload(a *answer, from io.Reader, take func(a answer, plain io.Reader) error) error {
	left := &allowance{from: from, left: headMax}
	l := &link{host: a.host, read: bufio.NewReader(left), left: left}
	got, err := l.readHead()
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	defer got.Body.Close()
	a.status, a.header, a.gotAt = got.StatusCode, got.Header, c.clock.pc()
	packed := got.Header.Get("Content-Encoding") == "gzip"
	if a.status != http.StatusOK {
		left.left = bodyMax + framingMax
		if a.body, err = readBody(got); err == nil && packed {
			a.body, err = unzip(a.body)
		}
		return err
	}
	left.left = downloadMax + downloadMax/8 // with chunked framing
	body := io.Reader(got.Body)
	if packed {
		if body, err = gzip.NewReader(body); err != nil {
			return fmt.Errorf("unpack answer: %w", err)
		}
	}
	plain := &bounded{from: body, left: downloadMax}
	if err := take(*a, plain); err != nil && plain.err != nil {
		return fmt.Errorf("read answer: %w", plain.err)
	} else if err != nil {
		return &takeError{err}
	}
	return nil
}

// patience is a connection on which each Read and Write may take downloadStall.
type patience struct{ conn net.Conn }

func (p *patience) Read(b []byte) (int, error) {
	if err := p.conn.SetDeadline(time.Now().Add(downloadStall)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

func (p *patience) Write(b []byte) (int, error) {
	if err := p.conn.SetDeadline(time.Now().Add(downloadStall)); err != nil {
		return 0, err
	}
	return p.conn.Write(b)
}

// bounded reads until its bytes are used up, and remembers what went wrong below.
type bounded struct {
	from io.Reader
	left int64
	err  error // not io.EOF
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.err = fmt.Errorf("it is over %d bytes", int64(downloadMax))
		return 0, b.err
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}
