package queue

import (
	"bytes"
	"path/filepath"
	"time"

	"posagent/payflow"
	"posagent/wxsim"
)

// heardSuffix is what the daemon adds to the journal's name for the client's file of what it heard.
const heardSuffix = ".heard"

// bootsIn is less than any PC takes from its power's going to the start of a till. What is back sooner was a process that was killed: systemd starts it
// again after two seconds, and nothing that it wrote is lost.
const bootsIn = 6 * time.Second

// loseHeard does to the file of what was heard what a power cut can do to one that is never synced: it is there, it is gone, or each of its sectors is
// there by lot.
func (f *fullForm) loseHeard(b *worldBoot) {
	name := filepath.Base(f.disk.cfg.File) + heardSuffix
	image, there := f.disk.platter[name]
	if !there || b.down < bootsIn {
		return
	}
	defer func() {
		if left, kept := f.disk.platter[name]; !kept || !bytes.Equal(left.content, image.content) {
			f.mu.Lock()
			defer f.mu.Unlock()
			clear(f.heard)
		}
	}()
	lot := f.disk.draw("heard", f.disk.starts)
	if lot.IntN(4) == 0 {
		delete(f.disk.platter, name)
		return
	}
	f.disk.platter[name] = torn(fileImage{}, image, lot, func(int) bool { return true })
}

// replayNobodyCanTell is the text of a call that was answered by what no start can tell.
const replayNobodyCanTell = "replay_nobody_can_tell"

// heardAnswer is an answer that a start believed.
type heardAnswer struct {
	boot   int
	signed time.Time
}

// freshWithin is how old a signed time may be, by this PC's clock where nothing better is known.
const freshWithin = 5*time.Minute + signedWithin

// signedWithin is how exactly the judge takes a signed time: it is cut off to the second, and a start's beginning is known to less than another.
const signedWithin = 2 * time.Second

// believes keeps what a start believed, and by when it must have begun.
func (till *fullTill) believes(a wxsim.Arrival) {
	f := till.form
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[a.Nonce] = heardAnswer{till.b.n, a.Signed}
	if least := a.Signed.Add(-time.Since(till.began)); least.After(till.least) {
		till.least = least
	}
}

// noStartCanTell: an earlier answer came again, or one that was signed long ago, and nothing on this PC tells it from a new one. No start believed it before, unless a power cut has taken the file
// of what was heard since, or a part of it. By what this start has believed it was not signed before the start, and not before anything that an earlier one heard
// and the file still says. What answers about certificates tell of a start the judge leaves out.
func (c *fullCall) noStartCanTell() bool {
	f, again := c.till.form, c.newestArrival()
	switch off := f.w.clock().Sub(again.Signed).Abs(); {
	case again.Fault == wxsim.Replayed || again.Fault == wxsim.ReplayedOther:
	case again.Fault == wxsim.Stale && off <= freshWithin: // this PC's clock was set back by as much
	default:
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, heard := f.heard[again.Nonce]; heard {
		return false
	}
	latest := c.till.least
	for _, was := range f.heard {
		if was.boot < c.till.b.n && was.signed.After(latest) {
			latest = was.signed
		}
	}
	return !again.Signed.Before(latest.Add(-signedWithin))
}

const reversedAnothers = "reversed another till's order" // a violation of the simulator's

// wasShown: before the newest reverse of the order left, its start had a verified answer that says whose the number is, or had it from the disk. Without
// one it can't know, and what it can't confirm it takes back: an answer that a crash, or a commit that failed, took along was never known to the next.
func (l *worldLog) wasShown(no payflow.OutTradeNo, before time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	shown, kept, atReverse := false, false, false
	for _, line := range l.lines {
		switch {
		case line.At > before:
		case line.Kind == worldBooted:
			shown = kept
		case line.No != no:
		case line.Kind == worldDurable:
			kept = shown
		case line.Kind == worldEnded && line.Answer.Verified:
			shown = shown || line.Answer.Says == payflow.Collision || line.Answer.Says == payflow.Found && !line.Answer.Ours
		case line.Kind == worldSent && line.Ask == payflow.ReverseCall:
			atReverse = shown
		}
	}
	return atReverse
}
