package queue

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"posagent/payflow"
)

// The bounds of what is asked of WeChat Pay after a restore.
const (
	// restoreUnknownMax is how many numbers in a row must be unknown before a day is held to be over. A number is drawn at arming and is unknown
	// for ever where the customer went away before the scan, or no network let the order leave; a hundred of those with no order between them is
	// more than a shift. A day with more hides what came behind them: the statement of the day shows it.
	restoreUnknownMax = 100
	// restoreAsksMax bounds one search: at one question a second, eleven hours.
	restoreAsksMax = 40_000
	// searchesMax bounds the searches that are kept, done or not: a restore makes no more than half as many.
	searchesMax = 2 * (startsMax + ownMax + 1)
	// ownMax bounds how many restores of one backup are known whose journals' own characters are asked for.
	ownMax = 8
	// searchKeptEvery is how many answers may be asked for again after a kill: absence is not worth a commit each.
	searchKeptEvery = 25
)

// keySearches is the place of the searches in the bucket about.
var keySearches = []byte("searches")

// searchesRecord is what is to be asked of WeChat Pay, and what was.
type searchesRecord struct {
	Format   int      `json:"v"`
	Searches []search `json:"searches"`
	// Refunds is the search of the newest restore for refunds of the payments that the journal has; nil: by a program that made none.
	Refunds *refundSearch `json:"refunds,omitempty"`
}

// search walks the numbers that the lost part of a journal may have drawn. Their counter goes on from the backup's, over the days, and all else in them
// is known. On each day the numbers are asked for one after the other until restoreUnknownMax in a row are unknown; the next day begins behind the last
// number that was found.
type search struct {
	Sequence uint64 `json:"sequence"` // of the restore's entry
	Store    string `json:"store"`
	Till     string `json:"till"`
	Random   string `json:"random"`          // the characters that the lost numbers carry
	Own      bool   `json:"own,omitempty"`   // these are a journal's own, which starts drew that could not be noted: see goOn
	First    uint64 `json:"first,omitempty"` // how many numbers had been drawn when a journal's own were
	Since    string `json:"since,omitempty"` // the day of the backup, which no right clock is before
	From     string `json:"from"`            // the store's days, 2006-01-02
	To       string `json:"to"`

	Day      string    `json:"day"`     // of the number that is asked for next
	Next     uint64    `json:"next"`    // its counter
	Last     uint64    `json:"last"`    // the last counter that was found, or behind which it began
	Unknown  int       `json:"unknown"` // in a row
	Asked    int       `json:"asked"`
	Found    int       `json:"found"`
	Unsigned int       `json:"unsigned"` // absences that carried no signature
	Begun    time.Time `json:"begun"`
	Done     time.Time `json:"done,omitzero"`
	Cut      bool      `json:"cut,omitempty"`   // ended by restoreAsksMax, not by absence
	Blind    bool      `json:"blind,omitempty"` // starts are not known whose numbers would have to be asked for too
}

// number is the order number that is asked for next.
func (s search) number() payflow.OutTradeNo {
	day, err := time.Parse(time.DateOnly, s.Day)
	if err != nil {
		panic("queue: a search after a restore stands at no day: " + err.Error())
	}
	return outTradeNo(s.Store, s.Till, day, s.Next, s.Random)
}

// answered moves on behind one answer. at is when, in the store's time zone, by the best clock that there is.
func (s *search) answered(found bool, at time.Time) {
	s.Asked++
	s.Next++
	s.Unknown++
	if found {
		s.Found, s.Unknown, s.Last = s.Found+1, 0, s.Next-1
	}
	if s.Unknown >= restoreUnknownMax {
		s.nextDay(at)
	}
	if s.Asked >= restoreAsksMax && s.Done.IsZero() {
		s.end(at, true)
	}
}

// passed moves on behind a number that was not lost.
func (s *search) passed() { s.Next, s.Last, s.Unknown = s.Next+1, s.Next, 0 }

