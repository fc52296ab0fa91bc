package payflow

import (
	"fmt"
	"strings"
	"time"
)

// hear turns one line of a story, without its time, into the event that it tells of.
func hear(p Payment, words string, at time.Time) (Event, error) {
	if rest, stale := strings.CutPrefix(words, "too late: "); stale {
		e, err := hear(p, rest, at)
		e.Call--
		return e, err
	}
	what, rest, _ := strings.Cut(words, " ")
	var e Event
	var err error
	switch what {
	case "pay", "query", "reverse":
		e, err = hearCall(p, what, rest)
	default:
		e, err = hearPerson(words)
	}
	e.At, e.Call = at, p.Calls
	return e, err
}

// hearPerson: what a customer, a cashier, an operator or the power does.
func hearPerson(words string) (Event, error) {
	who, note, _ := strings.Cut(words, ": ")
	switch {
	case words == "scan":
		return Event{Kind: CodeScanned, Code: aCode(), CodeHash: "h1"}, nil
	case words == "scan of nothing":
		return Event{Kind: CodeScanned}, nil
	case words == "no scan":
		return Event{Kind: Expired}, nil
	case words == "woken":
		return Event{Kind: Woken}, nil
	case words == "power back":
		return Event{Kind: Restarted, Age: time.Minute}, nil
	case words == "power back, the order is 8 days old":
		return Event{Kind: Restarted, Age: 8 * 24 * time.Hour}, nil
	case words == "power back, the clock is not known":
		return Event{Kind: Restarted}, nil
	case strings.HasPrefix(who, "cancel by "):
		return Event{Kind: CancelAsked, Operator: who[len("cancel by "):]}, nil
	case strings.HasPrefix(who, "set aside by "):
		return Event{Kind: SetAsideAsked, Operator: who[len("set aside by "):], Note: note}, nil
	}
	return Event{}, fmt.Errorf("no event is called %q", words)
}

// hearCall: how a call to WeChat Pay ends.
func hearCall(p Payment, call, words string) (Event, error) {
	kinds := map[string]EventKind{"pay": PayAnswered, "query": QueryAnswered, "reverse": ReverseAnswered}
	what, detail, _ := strings.Cut(words, " ")
	if strings.HasPrefix(what, "lost") {
		return hearLoss(strings.TrimPrefix(words, "lost"))
	}
	e := Event{Kind: kinds[call]}
	switch {
	case words == "not sent":
		e.Outcome = Outcome{Kind: NotSent}
	case words == "says no such order":
		e.Outcome = Outcome{Kind: NoSuchOrder}
	case call == "reverse" && words == "answered 204":
		e.Outcome = Outcome{Kind: ReverseDone}
	case call == "reverse" && what == "refused":
		e.Outcome = Outcome{Kind: ReverseRefused, Code: detail}
	case call == "reverse" && words == "comes too late":
		e.Outcome = Outcome{Kind: ReverseTooLate}
	case what == "refused":
		e.Outcome = aRefusal(detail)
	case what == "collides":
		e.Outcome = aCollision(detail)
	case what == "answered":
		state, odd, _ := strings.Cut(detail, ", ")
		e.Outcome = Outcome{Kind: Found, Trade: aTrade(p.Order, TradeState(state), twist(odd))}
	default:
		return e, fmt.Errorf("no call ends as %q", words)
	}
	return e, nil
}

func hearLoss(words string) (Event, error) {
	e := Event{Kind: CallLost, Lost: Lost{Reason: ReasonTimeout}}
	words = strings.TrimPrefix(words, ": ")
	code, refused := strings.CutPrefix(words, "unsigned refusal ")
	inUse, collides := strings.CutPrefix(words, "unsigned collision ")
	switch {
	case collides:
		e.Lost = Lost{Reason: ReasonNumberInUse, Claim: Collision, Code: inUse}
	case refused:
		e.Lost = Lost{Reason: aRefusal(code).Reason, Claim: Refused, Code: code}
	case words == "unsigned no such order":
		e.Lost = Lost{Reason: ReasonUnverified, Claim: NoSuchOrder}
	case words == "too many calls":
		e.Lost = Lost{Reason: ReasonServer, Busy: true}
	case words == "server error":
		e.Lost = Lost{Reason: ReasonServer}
	case words == "answer not verified":
		e.Lost = Lost{Reason: ReasonUnverified}
	case words != "" && words != "no answer":
		return e, fmt.Errorf("no loss is called %q", words)
	}
	return e, nil
}

// tell says in words what a step did: where the payment stands, and what is done next.
func tell(before, after Payment, commands []Command) string {
	if before == after && len(commands) == 0 {
		return "nothing happens"
	}
	said := []string{string(after.Status) + ", " + string(after.Reason)}
	if after.Attention != "" {
		said = append(said, "A PERSON MUST LOOK: "+string(after.Attention))
	}
	if after.HoldsTill() != before.HoldsTill() && after.Open() {
		said = append(said, "the till is free")
	}
	if after.Proof != "" {
		said = append(said, "proof "+string(after.Proof))
	}
	if Durable(before, after) {
		said = append(said, "written down")
	}
	for _, c := range commands {
		said = append(said, tellCommand(c))
	}
	return strings.Join(said, "; ")
}

func tellCommand(c Command) string {
	switch c.Kind {
	case SendPay:
		return "sends the payment with code " + c.Code.String()
	case SendQuery:
		return "asks"
	case SendReverse:
		return "reverses"
	case Wake:
		return "waits until " + clock(c.At)
	case GiveBack:
		return "gives " + c.Amount.String() + " back by a refund"
	case Announce:
		return "tells the till"
	}
	return string(c.Kind)
}

// tellEnd says where a story leaves a payment, its sale and its code.
func tellEnd(p Payment) string {
	yes := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("end: %s, %s; other means allowed: %s; sale locked: %s; till held: %s; code spent: %s",
		p.Status, p.Reason, yes[p.SaleMayUseOtherMeans()], yes[p.LocksSale()], yes[p.HoldsTill()], yes[p.CodeSpent])
}

// clock writes a time as seconds since the beginning.
func clock(at time.Time) string {
	return fmt.Sprintf("+%gs", at.Sub(beginning).Round(time.Millisecond).Seconds())
}

func parseClock(word string) (time.Time, error) {
	d, err := time.ParseDuration(strings.TrimPrefix(word, "+"))
	return beginning.Add(d), err
}
