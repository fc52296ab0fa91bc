package queue

import (
	"bytes"
	"path/filepath"
	"slices"
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
			f.heardLost = b.n + 1
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

// noStartCanTell: the first answer that this start believes is a replay, and a power cut took the file of what was heard, or a part of it, or no start ever heard
// that answer: the till's end came before it. Nothing is left on this PC by which it could be known. The second one is told by the first one's time.
func (c *fullCall) noStartCanTell() bool {
	f, b := c.till.form, c.till.b
	lost := f.heardLost == b.n || !f.heard[c.newestArrival().Nonce]
	return c.lastFault() == wxsim.Replayed && lost && !f.w.log.any(func(l worldLine) bool {
		return l.Kind == worldEnded && l.Boot == b.n && (l.Answer.Verified || l.Text == replayNobodyCanTell)
	})
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

func (l *worldLog) any(is func(worldLine) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, is)
}