// end is where nothing more is asked. Cut says that there would be more; of a journal's own characters that may be on any day.
func (s *search) end(at time.Time, cut bool) {
	s.Done, s.Cut = at, s.Cut || cut
	if s.Own && s.Cut {
		s.Day = s.From
	}
}

// nextDay goes on to the next day, up to the one that the clock shows now: at the restore it may have been set back. One that still stands before
// the backup does not say how many days there are to ask for.
func (s *search) nextDay(at time.Time) {
	today := at.Format(time.DateOnly)
	s.To = max(s.To, today)
	day, err := time.Parse(time.DateOnly, s.Day)
	if err != nil || s.Day >= s.To {
		s.end(at, today < s.Since)
		return
	}
	s.Day, s.Next, s.Unknown = day.AddDate(0, 0, 1).Format(time.DateOnly), s.Last+1, 0
}

// compareFrom is the first day of which not all may have been asked for.
func (s search) compareFrom() string {
	if s.Blind {
		return s.From
	}
	return s.Day
}

// String tells how far it has come, for the log and the journal.
func (s search) String() string {
	text := fmt.Sprintf("%d order numbers from %s to %s were asked for at WeChat Pay: %d orders found", s.Asked, s.From, s.To, s.Found)
	if s.Unsigned > 0 {
		text += fmt.Sprintf("; %d answers that there is no such order carried no signature", s.Unsigned)
	}
	switch {
	case s.Blind:
		text += "; compare the statement of each day from " + s.compareFrom() + " on: what was sold after a start that this PC has no list of can't be asked for"
	case s.Cut:
		text += "; not all were asked for: compare the statement of each day from " + s.compareFrom() + " on"
	}
	return text
}

func (j *Journal) searches(tx *bbolt.Tx) (searchesRecord, error) {
	var r searchesRecord
	sealed := tx.Bucket(bucketAbout).Get(keySearches)
	if sealed == nil {
		return r, nil
	}
	_, err := unseal(j.keys.state, string(bucketAbout), keySearches, sealed, &r)
	return r, err
}

func (j *Journal) addSearch(tx *bbolt.Tx, s search) error {
	r, err := j.searches(tx)
	if err != nil {
		return err
	}
	r.Searches = append(r.Searches, s)
	return j.putSearches(tx, r)
}

// putSearches keeps the newest, and drops first those of restores whose searches are all done.
func (j *Journal) putSearches(tx *bbolt.Tx, r searchesRecord) error {
	for len(r.Searches) > searchesMax {
		oldest := slices.IndexFunc(r.Searches, func(s search) bool { return !r.asking(s.Sequence) })
		if oldest < 0 { // what is not asked for is said
			newest := &r.Searches[len(r.Searches)-1]
			oldest, newest.Blind, newest.From = 0, true, min(newest.From, r.Searches[0].From)
		}
		r.Searches = slices.Delete(r.Searches, oldest, oldest+1)
	}
	r.Format = formatVersion
	return j.put(tx, bucketAbout, keySearches, r)
}

// pendingSearch returns the oldest search that is not done.
func (j *Journal) pendingSearch() (s search, found bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		r, err := j.searches(tx)
		for _, one := range r.Searches {
			if one.Done.IsZero() && !found {
				s, found = one, true
			}
		}
		return err
	})
	return s, found, err
}

// keepSearch keeps how far a search has come; one that is done, and is not opened again, becomes an entry of the chain.
func (j *Journal) keepSearch(s search) error {
	return j.update(func(tx *bbolt.Tx) (Head, error) {
		s, err := j.replaceSearch(tx, s)
		if err != nil || s.Done.IsZero() {
			return j.head, err
		}
		return j.appendEvent(tx, eventRecord{JournalEvent: payflow.JournalEvent{Sequence: j.head.Sequence + 1, At: j.cfg.Now(), Kind: EventSearched, Note: cut(s.String())}})
	})
}

// replaceSearch returns the search as it stands then.
func (j *Journal) replaceSearch(tx *bbolt.Tx, s search) (search, error) {
	r, err := j.searches(tx)
	if err != nil {
		return s, err
	}
	at := slices.IndexFunc(r.Searches, func(one search) bool { return one.Sequence == s.Sequence && one.Random == s.Random })
	if at < 0 {
		return s, fmt.Errorf("there is no search of entry %d", s.Sequence)
	}
	r.Searches[at] = s
	r.goOn(s.Sequence)
	s = r.Searches[at]
	return s, j.putSearches(tx, r)
}

