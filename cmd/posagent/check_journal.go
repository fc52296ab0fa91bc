package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"posagent/health"
	"posagent/queue"
)

// reserveBytes is the size that the reserve beside the journal has when it was not given up; queue's default.
const reserveBytes = 8 << 20

// checkJournal checks the file, its key, its disk, and that nobody else holds it. It writes nothing into the journal.
func (c *checker) checkJournal(ctx context.Context) {
	cfg := journalOptions{}.config(c.cfg)
	j, err := openToRead(cfg)
	var open *queue.OpenError
	switch {
	case err == nil:
		c.journalOpened(ctx, j)
	case !errors.As(err, &open):
		c.failBy("journal", err)
		return
	case open.Kind == queue.OpenAbsent:
		c.ok("journal", "there is none yet; the first start makes %s", c.cfg.Journal.File)
	case open.Kind == queue.OpenLocked:
		c.journalHeld(open)
	default:
		c.failBy("journal", open)
	}
	writable := c.journalWritable(open == nil || open.Kind != queue.OpenAbsent)
	c.journalKey(cfg.KeyFile)
	if writable {
		c.keyFolder(cfg.KeyFile)
	}
	c.journalDisk()
}

// journalOpened checks the whole of a journal that nobody else holds, as far as the time allows.
func (c *checker) journalOpened(ctx context.Context, j *queue.Journal) {
	defer j.Close()
	within, stop := context.WithTimeout(ctx, checkJournalWithin)
	defer stop()
	report, err := j.Verify(within, nil)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.ok("journal", "opens, ends at entry %d; it is too large to be verified here: posagent journal verify", j.Head().Sequence)
	case err != nil:
		c.failBy("journal", err)
	case !report.Clean():
		w, _ := health.Find(health.JournalFinding)
		first := report.Findings[0]
		c.fail("journal", fmt.Sprintf("%d findings, the first: %s: %s", len(report.Findings), first.Kind, first.Text), w.NextStep.EN)
	default:
		c.ok("journal", "%d entries, %d payments, nothing is wrong", report.Events, report.Payments)
	}
}

// journalHeld: a journal is held by its daemon, and by no one else.
func (c *checker) journalHeld(open *queue.OpenError) {
	if c.daemon == nil {
		what, _ := splitAdvice(open.Text)
		c.fail("journal", what+", but none answers on "+c.apiPlace(),
			"a second daemon can't work on the same journal: find that process (ps -p NUMBER) and stop it, or give this till a journal of its own in [journal] file")
		return
	}
	at := c.daemon.Journal
	switch {
	case at.Finding != "":
		w, _ := health.Find(health.JournalFinding)
		c.fail("journal", "the running posagent found: "+at.Finding, w.NextStep.EN)
	case at.ReadOnly:
		c.known("journal", health.JournalUnwritable, "says the running posagent")
	default:
		c.ok("journal", "held by the running posagent, entry %d, %d payments open", at.Sequence, at.Open)
	}
}

// journalWritable tries what a start does: the file opens for writing, and its folder takes a file.
func (c *checker) journalWritable(there bool) bool {
	file := c.cfg.Journal.File
	folder := filepath.Dir(file)
	if there {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				c.known("journal writable", health.JournalUnwritable, plainCause(err))
			}
			return false
		}
		_ = f.Close()
	}
	err := takesAFile(folder)
	if errors.Is(err, fs.ErrNotExist) {
		c.fail("journal writable", "the folder "+folder+" is not there", "make it: install -d -o posagent -g posagent -m 0700 "+folder)
		return false
	}
	if err != nil {
		c.known("journal writable", health.JournalUnwritable, folder+": "+plainCause(err))
		return false
	}
	if stranger := strangeOwner(file); stranger != "" {
		c.fail("journal writable", stranger, "give it back to the service: chown --reference="+folder+" "+folder+"/*")
		return false
	}
	c.ok("journal writable", "%s", folder)
	return true
}

// takesAFile makes a file of a page in a folder, and takes it away again.
func takesAFile(folder string) error {
	probe, err := os.CreateTemp(folder, ".check-*")
	if err != nil {
		return err
	}
	_, err = probe.Write(make([]byte, 4096))
	return errors.Join(err, probe.Sync(), probe.Close(), os.Remove(probe.Name()))
}

// keyFolder tries what each start and each ten seconds of selling do: write a small file beside the key, and put it in the place of an older one. A folder that is
// not there is made by the first start.
func (c *checker) keyFolder(key string) {
	folder := filepath.Dir(key)
	err := takesAFile(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		c.known("journal key folder", health.KeyFolder, folder+": "+plainCause(err))
		return
	}
	for _, file := range []string{key, key + ".head", key + ".head.new", key + ".starts", key + ".starts.new"} {
		if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() && file != key {
			c.known("journal key folder", health.KeyFolder, file+" is no file")
			return
		}
		if stranger := strangeOwner(file); stranger != "" {
			c.known("journal key folder", health.KeyFolder, stranger)
			return
		}
	}
	if stranger := strangeOwner(folder); stranger != "" {
		c.known("journal key folder", health.KeyFolder, stranger)
		return
	}
	c.ok("journal key folder", "%s", folder)
}

// journalKey looks at the key without reading it. A key that is not there is told by opening the journal.
func (c *checker) journalKey(file string) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		c.fail("journal key", plainCause(err), "see that this user may read "+file)
	case info.Mode().Perm()&0o077 != 0:
		c.known("journal key", health.SecretReadable, fmt.Sprintf("%s has mode %04o", file, info.Mode().Perm()))
	default:
		c.ok("journal key", "%s, changed %s; keep a copy of it off this PC", file, info.ModTime().Format(time.DateOnly))
	}
}

// journalDisk checks the room, the reserve, and the one fault of a file system that is known to lose synced data.
func (c *checker) journalDisk() {
	file := c.cfg.Journal.File
	free, err := diskFree(file)
	switch {
	case err != nil: // the folder is not there: told above
	case free < 1<<20:
		c.known("disk", health.DiskFull, fmt.Sprintf("%d KiB free", free>>10))
	case free < diskLowBytes:
		c.known("disk", health.DiskNearlyFull, fmt.Sprintf("%d MiB free", free>>20))
	default:
		c.ok("disk", "%d MiB free", free>>20)
	}
	if _, err := os.Stat(file); err == nil {
		c.reserve(file + ".reserve")
	}
	c.fastCommit(file)
}

func (c *checker) reserve(file string) {
	info, err := os.Stat(file)
	if err != nil || info.Size() < reserveBytes {
		c.warn("disk reserve", "the room that is kept for finishing open payments on a full disk is not there", "make room on the disk; posagent makes "+file+" by itself, while it runs and at each start")
		return
	}
	c.ok("disk reserve", "%d MiB kept for finishing open payments on a full disk", info.Size()>>20)
}
