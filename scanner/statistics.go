package scanner

import (
	"maps"
	"sync"
	"time"
)

// reasonsMax bounds the reasons that are counted one by one; there are some twenty.
const reasonsMax = 32

// otherReasons counts what comes with a reason beyond the bound.
const otherReasons = "other"

// Statistics are what one scanner has done since the program began, as the statistics of UnifiedPOS devices count it. No
// code or part of one is in it.
type Statistics struct {
	Good       uint64                 // scans that were taken as a payment code
	Refused    map[string]uint64      // scans that were not taken, by reason: while the till was not ready for one, and wrong codes
	Misread    map[TroubleCode]uint64 // what came from the device and was no scan: noise, a wrong parity, lost keys
	Overrun    uint64                 // events that were lost because the program was slow
	Unplugs    uint64                 // how often the device went away
	Ready      time.Duration          // how long it was ready
	LastSeenAt time.Time              // the last scan of any sort, or zero
	LastGoodAt time.Time              // the last scan that was taken, or zero
}

// RefusedInAll is the number of scans that were not taken.
func (s Statistics) RefusedInAll() uint64 { return sum(s.Refused) }

// MisreadInAll is the number of times that something came that was no scan.
func (s Statistics) MisreadInAll() uint64 { return sum(s.Misread) }

func sum[K comparable](counts map[K]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// Counter counts what one scanner does. The zero value is ready for use, from several goroutines.
type Counter struct {
	mu         sync.Mutex // guards the rest
	counted    Statistics
	readySince time.Time // zero unless the device is ready
}

// Note counts what an event says by itself: a change of state, something that was no scan, and what was lost. Whether a
// scan was good is said by Taken.
func (c *Counter) Note(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted.Overrun = max(c.counted.Overrun, e.Dropped)
	switch e.Kind {
	case KindScan:
		c.counted.LastSeenAt = e.At
	case KindNoise:
		c.counted.LastSeenAt = e.At
		count(&c.counted.Misread, e.Trouble.Code)
	case KindState:
		c.enter(e)
	}
}

func (c *Counter) enter(e Event) {
	if e.State == Lost && !c.readySince.IsZero() { // what is away is told again when another comes or goes
		c.counted.Unplugs++
	}
	if !c.readySince.IsZero() {
		c.counted.Ready += e.At.Sub(c.readySince)
		c.readySince = time.Time{}
	}
	if e.State == Ready {
		c.readySince = e.At
	}
}

// Taken counts what became of a scan: an empty reason is a scan that was taken as a payment code at that time.
func (c *Counter) Taken(reason string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reason != "" {
		count(&c.counted.Refused, reason)
		return
	}
	c.counted.Good++
	c.counted.LastGoodAt = at
}

// Statistics returns the counts as they stand now.
func (c *Counter) Statistics(now time.Time) Statistics {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counted
	s.Refused, s.Misread = maps.Clone(s.Refused), maps.Clone(s.Misread)
	if !c.readySince.IsZero() {
		s.Ready += now.Sub(c.readySince)
	}
	return s
}

// count adds one to a reason, or to the reasons beyond the bound.
func count[K ~string](counts *map[K]uint64, reason K) {
	if *counts == nil {
		*counts = map[K]uint64{}
	}
	if _, known := (*counts)[reason]; !known && len(*counts) >= reasonsMax-1 {
		reason = otherReasons
	}
	(*counts)[reason]++
}
