package till

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const eventLineMax = 256 << 10 // bytes of one line of a stream

// StreamEvent is one event of the daemon's stream: exactly one of its pointers is set, or none for an event of a later version.
type StreamEvent struct {
	Journal *JournalEntry
	Payment *Payment
	Refund  *Refund
	Alive   *Alive
}

// Events calls each for everything that happens, beginning behind a journal sequence (0: with what happens from now on), until ctx ends
// or each returns an error, which it returns. A daemon that is away is waited for, and no journal entry is left out.
func (c *Client) Events(ctx context.Context, after uint64, each func(StreamEvent) error) error {
	for {
		last, err := c.stream(ctx, after, each)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !passing(err) {
			return err
		}
		after = last
		pause(ctx, clientRetry)
	}
}

// stream reads one connection's events and returns the last sequence that it saw.
func (c *Client) stream(ctx context.Context, after uint64, each func(StreamEvent) error) (uint64, error) {
	header := http.Header{}
	if after > 0 {
		header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r, err := c.newRequest(ctx, http.MethodGet, "/v1/events", nil, header)
	if err != nil {
		return after, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return after, &UnreachableError{Where: c.where, Err: bare(err)}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return after, c.refusal(answer)
	}
	silence := time.AfterFunc(5*aliveEvery, stop) // a live daemon says so each second
	defer silence.Stop()
	return readEvents(answer.Body, after, func() { silence.Reset(5 * aliveEvery) }, each)
}

// readEvents hands over the events in a stream; an event counts as seen once it is whole and was taken.
func readEvents(body io.Reader, after uint64, alive func(), each func(StreamEvent) error) (uint64, error) {
	seen, event, data := after, "", ""
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, eventLineMax)
	for lines.Scan() {
		alive()
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return after, fmt.Errorf("read the event stream: %w", err)
			}
			seen = id
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if err := handEvent(event, data, each); err != nil {
				return after, err
			}
			after, event, data = seen, "", ""
		}
	}
	return after, nil // a stream that breaks off is opened again
}

func (c *Client) refusal(answer *http.Response) error {
	text, err := readAll(answer)
	if err != nil {
		return &UnreachableError{Where: c.where, Err: bare(err)}
	}
	return c.read(answer, text, nil)
}

func handEvent(event, data string, each func(StreamEvent) error) error {
	var e StreamEvent
	var into any
	switch event {
	case "journal":
		e.Journal = &JournalEntry{}
		into = e.Journal
	case "payment":
		e.Payment = &Payment{}
		into = e.Payment
	case "refund":
		e.Refund = &Refund{}
		into = e.Refund
	case "alive":
		e.Alive = &Alive{}
		into = e.Alive
	default:
		return nil
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return fmt.Errorf("read a %s event: %w", event, err)
	}
	return each(e)
}