// asking reports that a restore's searches are not all done.
func (r *searchesRecord) asking(restore uint64) bool {
	return slices.ContainsFunc(r.Searches, func(s search) bool { return s.Sequence == restore && s.Done.IsZero() })
}

// goOn opens, once every search of a restore is done, one for a journal's own characters again: a start that could not be noted drew them, and began where
// another had stopped. The nearest first, for what is found there may reach beyond the next.
func (r *searchesRecord) goOn(restore uint64) {
	if r.asking(restore) {
		return
	}
	for i := range r.Searches {
		s, next := &r.Searches[i], uint64(0)
		if !s.Own || s.Sequence != restore {
			continue
		}
		for _, other := range r.Searches {
			if other.Sequence == restore && other.Last > s.Last && (next == 0 || other.Last < next) {
				next, s.To = other.Last, max(s.To, other.To)
			}
		}
		if next > 0 && s.Asked >= restoreAsksMax {
			s.end(s.Done, true)
			continue
		}
		if next > 0 {
			s.Day, s.Last, s.Next, s.Unknown, s.Done = s.From, next, next+1, 0, time.Time{}
			return
		}
	}
}

// add counts another search of the same restore.
func (s *search) add(other search) {
	s.From, s.To = min(s.From, other.From), max(s.To, other.To)
	s.Asked, s.Found, s.Unsigned = s.Asked+other.Asked, s.Found+other.Found, s.Unsigned+other.Unsigned
	s.Blind = s.Blind || other.Blind
	if other.Cut && (!s.Cut || other.Day < s.Day) {
		s.Cut, s.Day = true, other.Day
	}
}

// LastRestore returns the sequence of the last entry that put a backup in place; 0: there is none, or it can't be read.
func (j *Journal) LastRestore() (sequence uint64) {
	_ = j.view(func(tx *bbolt.Tx) error {
		about, err := j.about(tx)
		sequence = about.Restored
		return err
	})
	return sequence
}

// restoredWithin reports that a backup was put in place no longer ago, or that it is not known: where its search still goes on, where the clock stands
// before the restore, and where this start has found an older copy.
func (j *Journal) restoredWithin(d time.Duration) bool {
	if len(j.found) > 0 {
		return true
	}
	if _, asking, err := j.pendingSearch(); err != nil || asking {
		return true
	}
	within := false
	err := j.view(func(tx *bbolt.Tx) error {
		about, err := j.about(tx)
		if err != nil || about.Restored == 0 {
			return err
		}
		event, _, err := j.event(tx, about.Restored)
		within = j.cfg.Now().Sub(event.At) < d
		return err
	})
	return within || err != nil
}

// AfterRestore says whether WeChat Pay is still being asked for what a restored journal lost, and how far that has come: all searches of the
// last restore together, up to 25 answers behind ("" where nothing was ever restored).
func (j *Journal) AfterRestore() (asking bool, text string, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		r, err := j.searches(tx)
		if len(r.Searches) == 0 {
			return err
		}
		all := r.Searches[len(r.Searches)-1]
		all.Asked, all.Found, all.Unsigned, all.Cut = 0, 0, 0, false
		for _, s := range r.Searches {
			asking = asking || s.Done.IsZero()
			if s.Sequence == all.Sequence {
				all.add(s)
			}
		}
		for _, s := range r.Searches { // a restore of the backup that is made right behind the first one is as blind as that
			if s.Sequence != all.Sequence && (s.Cut || s.Blind) && all.Begun.Sub(s.Begun) < setBackMax {
				all.add(search{From: all.From, To: all.To, Day: s.compareFrom(), Cut: true})
			}
		}
		text = all.String()
		if r.Refunds != nil {
			text += "; " + r.Refunds.String()
		}
		return err
	})
	return asking, text, err
}
