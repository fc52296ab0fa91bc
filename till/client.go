package till

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"posagent/payflow"
)

const (
	clientAnswerMax   = 16 << 20 // bytes of one answer: a full page of payments is far below
	clientDialTimeout = 3 * time.Second
	clientCallTimeout = 15 * time.Second // of a call that does not wait
	clientPoll        = 25               // seconds of one long poll
	clientRetry       = time.Second      // between tries while the daemon is away
)

// ClientConfig says where the daemon answers: on its unix socket, or at a URL with a token.
type ClientConfig struct {
	Socket string // a path; it needs no token
	URL    string // such as http://127.0.0.1:7080; read only where Socket is ""
	Token  string // for URL
}

// Client calls a running daemon. Its errors are a *Problem where the daemon refused, and a *UnreachableError where it did not answer.
type Client struct {
	base  string
	token string
	where string // for errors
	http  *http.Client
}

// UnreachableError says that the daemon did not answer: whether the call was carried out is not known.
type UnreachableError struct {
	Where string // the socket or the URL
	Err   error
}

// Error says what happened and what to do.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("posagent does not answer on %s (%v); see that it runs: systemctl status posagent", e.Where, e.Err)
}

// Unwrap returns what happened.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Dial makes a client and sees that a daemon answers.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := callFor[Health](ctx, c, http.MethodGet, "/healthz", nil); err != nil {
		return nil, err
	}
	return c, nil
}

func newClient(cfg ClientConfig) (*Client, error) {
	transport := &http.Transport{DisableCompression: true, MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: waitMax + clientCallTimeout}
	dialer := &net.Dialer{Timeout: clientDialTimeout}
	c := &Client{token: cfg.Token, where: cfg.URL, base: strings.TrimSuffix(cfg.URL, "/"), http: &http.Client{Transport: transport, CheckRedirect: noRedirect}}
	if cfg.Socket != "" {
		c.base, c.where, c.token = "http://localhost", cfg.Socket, ""
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", cfg.Socket)
		}
		return c, nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("the daemon's address must be its socket's path or a URL such as http://127.0.0.1:7080")
	}
	transport.DialContext = dialer.DialContext
	return c, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Arm arms a payment. The same key with the same body is the same payment: after an *UnreachableError, arm again with the same key.
func (c *Client) Arm(ctx context.Context, body ArmBody, key string) (Payment, error) {
	var p Payment
	err := c.send(ctx, http.MethodPost, "/v1/payments", body, http.Header{"Idempotency-Key": {key}}, &p)
	return p, err
}

// Payment returns a payment as it is now.
func (c *Client) Payment(ctx context.Context, id payflow.OutTradeNo) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodGet, paymentPath(id, ""), nil)
}

// WaitFinal waits until a payment is final or ctx ends, and calls changed, if it is not nil, for the payment as it is and at each change. A daemon that is
// away meanwhile is waited for: it knows the payment when it is back. The payment that it returns with an error is the last one it saw.
func (c *Client) WaitFinal(ctx context.Context, id payflow.OutTradeNo, changed func(Payment)) (Payment, error) {
	var last Payment
	for {
		query := "?wait=" + strconv.Itoa(clientPoll) + "&since=" + strconv.FormatUint(last.Version, 10)
		p, err := callFor[Payment](ctx, c, http.MethodGet, paymentPath(id, query), nil)
		switch {
		case err == nil && p.Final:
			tell(changed, p, last)
			return p, nil
		case err == nil:
			tell(changed, p, last)
			last = p
		case !passing(err):
			return last, err
		default:
			pause(ctx, clientRetry)
		}
		if ctx.Err() != nil {
			return last, ctx.Err()
		}
	}
}

func tell(changed func(Payment), p, last Payment) {
	if changed != nil && p.Version != last.Version {
		changed(p)
	}
}

// passing reports an error behind which the payment goes on.
func passing(err error) bool {
	var away *UnreachableError
	var refused *Problem
	return errors.As(err, &away) || errors.As(err, &refused) && (refused.Code == TooMany || refused.Code == Stopping)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Code hands in a payment code, where the configuration allows it.
func (c *Client) Code(ctx context.Context, id payflow.OutTradeNo, code string) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodPost, paymentPath(id, "/code"), CodeBody{Code: code})
}

