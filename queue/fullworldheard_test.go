package queue

import (
	"path/filepath"
	"time"
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
	lot := f.disk.draw("heard", f.disk.starts)
	if lot.IntN(4) == 0 {
		delete(f.disk.platter, name)
		return
	}
	f.disk.platter[name] = torn(fileImage{}, image, lot, func(int) bool { return true })
}
