package scanner

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"
)

// Typed reads codes as lines, from a terminal or from a till program's pipe.
type Typed struct {
	name string
	r    io.Reader
}

// NewTyped returns a source whose scans are the lines of r. name appears as Event.Device. The digits of a code may be
// typed in groups, as the wallet shows them.
func NewTyped(name string, r io.Reader) *Typed { return &Typed{name: name, r: r} }

// Run delivers each line until r ends or ctx is done. A read from r cannot be broken off: when ctx is done first, the
// goroutine that reads stays until r gives its next line or ends, and that line is lost.
func (t *Typed) Run(ctx context.Context, deliver func(Event)) error {
	deliver(Event{Kind: KindState, Device: t.name, At: time.Now(), State: Ready})
	events := make(chan Event)
	go t.read(ctx, events)
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-events:
			if !ok {
				deliver(Event{Kind: KindState, Device: t.name, At: time.Now(), State: Lost, Trouble: endedTrouble()})
				return nil
			}
			deliver(e)
		}
	}
}

func endedTrouble() Trouble {
	return Trouble{Code: TroubleEnded, What: "the input of typed codes has ended", Next: "start posagent again in a terminal to type codes"}
}

func (t *Typed) read(ctx context.Context, events chan<- Event) {
	defer close(events)
	lines, asm := bufio.NewReader(t.r), NewAssembler(0)
	for {
		b, err := lines.ReadByte()
		if err != nil {
			b = lf // the last line may have no end
		}
		for _, e := range asm.Feed([]byte{b}, time.Now()) {
			if !t.hand(ctx, e, events) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hand waits until e is taken; false means that ctx is done.
func (t *Typed) hand(ctx context.Context, e Event, events chan<- Event) bool {
	e.Device = t.name
	if e.Kind == KindScan {
		e.Scan = e.Scan.ungrouped()
		if e.Scan.Characters == 0 {
			return true // a line of spaces
		}
	}
	select {
	case events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// ungrouped takes the spaces out of a text that is digits and spaces only, and those around any other.
func (s Scan) ungrouped() Scan {
	text := strings.TrimSpace(s.Text.Reveal())
	if strings.Trim(text, "0123456789 ") == "" {
		text = strings.ReplaceAll(text, " ", "")
	}
	s.Text = NewText(text)
	s.Characters = s.Text.Characters()
	return s
}
