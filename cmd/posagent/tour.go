package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"posagent/payflow"
	"posagent/till"
)

// tourLimit bounds the whole tour, so that a story that hangs is told as one.
const tourLimit = 170 * time.Second

// tour tells a day's stories on several tills at once, each till a daemon in a process of its own, and compares the books at the end.
type tour struct {
	out    io.Writer
	trial  *trial
	remote *trial // another one, whose network the stories about the network disturb
	words  till.Words
	dir    string
	plant  bool // plant a difference in WeChat Pay's books, to see it found

	mu      sync.Mutex // guards out and all below
	began   time.Time
	told    int
	failed  []string
	tills   []*trialTill
	journal [][]payflow.Entry
	refunds []payflow.RefundEntry
}

// lane is one till's share of the stories, told one after the other.
type lane struct {
	till    string
	config  trialConfig
	stories []tourStory
}

// tourStory is one story. It says what the cashier sees, and returns an error when that is not what must be.
type tourStory struct {
	title string
	tell  func(ctx context.Context, t *trialTill, s *telling) error
}

// run tells every story and returns nil only when each ended as it must and the books agree.
func (t *tour) run(ctx context.Context, began time.Time) error {
	t.began = began
	ctx, cancel := context.WithTimeout(ctx, tourLimit)
	defer cancel()
	lanes := t.lanes()
	fmt.Fprintf(t.out, "A day at %d tills, against simulated WeChat Pay on this machine. Each till is a posagent daemon with a serial scanner.\n", len(lanes))
	fmt.Fprintf(t.out, "The stories run side by side; each is printed when it has ended. State: %s\n\n", t.dir)
	var running sync.WaitGroup
	for _, l := range lanes {
		running.Go(func() { t.runLane(ctx, l) })
	}
	running.Wait()
	t.closeTills(context.WithoutCancel(ctx))
	return t.settle()
}

func (t *tour) runLane(ctx context.Context, l lane) {
	tt, err := openTrialTill(filepath.Join(t.dir, l.till), l.till, l.config)
	if err != nil {
		t.fail(l.till, err)
		return
	}
	t.mu.Lock()
	t.tills = append(t.tills, tt)
	t.mu.Unlock()
	if err := errors.Join(tt.start(ctx), tt.awaitReady(ctx)); err != nil {
		t.fail(l.till, err)
		return
	}
	for _, story := range l.stories {
		s := &telling{began: time.Now()}
		err := story.tell(ctx, tt, s)
		t.print(l.till, story.title, s, err)
		if err != nil {
			return
		}
	}
}

func (t *tour) print(till, title string, s *telling, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told++
	fmt.Fprintf(t.out, "%d. %s (till %s)\n", t.told, title, till)
	s.writeTo(t.out)
	if err != nil {
		t.failed = append(t.failed, title)
		fmt.Fprintf(t.out, "  FAILED: %s\n", err)
	}
	fmt.Fprintln(t.out)
}

func (t *tour) fail(till string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, till)
	fmt.Fprintf(t.out, "till %s FAILED: %s\n\n", till, err)
}

// closeTills stops every daemon and reads its journal.
func (t *tour) closeTills(ctx context.Context) {
	for _, tt := range t.tills {
		if err := tt.close(); err != nil {
			t.fail(tt.name, err)
		}
		entries, refunds, err := tt.book(ctx)
		if err != nil {
			t.fail(tt.name, err)
			continue
		}
		t.journal = append(t.journal, entries)
		t.refunds = append(t.refunds, refunds...)
	}
}

// settle compares WeChat Pay's books with every journal.
func (t *tour) settle() error {
	books := slices.Concat(t.trial.books(), t.remote.books())
	if t.plant && len(books) > 0 {
		books[0].Held++
		fmt.Fprintln(t.out, "(a difference of one cent is planted in WeChat Pay's books)")
	}
	differences := append(compareBooks(books, t.journal...), compareRefunds(books, t.refunds)...)
	fmt.Fprintln(t.out, "The simulator's books against the journals, line by line:")
	tellBooks(t.out, books, differences, t.journal...)
	took := time.Since(t.began).Round(time.Second)
	if len(t.failed) > 0 || len(differences) > 0 {
		return &Failure{What: fmt.Sprintf("the tour found %d stories that ended wrong and %d differences in the books, after %s", len(t.failed), len(differences), took),
			Next: "look at the daemons' logs in " + t.dir}
	}
	fmt.Fprintf(t.out, "\n%d stories, %d orders, refunds: %d, %d tills, %s: every story ended as it must, and the books agree.\n", t.told, len(books), len(t.refunds), len(t.tills), took)
	return nil
}

// screen tells what the cashier's screen shows of a payment, once for each change of it.
func (s *telling) screen(p till.Payment) {
	line := fmt.Sprintf("screen: %-10s %s  ->  %s", p.Status, p.Message.EN, p.NextStep.EN)
	if p.Attention != "" {
		line += "  [a person must look: " + string(p.Attention) + "]"
	}
	if s.showsAlready(line) {
		return
	}
	s.say("%s", line)
	s.say("        %s  ->  %s", p.Message.ZhHant, p.NextStep.ZhHant)
	if p.SaleMayUseOtherMeans && !p.Final {
		s.say("        other means are allowed from here on")
	}
}

func (s *telling) showsAlready(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := s.shown == line
	s.shown = line
	return same
}

// sell arms a payment, scans a code and follows it until it is final.
func sell(ctx context.Context, tt *trialTill, s *telling, sale string, minor int64, code string) (till.Payment, error) {
	p, err := armAndScan(ctx, tt, s, sale, minor, code)
	if err != nil {
		return p, err
	}
	p, err = tt.until(ctx, p.ID, s.screen, func(p till.Payment) bool { return p.Final })
	if err != nil {
		return p, err
	}
	return p, handOver(ctx, tt, s, p)
}

func armAndScan(ctx context.Context, tt *trialTill, s *telling, sale string, minor int64, code string) (till.Payment, error) {
	p, err := tt.arm(ctx, sale, minor)
	if err != nil {
		return p, err
	}
	s.say("cashier enters %s for sale %s", p.AmountText, sale)
	s.screen(p)
	s.say("customer shows a code; the scanner reads it")
	return p, tt.scan(code)
}

// handOver acknowledges a result as a cashier does, and prints the slip.
func handOver(ctx context.Context, tt *trialTill, s *telling, p till.Payment) error {
	p, err := tt.client.Acknowledge(ctx, p.ID, till.AcknowledgeBody{Operator: "P001"})
	if err != nil {
		return err
	}
	s.say("cashier confirms: %s", p.How)
	return nil
}

func mustEnd(p till.Payment, status payflow.Status, reason payflow.Reason) error {
	if p.Status != status || (reason != "" && p.Reason != reason) {
		return fmt.Errorf("ended %s (%s), must end %s (%s)", p.Status, p.Reason, status, reason)
	}
	return nil
}

// copyJournal copies a stopped till's journal with its key, as somebody does who clones a PC.
func copyJournal(from, to string) error {
	if err := os.MkdirAll(filepath.Join(to, "keys"), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"journal.db", "keys/journal.key", "keys/journal.key.head"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
