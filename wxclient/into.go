package wxclient

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/http"
)

// Into is where a body goes that is too long to be held in memory: a statement, piece by piece into its file.
type Into struct {
	// Max is how many bytes it may have once unpacked, 1 or more. A longer one is an error.
	Max int64
	// Begin returns what the body is written to. It is asked at the start of each answer's body: a call that is made again
	// on the next host starts afresh. It is asked, and written to, by the connection's own goroutine, never after the call.
	Begin func() (io.Writer, error)
}

// take writes the body of one answer. One that came compressed is unpacked.
func (i *Into) take(got *http.Response) error {
	to, err := i.Begin()
	if err != nil {
		return err
	}
	from := io.Reader(got.Body)
	if got.Header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(from); err != nil {
			return err
		}
	}
	n, err := io.Copy(to, io.LimitReader(from, i.Max+1))
	if err == nil && n > i.Max {
		err = fmt.Errorf("its body is over %d bytes", i.Max)
	}
	return err
}

// wireMax is how many bytes may come for it, framing and all.
func (i *Into) wireMax() int { return int(min(2*i.Max+framingMax, math.MaxInt32)) }
