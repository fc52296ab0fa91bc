package v2

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posagent/payflow"
	"posagent/wxclient"
)

const (
	billMax    = 512 << 20 // bytes of plain text
	billWithin = 2 * time.Minute
	billHead   = 4 << 10 // bytes that are looked at to tell a bill from something else
	dayFormat  = "20060102"
)

// StatementFile is a day's bill as it was taken.
type StatementFile struct {
	Day      string // YYYYMMDD, WeChat Pay's day: midnight to midnight in GMT+8
	None     bool   // there is no bill of that day (yet). No file was written
	File     string // the plain text
	Bytes    int64
	SHA1     string // of the file, in hex
	Verified bool   // never, in API v2
	Doubt    string // why not
}

const billDoubt = "API v2 signs no bill: it came over verified TLS, and nothing else vouches for it"

// Statement downloads the bill of a day (YYYYMMDD, GMT+8) to a file (download bill, type ALL). It is streamed under a temporary name, at
// most 512 MiB, and takes its name once it is whole and looks like a bill: a power cut leaves the old file or the new one. Every error is a
// *payflow.LostError, but for the file's own, and leaves no file.
func (c *Client) Statement(ctx context.Context, day, file string) (StatementFile, error) {
	what := StatementFile{Day: day, Doubt: billDoubt}
	if _, err := time.Parse(dayFormat, day); err != nil {
		return what, wxclient.About("bill of", day, lost(payflow.ReasonConfiguration, errors.New("nothing was sent: the day is not YYYYMMDD")))
	}
	came, err := newTemporary(file)
	if err != nil {
		return what, err
	}
	defer came.remove()
	a, err := c.line.Ask(ctx, c.billCall(day, came))
	if err != nil {
		return what, wxclient.LostCall("bill of "+day, payflow.Order{}, err)
	}
	head, err := came.head()
	if err != nil {
		return what, err
	}
	if !came.begun || looksLikeXML(head) {
		return c.refusedBill(what, a, came)
	}
	return keepBill(what, came, head, file)
}

func (c *Client) billCall(day string, into *temporary) wxclient.Call {
	f := ids(c.merchant, 3)
	f.add("bill_date", day)
	f.add("bill_type", "ALL")
	f.add("tar_type", "GZIP")
	call := c.call("bill", "", billPath, f)
	call.Within, call.Into = billWithin, &wxclient.Into{Max: billMax, Begin: into.begin}
	return call
}

func looksLikeXML(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, "\ufeff \r\n\t"), []byte("<"))
}

// refusedBill reads the XML that comes instead of a bill. It carries no sign, so that there is none that day is a claim too: Doubt says so.
func (c *Client) refusedBill(what StatementFile, a wxclient.Answer, came *temporary) (StatementFile, error) {
	if came.begun {
		body, err := came.whole(messageMax)
		if err != nil {
			return what, err
		}
		a.Body = body
	}
	if m, err := readXML(a.Body, xmlRoot); err == nil && saysNoBill(m) {
		what.None = true
		return what, nil
	}
	_, err := hear(a)
	if err == nil {
		err = lost(payflow.ReasonUnverified, errNoBill)
	}
	return what, wxclient.About("bill of", what.Day, err)
}

// saysNoBill reads "No Bill Exist" with the number 20002, as the download answers for a day without trade, or too early.
func saysNoBill(m message) bool {
	return m[returnCode] == fail && (m["error_code"] == "20002" || strings.EqualFold(strings.TrimSpace(m["return_msg"]), "No Bill Exist"))
}

var errNoBill = errors.New("what came is no bill")

// keepBill unpacks what came, where it is packed, and gives it its name.
func keepBill(what StatementFile, came *temporary, head []byte, file string) (StatementFile, error) {
	plain := came
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		unpacked, err := came.unpacked(file)
		if err != nil {
			return what, wxclient.About("bill of", what.Day, err)
		}
		defer unpacked.remove()
		plain = unpacked
		if head, err = plain.head(); err != nil {
			return what, err
		}
	}
	if !looksLikeBill(head) {
		return what, wxclient.About("bill of", what.Day, lost(payflow.ReasonUnverified, errNoBill))
	}
	var err error
	if what.Bytes, what.SHA1, err = plain.digest(); err != nil {
		return what, err
	}
	what.File = file
	return what, plain.keep(file)
}

// looksLikeBill reports a first line of several columns.
func looksLikeBill(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return !looksLikeXML(head) && bytes.Count(first, []byte(",")) >= 5
}

// temporary is a file beside the one that it may become.
type temporary struct {
	*os.File
	begun bool // something of an answer was written
	kept  bool
}

func newTemporary(file string) (*temporary, error) {
	f, err := os.CreateTemp(filepath.Dir(file), ".bill-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("make a file for the bill: %w", err)
	}
	return &temporary{File: f}, nil
}

// begin empties it: a call that is made again starts afresh.
func (t *temporary) begin() (io.Writer, error) {
	t.begun = true
	if err := t.Truncate(0); err != nil {
		return nil, err
	}
	_, err := t.Seek(0, io.SeekStart)
	return t.File, err
}

func (t *temporary) head() ([]byte, error) { return t.first(billHead) }

func (t *temporary) whole(limit int) ([]byte, error) { return t.first(limit + 1) }

func (t *temporary) first(n int) ([]byte, error) {
	head, err := io.ReadAll(io.NewSectionReader(t.File, 0, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("read the bill back: %w", err)
	}
	return head, nil
}

func (t *temporary) reader() io.Reader { return io.NewSectionReader(t.File, 0, 1<<62) }

// unpacked writes what it holds to another temporary file, unpacked, within the bound. An archive that ends early, or that something
// follows, is no bill.
func (t *temporary) unpacked(file string) (*temporary, error) {
	from, err := gzip.NewReader(t.reader())
	if err != nil {
		return nil, lost(payflow.ReasonUnverified, fmt.Errorf("%w: %w", errNoBill, err))
	}
	to, err := newTemporary(file)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(to, io.LimitReader(from, billMax+1))
	if err == nil && n > billMax {
		err = fmt.Errorf("over %d bytes", billMax)
	}
	if err != nil {
		to.remove()
		return nil, lost(payflow.ReasonUnverified, fmt.Errorf("unpack the bill: %w", err))
	}
	return to, nil
}

func (t *temporary) digest() (int64, string, error) {
	sum := sha1.New()
	n, err := io.Copy(sum, t.reader())
	if err != nil {
		return 0, "", fmt.Errorf("read the bill back: %w", err)
	}
	return n, hex.EncodeToString(sum.Sum(nil)), nil
}

// keep gives it its name once it is on disk.
func (t *temporary) keep(file string) error {
	err := t.Sync()
	if err == nil {
		err = os.Rename(t.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("keep the bill: %w", err)
	}
	t.kept = true
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("keep the bill: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("keep the bill: %w", err)
	}
	return nil
}

// remove closes it, and deletes it unless it was kept.
func (t *temporary) remove() {
	t.Close()
	if !t.kept {
		os.Remove(t.Name())
	}
}
