package health

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// detailMax bounds a detail, in characters: it is one line beside the title.
const detailMax = 200

// Active is a warning whose cause holds now.
type Active struct {
	Warning
	CashierStep Words     `json:"cashier_step"`     // what to do at the till: next_step without what only a manager or an installer can do
	Detail      string    `json:"detail,omitempty"` // which device, how many seconds; data, in no language
	Since       time.Time `json:"since"`            // when its cause began
}

// NewActive returns a warning whose cause holds since a time.
func NewActive(w Warning, detail string, since time.Time) Active {
	return Active{Warning: w, CashierStep: w.CashierStep(), Detail: detail, Since: since}
}

// Config is what a Tracker needs. The zero value serves.
type Config struct {
	Now     func() time.Time // nil: time.Now
	Changed func()           // called, without a lock held, each time List would give something else; nil: nobody is told
}

// Tracker keeps which warnings hold now. All its methods may be called by several goroutines at once.
type Tracker struct {
	cfg    Config
	mu     sync.Mutex // guards active
	active map[Code]*tracked
}

type tracked struct {
	Active
	shown bool        // its time to be visible has come
	wait  *time.Timer // nil when shown from the start
}

// NewTracker returns a tracker of which nothing holds.
func NewTracker(cfg Config) *Tracker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Tracker{cfg: cfg, active: map[Code]*tracked{}}
}

// Set says that the cause of a warning holds, with a detail of at most 200 characters (longer ones are cut). While it holds, another
// Set changes the detail alone. A code that is not on the list is a mistake of the program: it panics.
func (t *Tracker) Set(code Code, detail string) {
	w, ok := Find(code)
	if !ok {
		panic("health: the code " + string(code) + " is not on the list of warnings")
	}
	if t.set(w, shorten(detail)) {
		t.cfg.Changed()
	}
}

// set returns whether List changed.
func (t *Tracker) set(w Warning, detail string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.active[w.Code]; known != nil {
		changed := known.shown && known.Detail != detail
		known.Detail = detail
		return changed
	}
	made := &tracked{Active: NewActive(w, detail, t.cfg.Now()), shown: w.VisibleAfter == 0}
	t.active[w.Code] = made
	if !made.shown {
		made.wait = time.AfterFunc(w.VisibleAfter, func() { t.show(made) })
	}
	return made.shown
}

// show makes a warning visible unless its cause has ended meanwhile.
func (t *Tracker) show(due *tracked) {
	t.mu.Lock()
	still := t.active[due.Code] == due
	due.shown = due.shown || still
	t.mu.Unlock()
	if still {
		t.cfg.Changed()
	}
}

// Clear says that the causes of these warnings hold no more. Clearing what was not set does nothing.
func (t *Tracker) Clear(codes ...Code) {
	changed := false
	for _, code := range codes {
		changed = t.clear(code) || changed
	}
	if changed {
		t.cfg.Changed()
	}
}

func (t *Tracker) clear(code Code) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.active[code]
	if known == nil {
		return false
	}
	delete(t.active, code)
	if known.wait != nil {
		known.wait.Stop()
	}
	return known.shown
}

// Holds says whether the cause of a warning holds, visible or not yet.
func (t *Tracker) Holds(code Code) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.active[code] != nil
}

// List returns what is to be shown now: the worst first, then the oldest first.
func (t *Tracker) List() []Active {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Active{}
	for _, a := range t.active {
		if a.shown {
			list = append(list, a.Active)
		}
	}
	slices.SortFunc(list, func(a, b Active) int {
		return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code))
	})
	return list
}

func rank(s Severity) int { return slices.Index([]Severity{Info, Warn, Red}, s) }

func shorten(detail string) string {
	text := []rune(detail)
	if len(text) <= detailMax {
		return detail
	}
	return string(text[:detailMax-1]) + "…"
}
