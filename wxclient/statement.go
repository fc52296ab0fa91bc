package wxclient

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posagent/payflow"
)

const (
	statementTarget = "/v3/global/statements"
	headerStatement = "Wechatpay-Statement-Sha1"
)

// StatementFile is a day's statement as it was taken.
type StatementFile struct {
	Day      string // YYYYMMDD, WeChat Pay's day: midnight to midnight in GMT+8
	None     bool   // there is no statement of that day (yet): nothing was traded, or it is before about 10:15 of the next day. No file was written
	File     string // the plain text, see ReadStatement
	Bytes    int64
	SHA1     string // of the file, in hex
	Verified bool   // WeChat Pay signed this very digest
	Doubt    string // why it is not verified
}

// Statement downloads the statement of a day (YYYYMMDD, GMT+8; up to 180 days back) to a file (download reconciliation). It is
// streamed under a temporary name, at most 512 MiB, and takes its name once its digest and the digest's signature were checked: a
// power cut leaves the old file or the new one. Where WeChat Pay sends no signature, or a digest that is no SHA-1, the file is kept and says so;
// see "Statement digest" in docs/wechat-pay.md. Every error is a *payflow.LostError, but for the file's own, and leaves no file.
func (c *Client) Statement(ctx context.Context, day, file string) (StatementFile, error) {
	call := "statement of " + day
	if _, err := time.Parse(dayFormat, day); err != nil {
		return StatementFile{}, lost(payflow.ReasonConfiguration, fmt.Errorf("statement: nothing was sent: day %.20q is not YYYYMMDD", day))
	}
	s := &statement{StatementFile: StatementFile{Day: day, File: file}, client: c}
	a, err := c.downloadSigned(ctx, request{call: "statement", method: http.MethodGet, target: c.statementTarget(day)}, func(a answer, plain io.Reader) error {
		return s.take(ctx, a, plain)
	})
	switch l := (*payflow.LostError)(nil); {
	case errors.As(err, new(*fileError)):
		return StatementFile{}, fmt.Errorf("%s: %w", call, err)
	case errors.As(err, &l):
		return StatementFile{}, about(call, payflow.Order{}, err)
	case err != nil:
		return StatementFile{}, lostCall(call, payflow.Order{}, err)
	case a.status != http.StatusOK:
		none, err := c.noStatement(ctx, day, a)
		if err != nil {
			return StatementFile{}, about(call, payflow.Order{}, err)
		}
		return none, nil
	}
	return s.StatementFile, nil
}

// statementTarget writes the query in the order of the published example.
func (c *Client) statementTarget(day string) string {
	target := statementTarget + "?date=" + day
	if c.merchant.Mode == payflow.Institution {
		return target + "&sp_mchid=" + url.QueryEscape(c.merchant.MerchantID) + "&sub_mchid=" + url.QueryEscape(c.merchant.SubMerchantID)
	}
	return target + "&mchid=" + url.QueryEscape(c.merchant.MerchantID)
}

// noStatement reads a refusal.
func (c *Client) noStatement(ctx context.Context, day string, a answer) (StatementFile, error) {
	t := readTrouble(a)
	var said error
	if !noStatementCodes[t.Code] || a.status < 400 || a.status >= 500 {
		said = unlisted(a, t)
	}
	trust := c.verify(ctx, a)
	c.noteAnswer(a, payflow.Outcome{Code: t.Code}, trust)
	if err := believed(payflow.Outcome{}, said, trust); err != nil {
		return StatementFile{}, err
	}
	c.noteBelieved(t.Code)
	return StatementFile{Day: day, None: true}, nil
}

// statement is one being taken.
type statement struct {
	StatementFile
	client *Client
}

// fileError is a file that could not be written: no fault of WeChat Pay's.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// take judges the head of the answer, and then streams its body to the file.
func (s *statement) take(ctx context.Context, a answer, plain io.Reader) error {
	promised := a.header.Get(headerStatement)
	if err := s.trust(ctx, a, promised); err != nil {
		return err
	}
	return s.keep(plain, func() error {
		if isSHA1(promised) && !strings.EqualFold(promised, s.SHA1) {
			return lost(payflow.ReasonUnverified, fmt.Errorf("its digest is %s, and %s was promised", s.SHA1, promised))
		}
		return nil
	})
}

// keep streams a statement's text under a temporary name, and gives it its name once it is whole, good and on disk. Bytes and SHA1 are
// set before good is asked.
func (s *StatementFile) keep(plain io.Reader, good func() error) error {
	folder := filepath.Dir(s.File)
	f, err := os.CreateTemp(folder, filepath.Base(s.File)+".*")
	if err != nil {
		return &fileError{err}
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := s.stream(f, plain); err != nil {
		return err
	}
	if err := good(); err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.File)
	}
	if err == nil {
		err = syncFolder(folder)
	}
	if err != nil {
		return &fileError{err}
	}
	return nil
}

// trust checks the signature, which is over {"sha1":"…"} and not over the text itself. A wrong one ends it; none at all, or one over
// what is no SHA-1, leaves a doubt.
func (s *statement) trust(ctx context.Context, a answer, promised string) error {
	s.Verified, s.Doubt = false, ""
	switch {
	case a.header.Get(headerSignature) == "":
		s.Doubt = "WeChat Pay did not sign its digest"
		return nil
	case !isSHA1(promised):
		s.Doubt = "WeChat Pay named no SHA-1 digest of it"
		return nil
	}
	a.body = []byte(`{"sha1":"` + promised + `"}`)
	trust := s.client.verify(ctx, a)
	if trust != nil {
		return believed(payflow.Outcome{}, nil, trust)
	}
	s.Verified = true
	return nil
}

func isSHA1(text string) bool {
	digest, err := hex.DecodeString(text)
	return err == nil && len(digest) == sha1.Size
}

func (s *StatementFile) stream(to io.Writer, plain io.Reader) error {
	digest := sha1.New()
	file := &fileWriter{to: to}
	n, err := io.Copy(io.MultiWriter(file, digest), plain)
	if file.err != nil {
		return &fileError{file.err}
	}
	s.Bytes, s.SHA1 = n, hex.EncodeToString(digest.Sum(nil))
	return err
}

// fileWriter remembers what went wrong with the file, as against with the download.
type fileWriter struct {
	to  io.Writer
	err error
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}
