package v2

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

const (
	billMax   = 512 << 20 // bytes of plain text
	billHead  = 4 << 10   // bytes that are looked at to tell a bill from something else
	dayFormat = "20060102"
)

const billDoubt = "API v2 signs no bill: it came over verified TLS, and nothing else vouches for it"

// Statement downloads the bill of a day (YYYYMMDD, GMT+8) to a file (download bill, type ALL), as wxclient.Client.Statement does. A bill
// is never Verified, and that there is none is no more than a claim: neither carries a sign. Every error is a *payflow.LostError, but
// for the file's own, and leaves no file.
func (c *Client) Statement(ctx context.Context, day, file string) (wxclient.StatementFile, error) {
	const call = "bill of"
	if _, err := time.Parse(dayFormat, day); err != nil {
		return wxclient.StatementFile{}, wxclient.About(call, day, lost(payflow.ReasonConfiguration, errors.New("nothing was sent: the day is not YYYYMMDD")))
	}
	var kept wxclient.StatementFile
	a, err := c.line.Download(ctx, c.billCall(day), func(a wxclient.Answer, came io.Reader) (err error) {
		kept = wxclient.StatementFile{Day: day, File: file, Doubt: billDoubt}
		return takeBill(&kept, a, came)
	})
	switch l := (*payflow.LostError)(nil); {
	case err == nil && a.Status != http.StatusOK:
		_, err = hear(a)
		return wxclient.StatementFile{}, wxclient.About(call, day, err)
	case wxclient.NotKept(err):
		return wxclient.StatementFile{}, fmt.Errorf("%s %s: %w", call, day, err)
	case errors.As(err, &l):
		return wxclient.StatementFile{}, wxclient.About(call, day, err)
	case err != nil:
		return wxclient.StatementFile{}, wxclient.LostCall(call+" "+day, payflow.Order{}, err)
	}
	return kept, nil
}

func (c *Client) billCall(day string) wxclient.Call {
	f := ids(c.merchant, 3)
	f.add("bill_date", day)
	f.add("bill_type", "ALL")
	f.add("tar_type", "GZIP")
	return c.call("bill", "", billPath, f)
}

var errNoBill = errors.New("what came is no bill")

// takeBill keeps a bill, packed or plain, or reads the XML that comes instead of one.
func takeBill(kept *wxclient.StatementFile, a wxclient.Answer, came io.Reader) error {
	from := bufio.NewReaderSize(came, billHead)
	head, err := from.Peek(billHead)
	switch {
	case err != nil && err != io.EOF:
		return err
	case looksLikeXML(head):
		return refusedBill(kept, a, from)
	case bytes.HasPrefix(head, gzipMagic):
		return unpackBill(kept, from)
	}
	return keepBill(kept, from)
}

var gzipMagic = []byte{0x1f, 0x8b}

func looksLikeXML(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, "\ufeff \r\n\t"), []byte("<"))
}

// refusedBill reads a refusal. "No Bill Exist", or its number 20002, says that the day has none, or none yet.
func refusedBill(kept *wxclient.StatementFile, a wxclient.Answer, from io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(from, messageMax+1))
	if err != nil {
		return err
	}
	a.Body = body
	m, err := readXML(body, xmlRoot)
	if err == nil && m[returnCode] == fail && (m["error_code"] == "20002" || strings.EqualFold(strings.TrimSpace(m["return_msg"]), "No Bill Exist")) {
		*kept = wxclient.StatementFile{Day: kept.Day, None: true, Doubt: billDoubt}
		return nil
	}
	if _, err := hear(a); err != nil {
		return err
	}
	return lost(payflow.ReasonUnverified, errNoBill)
}

func unpackBill(kept *wxclient.StatementFile, from io.Reader) error {
	plain, err := gzip.NewReader(from)
	if err == nil {
		err = keepBill(kept, bufio.NewReaderSize(io.LimitReader(plain, billMax+1), billHead))
	}
	if err == nil || wxclient.NotKept(err) || errors.Is(err, errNoBill) {
		return err
	}
	return lost(payflow.ReasonUnverified, fmt.Errorf("%w: unpack: %w", errNoBill, err))
}

func keepBill(kept *wxclient.StatementFile, plain *bufio.Reader) error {
	head, err := plain.Peek(billHead)
	if err != nil && err != io.EOF {
		return err
	}
	if !looksLikeBill(head) {
		return lost(payflow.ReasonUnverified, errNoBill)
	}
	return kept.Keep(plain, func() error {
		if kept.Bytes > billMax {
			return lost(payflow.ReasonUnverified, fmt.Errorf("%w: over %d bytes", errNoBill, billMax))
		}
		return nil
	})
}

// looksLikeBill reports a first line of several columns.
func looksLikeBill(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return !looksLikeXML(head) && bytes.Count(first, []byte(",")) >= 5
}
