package wxclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"posagent/payflow"
)

const (
	certificatesTarget = "/v3/global/certificates"
	refreshPause       = 10 * time.Second / payflow.Pace // between two certificates calls that an unknown serial asks for
	refreshLimit       = 20 * time.Second / payflow.Pace // one certificates call over every host, twice
	expiringWithin     = 4 * 24 * time.Hour              // a new certificate is mixed in 5 days before the old one ends
	clockHintMin       = clockCorrect / 2                // a Date header nearer than this explains nothing
)

var errRefreshedLately = errors.New("the platform certificates were asked for just now")

// FirstRoundTrip makes one certificates call, and returns nil when its answer was verified: then the keys, the
// merchant's ids and the clock fit. An error says for a person what is wrong and what to do.
func (c *Client) FirstRoundTrip(ctx context.Context) error { return c.refresh(ctx, true) }

// refresh makes one certificates call, or waits for the one that is under way. Unless asked for by name it makes none
// within 10 s of the last.
func (c *Client) refresh(ctx context.Context, byName bool) error {
	s := &c.refreshing
	s.mu.Lock()
	if err := c.life.Err(); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.running == nil {
		if !byName && !s.began.IsZero() && time.Since(s.began) < refreshPause {
			s.mu.Unlock()
			return errRefreshedLately
		}
		s.running, s.began = make(chan struct{}), time.Now()
		s.all.Go(c.refreshOnce)
	}
	running := s.running
	s.mu.Unlock()
	select {
	case <-running:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) refreshOnce() {
	ctx, cancel := context.WithTimeout(c.life, refreshLimit)
	defer cancel()
	err := c.roundTrip(ctx)
	s := &c.refreshing
	s.mu.Lock()
	s.err = err
	close(s.running)
	s.running = nil
	s.mu.Unlock()
}

// fetchCertificates calls with our clock. Where that fails and the answer's Date header says that our clock is
// wrong, it calls once more with the clock that the header gives: the signed time of that answer then corrects ours.
func (c *Client) fetchCertificates(ctx context.Context) error {
	a, err := c.fetchCertificatesAt(ctx, c.clock.Now)
	if err == nil || !mayBeClock(a, err) {
		return c.reportFetch(err)
	}
	offset, ok := c.clock.hint(a)
	if ours := c.clock.Now().Sub(a.gotAt); ok && (offset-ours).Abs() >= clockHintMin {
		c.conditions.begin(Condition{Kind: ClockOff, Offset: offset, Red: offset.Abs() >= clockCorrect, Text: clockOffText(offset)})
		c.clock.forget()
		c.start.forget()
		_, err = c.fetchCertificatesAt(ctx, func() time.Time { return c.clock.pc().Add(offset) })
	}
	return c.reportFetch(err)
}

// mayBeClock reports a failure that a wrong clock can be the cause of: our signature refused, or the answer's time, or
// its certificate's.
func mayBeClock(a answer, err error) bool {
	why := distrustOf(err)
	return a.status == http.StatusUnauthorized || why == skewed || why == unknownSerial
}

func (c *Client) reportFetch(err error) error {
	switch {
	case err == nil:
		c.conditions.over(CertificatesRefused)
		c.reportExpiry()
	case c.life.Err() == nil && !errors.As(err, new(*noLinkError)):
		c.conditions.begin(Condition{Kind: CertificatesRefused, Red: !c.Verified(), Text: err.Error()})
	}
	return err
}

func (c *Client) reportExpiry() {
	held := c.certificates.list()
	if len(held) > 0 && held[0].NotAfter.Sub(c.clock.Now()) < expiringWithin {
		c.conditions.begin(Condition{Kind: CertificateExpiring, Until: held[0].NotAfter,
			Text: "WeChat Pay's platform certificate ends on " + held[0].NotAfter.UTC().Format(time.DateOnly) + ", and no newer one has come"})
		return
	}
	c.conditions.over(CertificateExpiring)
}

func (c *Client) fetchCertificatesAt(ctx context.Context, now func() time.Time) (answer, error) {
	return c.fetchCertificatesBy(ctx, nil, now)
}

// fetchCertificatesBy signs with a pair that is not in use yet; nil stands for the one that is.
func (c *Client) fetchCertificatesBy(ctx context.Context, by *signer, now func() time.Time) (answer, error) {
	a, err := c.callAt(ctx, request{call: "certificates", method: http.MethodGet, target: certificatesTarget, by: by}, now)
	if err != nil {
		return a, err
	}
	if a.status != http.StatusOK {
		c.logDetail(a)
	}
	if c.notHandedOut(a) {
		return c.otherRoundTrip(ctx, by, now)
	}
	if a.status != http.StatusOK {
		return a, c.explainCertificates(a)
	}
	return a, c.takeCertificates(a, now())
}

// notHandedOut reports that WeChat Pay refused the certificates call of a merchant who holds its public key, and neither for our
// signature nor for the moment: it may have no platform certificates for this merchant any more.
func (c *Client) notHandedOut(a answer) bool {
	refused := a.status >= http.StatusBadRequest && a.status < http.StatusInternalServerError
	return c.certificates.public != nil && refused && a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests
}

// logDetail writes down WeChat Pay's own view of what we signed: it shows the difference at once. Only the certificates
// call's is logged: another's may hold a part of the body.
func (c *Client) logDetail(a answer) {
	var view struct {
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(a.body, &view) == nil && view.Detail != nil {
		c.log.Warn().Str("code", readTrouble(a).Code).Str("detail", maskText(string(view.Detail), detailLogged)).Msg("certificates call refused")
	}
}

const detailLogged = 1024 // bytes

// takeCertificates verifies a certificates answer: by a certificate that is held, or by one that the answer itself
// brings, whose seal has proved it. From a merchant who holds the public key a signed refusal is taken as well.
func (c *Client) takeCertificates(a answer, now time.Time) error {
	if c.notHandedOut(a) {
		return c.verifyAt(a, now)
	}
	s, err := readSignature(a.header)
	if err != nil {
		return c.explainUnverified(a, err)
	}
	opened, err := openCertificates(a.body, c.apiv3Key, c.certificates.merchantSerial)
	if err != nil {
		return c.explainUnverified(a, err)
	}
	key, err := c.certificates.key(s.serial, now)
	for _, p := range opened {
		if p.Serial == s.serial {
			key, err = p.keyAt(now)
		}
	}
	if err != nil {
		err = &unverifiedError{unknownSerial, err.Error()}
	} else if err = s.verify(key, a.body, now); err == nil {
		err = c.accept(a, s)
	}
	if err != nil {
		return fmt.Errorf("verify the platform certificates: %w", err)
	}
	if !c.certificates.add(opened, now) {
		return nil
	}
	if err := c.storeCertificates(); err != nil {
		c.log.Warn().Err(err).Msg("platform certificates are held in memory only")
	}
	return nil
}
