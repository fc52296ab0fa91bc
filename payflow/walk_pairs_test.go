package payflow

import (
	"fmt"
	"strings"
)

// pairs counts, for each of our statuses and each of WeChat Pay's true states, how often each event was tried: where it fits,
// and where it does not.
type pairs [8][truths]struct{ fits, stray [10]int }

func (ps *pairs) at(s *state) *struct{ fits, stray [10]int } {
	return &ps[place(s.p.Status, statuses...)][s.w.seenAs()]
}

// fitting says in which statuses an event can find something to do. Elsewhere it is tried too, and must change nothing.
var fitting = map[EventKind][]Status{
	CodeScanned:     {Waiting},                        // a code counts only while a payment waits for it
	PayAnswered:     {Paying},                         // the pay call is the first, and ends with Paying
	QueryAnswered:   {Confirming, Reversing},          // asked only after the pay call's end
	ReverseAnswered: {Reversing},                      // reversed only behind the one-way door
	CallLost:        {Paying, Confirming, Reversing},  // while a call is in flight
	Woken:           {Waiting, Confirming, Reversing}, // Paying has a call in flight and no timer
	CancelAsked:     {Waiting, Paying, Confirming, Reversing},
	Restarted:       {Waiting, Paying, Confirming, Reversing},
	Expired:         {Waiting}, // only a payment without a scan expires
	SetAsideAsked:   {Waiting, Paying, Confirming, Reversing},
}

// golden lists the pairs that were reached and what was tried in each, one line a pair.
func (ps *pairs) golden() string {
	var out strings.Builder
	for i, status := range Statuses() {
		for held := range truths {
			cell := &ps[i][held]
			var fits, stray []string
			for j, kind := range EventKinds() {
				switch {
				case cell.fits[j] > 0:
					fits = append(fits, string(kind))
				case cell.stray[j] > 0:
					stray = append(stray, string(kind))
				}
			}
			if len(fits)+len(stray) > 0 {
				fmt.Fprintf(&out, "%s | %s | fits: %s | changes nothing: %s\n", status, truthNames[held], strings.Join(fits, " "), strings.Join(stray, " "))
			}
		}
	}
	return out.String()
}

// empty lists the cells of reached pairs in which an event was not tried at all, or only where it does not fit although it could.
func (ps *pairs) empty() []string {
	var cells []string
	for i, status := range Statuses() {
		for held := range truths {
			cell := &ps[i][held]
			if cell.fits == [10]int{} && cell.stray == [10]int{} {
				continue
			}
			for j, kind := range EventKinds() {
				could := place(status, fitting[kind]...) < len(fitting[kind])
				if cell.fits[j] == 0 && (could || cell.stray[j] == 0) {
					cells = append(cells, fmt.Sprintf("%s, %s: %s", status, truthNames[held], kind))
				}
			}
		}
	}
	return cells
}

// counts is golden with the numbers, for the log.
func (ps *pairs) counts() string {
	var out strings.Builder
	for i, status := range Statuses() {
		for held := range truths {
			cell := &ps[i][held]
			if cell.fits != [10]int{} || cell.stray != [10]int{} {
				fmt.Fprintf(&out, "%-10s %-18s fits %v, does not fit %v\n", status, truthNames[held], cell.fits, cell.stray)
			}
		}
	}
	return out.String()
}

type strayKey struct {
	payment, time uint64
	held          truth
}

// strays gives a state every event that does not fit it: each must change nothing, and cost nothing but the same wake again.
func (k *walk) strays(s *state) {
	id := strayKey{packPayment(&s.p, false), s.timeClass(), s.w.seenAs()}
	if _, ok := k.stray[id]; ok {
		return
	}
	k.stray[id] = struct{}{}
	cell := k.pairs.at(s)
	for i, kind := range EventKinds() {
		e, stray := strayEvent(s, kind)
		if !stray {
			continue
		}
		cell.stray[i]++
		k.at = "stray " + string(kind)
		after, commands := k.step(s.p, e)
		sameWake := len(commands) == 1 && commands[0].Kind == Wake && commands[0].At.Equal(s.w.timer) && s.p.Open()
		if after != s.p || len(commands) > 0 && !sameWake {
			k.broken = "an event that does not fit changed something\n" + k.story(s.id, k.at)
		}
	}
}

// strayEvent returns an event of the kind that finds nothing to do in s, if there is one.
func strayEvent(s *state, kind EventKind) (Event, bool) {
	e := Event{Kind: kind, At: s.w.now, Call: s.p.Calls, Code: aCode(), Outcome: Outcome{Kind: Found, Trade: aTrade(s.p.Order, TradeRevoked, straight)}}
	if s.w.call != NoCall {
		e.Call--
	}
	final := s.p.Status.Final()
	switch kind {
	case CodeScanned:
		return e, s.p.Status != Waiting
	case Woken, Expired:
		return e, final || kind == Expired && s.p.Status != Waiting || s.w.call != NoCall || s.w.now.Before(s.w.timer)
	case CancelAsked, SetAsideAsked, Restarted:
		return e, final
	}
	return e, true
}