// Cancel is the cashier's wish. The payment that comes back may be open still, and may still be paid.
func (c *Client) Cancel(ctx context.Context, id payflow.OutTradeNo, operator string) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodPost, paymentPath(id, "/cancel"), CancelBody{Operator: operator})
}

// SetAside frees the till from a payment that does not end.
func (c *Client) SetAside(ctx context.Context, id payflow.OutTradeNo, body SetAsideBody) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodPost, paymentPath(id, "/set-aside"), body)
}

// Acknowledge says that the cashier was told.
func (c *Client) Acknowledge(ctx context.Context, id payflow.OutTradeNo, body AcknowledgeBody) (Payment, error) {
	return callFor[Payment](ctx, c, http.MethodPost, paymentPath(id, "/acknowledge"), body)
}

// Status returns what the daemon knows of itself.
func (c *Client) Status(ctx context.Context) (StatusReport, error) {
	return callFor[StatusReport](ctx, c, http.MethodGet, "/v1/status", nil)
}

// PaymentsQuery chooses payments; its zero value the newest 50.
type PaymentsQuery struct {
	Day         string // 2006-01-02
	SaleRef     string
	Status      payflow.Status
	Unannounced bool
	Limit       int    // 1 to 200; 0: 50
	Cursor      string // NextCursor of the page before; with Day only
}

// Payments returns one page of payments.
func (c *Client) Payments(ctx context.Context, q PaymentsQuery) (PaymentList, error) {
	v := url.Values{}
	put(v, "day", q.Day)
	put(v, "sale_ref", q.SaleRef)
	put(v, "status", string(q.Status))
	put(v, "cursor", q.Cursor)
	if q.Unannounced {
		v.Set("unannounced", "true")
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return callFor[PaymentList](ctx, c, http.MethodGet, "/v1/payments?"+v.Encode(), nil)
}

// JournalQuery chooses entries of the journal; its zero value the first 50.
type JournalQuery struct {
	After   uint64 // entries behind this sequence
	Payment payflow.OutTradeNo
	Limit   int // 1 to 200; 0: 50
}

// Journal returns one page of the journal.
func (c *Client) Journal(ctx context.Context, q JournalQuery) (JournalList, error) {
	v := url.Values{}
	v.Set("after", strconv.FormatUint(q.After, 10))
	put(v, "payment", string(q.Payment))
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return callFor[JournalList](ctx, c, http.MethodGet, "/v1/journal?"+v.Encode(), nil)
}

func put(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func paymentPath(id payflow.OutTradeNo, rest string) string {
	return "/v1/payments/" + url.PathEscape(string(id)) + rest
}

func callFor[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var answer T
	err := c.send(ctx, method, path, body, nil, &answer)
	return answer, err
}

// send makes one call with a time-out: its wait, if it has one, and what an answer may take.
func (c *Client) send(ctx context.Context, method, path string, body any, header http.Header, into any) error {
	limit := clientCallTimeout
	if strings.Contains(path, "wait=") {
		limit += clientPoll * time.Second
	}
	return c.sendWithin(ctx, limit, method, path, body, header, into)
}

func (c *Client) sendWithin(ctx context.Context, limit time.Duration, method, path string, body any, header http.Header, into any) error {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	r, err := c.newRequest(ctx, method, path, body, header)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return &UnreachableError{Where: c.where, Err: bare(err)}
	}
	defer answer.Body.Close()
	text, err := readAll(answer)
	if err != nil {
		return &UnreachableError{Where: c.where, Err: bare(err)}
	}
	return c.read(answer, text, into)
}

func (c *Client) newRequest(ctx context.Context, method, path string, body any, header http.Header) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return r, nil
}

// read takes an answer apart; one that is not the daemon's is told from one that is.
func (c *Client) read(answer *http.Response, text []byte, into any) error {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "application/problem+json" {
		var p Problem
		if err := json.Unmarshal(text, &p); err == nil && p.Code != "" {
			return &p
		}
	}
	if answer.StatusCode/100 != 2 || kind != "application/json" {
		return &UnreachableError{Where: c.where, Err: fmt.Errorf("something else answers there, with status %d", answer.StatusCode)}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &UnreachableError{Where: c.where, Err: errors.New("its answer broke off")}
	}
	return nil
}

func readAll(answer *http.Response) ([]byte, error) {
	return io.ReadAll(io.LimitReader(answer.Body, clientAnswerMax))
}

// bare is an error without the URL that net/http puts before it.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
