package wxclient

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The bounds of rule 10.
const (
	clockWarn    = 60 * time.Second  // from here on the operator is told
	clockCorrect = 240 * time.Second // from here on the corrected clock signs and verifies: WeChat Pay allows 300 s
	clockAgree   = 5 * time.Second   // two answers that differ by more drop the correction
	window       = 300 * time.Second // an answer whose time is this far from ours or farther is not accepted
)

// clock is the PC's clock and how far it is off, learnt from the signed Wechatpay-Timestamp of verified answers.
type clock struct {
	pc         func() time.Time
	conditions *conditions

	mu      sync.Mutex    // guards all below
	heard   bool          // offset holds an answer's time
	known   bool          // and no other contradicted it
	offset  time.Duration // WeChat Pay's time minus the PC's
	heardAt time.Time     // the PC's clock then, with its monotonic reading
	dated   bool          // dateOffset holds what a Date header said, for want of a signed time
	// dateOffset is the Date header's time minus the PC's, to a second.
	dateOffset time.Duration
}

// Now returns the PC's time, or the corrected time where the PC's clock is off by 240 s or more.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.pc()
	c.noticeStep(now)
	if c.known && c.offset.Abs() >= clockCorrect {
		return now.Add(c.offset)
	}
	return now
}

// noticeStep drops the correction when somebody has set the PC's clock (or the PC has slept) since it was measured.
func (c *clock) noticeStep(now time.Time) {
	if !c.known {
		return
	}
	byWall, byMonotonic := now.Round(0).Sub(c.heardAt.Round(0)), now.Sub(c.heardAt)
	if (byWall - byMonotonic).Abs() > clockAgree {
		c.known, c.heard = false, false
	}
}

// observe learns from a verified answer: its signed time, and when by the PC's clock its request went and it came.
func (c *clock) observe(signed, sent, got time.Time) {
	if took := got.Sub(sent); took > clockAgree || took < 0 {
		return // too blunt to measure with
	}
	offset := signed.Sub(got.Round(0))
	c.mu.Lock()
	c.noticeStep(got)
	c.known = !c.heard || (offset-c.offset).Abs() <= clockAgree
	c.heard, c.offset, c.heardAt = true, offset, got
	known := c.known
	c.mu.Unlock()
	c.report(known, offset)
}

// forget drops what was heard: WeChat Pay has just refused the time that it led to.
func (c *clock) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard, c.known = false, false
}

func (c *clock) report(known bool, offset time.Duration) {
	switch {
	case !known:
	case offset.Abs() < clockWarn:
		c.conditions.over(ClockOff)
	default:
		c.conditions.begin(Condition{Kind: ClockOff, Offset: offset, Red: offset.Abs() >= clockCorrect, Text: clockOffText(offset)})
	}
}

func (c *clock) state() (offset time.Duration, known, corrected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known && c.dated {
		return c.dateOffset, true, false
	}
	return c.offset, c.known, c.known && c.offset.Abs() >= clockCorrect
}

// compare is for an API whose answers carry no signed time: the Date header of a verified answer is shown, and corrects nothing.
func (c *clock) compare(a answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if took := a.gotAt.Sub(a.sentAt); err != nil || took > clockAgree || took < 0 {
		return
	}
	offset := date.Sub(a.gotAt.Round(0))
	c.mu.Lock()
	c.dated, c.dateOffset = true, offset
	c.mu.Unlock()
	c.report(true, offset)
}

// hint returns how far the PC's clock seems off by an answer's Date header, or for want of one by a signed time that may be
// a replay. It serves the message to the operator and the certificates call, and nothing else.
func (c *clock) hint(a answer) (time.Duration, bool) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		s, unreadable := readSignature(a.header)
		date, err = s.at, unreadable
	}
	return date.Sub(a.gotAt.Round(0)), err == nil
}

func clockOffText(offset time.Duration) string {
	direction := "behind"
	if offset < 0 {
		direction = "ahead"
	}
	return fmt.Sprintf("the PC clock is %s %s; set date and time, and turn on automatic time", offset.Abs().Round(time.Second), direction)
}

// clockShowsText says what the PC's clock shows, for a clock with which no TLS certificate is valid.
func clockShowsText(now time.Time) string {
	shows := "the PC clock shows " + now.UTC().Format("2006-01-02 15:04") + " UTC"
	if now.Year() < 2000 {
		return shows + ", as a PC with an empty clock battery does; set date and time, and have the battery changed"
	}
	return shows + "; if that is wrong, set date and time, and turn on automatic time"
}
