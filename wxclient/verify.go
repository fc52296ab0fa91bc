package wxclient

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers that sign an answer (API v3 verification page).
const (
	headerTimestamp = "Wechatpay-Timestamp"
	headerNonce     = "Wechatpay-Nonce"
	headerSignature = "Wechatpay-Signature"
	headerSerial    = "Wechatpay-Serial"
	headerType      = "Wechatpay-Signature-Type"
	headerPrefix    = "Wechatpay-"
	headerRequestID = "Request-Id"
)

// probePrefix begins the signature of WeChat Pay's probing traffic, which must fail.
const probePrefix = "WECHATPAY/SIGNTEST/"

// distrust names why an answer could not be verified.
type distrust string

const (
	unsigned      distrust = "unsigned"         // no signature header at all: its words may be shown (rule 9)
	forged        distrust = "bad signature"    // a signature that is present but wrong: no claim at all
	unknownSerial distrust = "unknown serial"   //
	skewed        distrust = "time out of step" //
	replayed      distrust = "seen before"      //
)

// unverifiedError says why an answer is not believed.
type unverifiedError struct {
	why  distrust
	text string
}

func (e *unverifiedError) Error() string {
	return "answer not verified (" + string(e.why) + "): " + e.text
}

func distrustOf(err error) distrust {
	var u *unverifiedError
	if errors.As(err, &u) {
		return u.why
	}
	return ""
}

// verify returns nil when a was signed by WeChat Pay just now, and for the first time. An unknown serial, and a time
// out of step, lead to one certificates call and a second look; where the certificates were asked for just now, to the look alone,
// because that call may have ended after the first one.
func (c *Client) verify(ctx context.Context, a answer) error {
	err := c.verifyOnce(a)
	why := distrustOf(err)
	if why == unknownSerial || why == skewed {
		ctx, cancel := context.WithTimeout(ctx, c.queryTimeout)
		defer cancel()
		if c.worthASecondLook(ctx) {
			err = c.verifyOnce(a)
		}
	}
	if distrustOf(err) == unknownSerial {
		serial := maskText(normalSerial(a.header.Get(headerSerial)), 64)
		c.conditions.begin(Condition{Kind: SerialUnknown, Serial: serial, Text: unknownSerialText(serial)})
	}
	if err == nil {
		c.conditions.over(SerialUnknown)
		return nil
	}
	if s, unreadable := readSignature(a.header); unreadable == nil && distrustOf(err) != replayed {
		c.nonces.doubted(s.nonce, time.Now())
	}
	return err
}

// worthASecondLook makes one certificates call. It reports that a second look at what was signed may find more than the first.
func (c *Client) worthASecondLook(ctx context.Context) bool {
	err := c.refresh(ctx, false)
	return err == nil || errors.Is(err, errRefreshedLately)
}

func (c *Client) verifyOnce(a answer) error { return c.verifyAt(a, c.clock.Now()) }

func (c *Client) verifyAt(a answer, now time.Time) error {
	s, err := readSignature(a.header)
	if err != nil {
		return err
	}
	if err := c.verifyBy(s, a.body, now); err != nil {
		return err
	}
	return c.accept(a, s)
}

// verifyBy checks a signature by the key that it names, and its time.
func (c *Client) verifyBy(s signature, body []byte, now time.Time) error {
	key, err := c.certificates.key(s.serial, now)
	if err != nil {
		return &unverifiedError{unknownSerial, err.Error()}
	}
	return s.verify(key, body, now)
}

// accept takes a verified answer's nonce and time. Both are written down before anybody is told what it says.
func (c *Client) accept(a answer, s signature) error {
	now := time.Now()
	if c.start.precedes(s.at, now) {
		return &unverifiedError{replayed, c.start.why(s.at, now)}
	}
	if !c.nonces.fresh(s.nonce, s.at, now) {
		return &unverifiedError{replayed, "its nonce came in the last ten minutes"}
	}
	c.start.learn(s.at, now)
	c.clock.observe(s.at, a.sentAt, a.gotAt)
	c.hosts.good(a.host)
	c.noteVerified()
	return nil
}

// signature is an answer's, as its headers give it.
type signature struct {
	timestamp, nonce, serial, value string
	at                              time.Time
}

// readSignature reads the signature headers: all there and each once, or (as distrust "unsigned") none at all.
func readSignature(h http.Header) (signature, error) {
	if err := refuseDuplicates(h); err != nil {
		return signature{}, err
	}
	s := signature{timestamp: h.Get(headerTimestamp), nonce: h.Get(headerNonce), serial: normalSerial(h.Get(headerSerial)), value: h.Get(headerSignature)}
	if s == (signature{}) {
		return s, &unverifiedError{unsigned, "it carries no signature"}
	}
	if s.timestamp == "" || s.nonce == "" || s.serial == "" || s.value == "" {
		return s, &unverifiedError{forged, "a signature header is missing"}
	}
	if t := h.Get(headerType); t != "" && t != signatureType {
		return s, &unverifiedError{forged, fmt.Sprintf("signature type %.40q", t)}
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return s, &unverifiedError{forged, "its timestamp is no number"}
	}
	s.at = time.Unix(seconds, 0)
	return s, nil
}

func refuseDuplicates(h http.Header) error {
	for name, values := range h {
		if len(values) > 1 && strings.HasPrefix(name, headerPrefix) {
			return &unverifiedError{forged, "header " + name + " came twice"}
		}
	}
	return nil
}

// verify checks value over timestamp, nonce and body, and that the time is within the window.
func (s signature) verify(key *rsa.PublicKey, body []byte, now time.Time) error {
	if err := verifySignature(key, answerText(s.timestamp, s.nonce, body), s.value); err != nil {
		return &unverifiedError{forged, err.Error()}
	}
	if off := s.at.Sub(now); off.Abs() >= window {
		return &unverifiedError{skewed, fmt.Sprintf("its time is %s from ours", off.Round(time.Second))}
	}
	return nil
}

// answerText is what an answer's signature covers: timestamp, nonce and body, each ended by LF. A 204 has an empty body.
func answerText(timestamp, nonce string, body []byte) []byte {
	text := make([]byte, 0, len(timestamp)+len(nonce)+len(body)+3)
	text = append(append(text, timestamp...), '\n')
	text = append(append(text, nonce...), '\n')
	return append(append(text, body...), '\n')
}

func verifySignature(key *rsa.PublicKey, text []byte, value string) error {
	if strings.HasPrefix(value, probePrefix) {
		return errors.New("probing traffic, made to fail")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return errors.New("the signature is not base64")
	}
	digest := sha256.Sum256(text)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) != nil {
		return errors.New("the signature does not fit the answer")
	}
	return nil
}
