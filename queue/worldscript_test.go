package queue

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"posagent/payflow"
)

// worldScript is all that happens to one till from outside: people, links, disks, clocks and power. It is made from a seed, or read from a
// story; the same script makes the same log. Faults are named by the call or commit that they meet (the third query that leaves, the fifth
// commit), so that each can be left out without moving the others.
type worldScript struct {
	Note string `json:"note,omitempty"` // for the reader
	Seed uint64 `json:"seed"`
	// Plant and Breach are of a story that shows a planted bug: with the bug this invariant is broken, and without it none.
	Plant  string `json:"plant,omitempty"`
	Breach string `json:"breach,omitempty"`

	// Heal is when faults end, in a liveness run; zero: a safety run, in which they never do.
	Heal worldTime `json:"heal,omitempty"`
	// End is when the world ends, in true time.
	End worldTime `json:"end"`

	Sales   []worldSale        `json:"sales"`
	Calls   []worldCallFault   `json:"calls,omitempty"`
	Commits []worldCommitFault `json:"commits,omitempty"`
	Cuts    []worldCut         `json:"cuts,omitempty"`
	Jumps   []worldJump        `json:"jumps,omitempty"`

	// What WeChat Pay's documents leave open.
	ClosesUnknown  bool `json:"closes_unknown,omitempty"`  // the reverse of an order that it does not know closes the number
	UnsignedErrors bool `json:"unsigned_errors,omitempty"` // refusals and "no such order" are never signed
	RevokesAt45    bool `json:"revokes_at_45,omitempty"`   // it revokes an order that is not paid within 45 s
	SaysRefund     bool `json:"says_refund,omitempty"`     // the reverse of a paid order makes it REFUND, not REVOKED
	Tagless        bool `json:"tagless,omitempty"`         // every other answer about an order has no attach, but one that another's is paid; the fast form alone

	// Thorough has every start go through all of OpenJournal, with memo, room and reserve.
	Thorough bool `json:"thorough,omitempty"`
}

// worldTime is a time of a world, or a length of it; zero often means never.
type worldTime time.Duration

func (t worldTime) after() time.Duration { return time.Duration(t) }

// MarshalText writes 12.5s.
func (t worldTime) MarshalText() ([]byte, error) { return []byte(time.Duration(t).String()), nil }

// UnmarshalText reads 12.5s.
func (t *worldTime) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*t = worldTime(d)
	return err
}

// worldCustomer is what a customer does once the order is made.
type worldCustomer string

const (
	customerPays     worldCustomer = "pays"     // at once, without a password
	customerPassword worldCustomer = "password" // PaysAfter after the order was made
	customerNever    worldCustomer = "never"    // never enters the password
	customerPoor     worldCustomer = "poor"     // has no money: a listed refusal, and no order
	customerFails    worldCustomer = "fails"    // has no money: PAYERROR stays
	customerTopsUp   worldCustomer = "tops up"  // has no money at first; the network repeats the request, which then makes an order, and pays it
	customerGap      worldCustomer = "gap"      // pays at the moment before the reverse arrives
)

// worldSale is one sale on the till. Times count from the arming of an attempt, but for After.
type worldSale struct {
	After     worldTime     `json:"after"` // since the sale before it ended
	Minor     int64         `json:"minor"`
	Customer  worldCustomer `json:"customer"`
	PaysAfter worldTime     `json:"pays_after,omitempty"`

	Scan      worldTime   `json:"scan"`                 // the code is read; zero: never
	Rescans   []worldTime `json:"rescans,omitempty"`    // the same code is read again
	OtherScan worldTime   `json:"other_scan,omitempty"` // another code is read while the till may be busy
	Cancel    worldTime   `json:"cancel,omitempty"`
	SetAside  worldTime   `json:"set_aside,omitempty"` // from here on the cashier tries to free the till, again and again
	Rearm     worldTime   `json:"rearm,omitempty"`     // the till software repeats the arm call with the same key
	Attempts  int         `json:"attempts,omitempty"`  // further attempts, each with a new code, where one failed
	Impatient bool        `json:"impatient,omitempty"` // goes on to the next attempt as soon as the till is free, whatever became of this one
	// TillCrash is when the till software is gone for a while; with KeyLost it asks for the same sale under a new key afterwards.
	TillCrash worldTime `json:"till_crash,omitempty"`
	KeyLost   bool      `json:"key_lost,omitempty"`
	Forgets   bool      `json:"forgets,omitempty"` // nobody acknowledges the result

	// Refund is how long after the sale was paid a manager gives money back; zero: never. RefundMinor is how much; zero: all. RefundTwice
	// has a second wish follow, under a key of its own.
	Refund      worldTime `json:"refund,omitempty"`
	RefundMinor int64     `json:"refund_minor,omitempty"`
	RefundTwice bool      `json:"refund_twice,omitempty"`
}

// worldCallFault is what happens to the Nth call of its kind that the till makes, counted over all its starts.
type worldCallFault struct {
	Call payflow.CallKind `json:"call"`
	N    int              `json:"n"` // from 1
	Kind worldTrouble     `json:"kind"`
	For  worldTime        `json:"for,omitempty"` // lateness; of a power cut, how long the till is down
}

// worldTrouble names what happens to a call.
type worldTrouble string

const (
	callNotSent       worldTrouble = "not_sent"        // pay: no byte leaves
	requestLost       worldTrouble = "request_lost"    //
	requestLate       worldTrouble = "request_late"    // arrives For later, also when nobody waits any more
	requestTwice      worldTrouble = "request_twice"   // arrives, and once more For later
	answerLost        worldTrouble = "answer_lost"     //
	answerLate        worldTrouble = "answer_late"     // comes For later, also when nobody waits any more
	serverErrorBefore worldTrouble = "error_before"    // 5xx, and nothing was done
	serverErrorAfter  worldTrouble = "error_after"     // 5xx, and it was done
	answerForged      worldTrouble = "forged"          // says SUCCESS or CLOSED whatever is true, with a signature that does not hold
	answerUnsigned    worldTrouble = "unsigned"        // the true answer, without a signature
	answerBusy        worldTrouble = "busy"            // 429, nothing was done
	refusedButDone    worldTrouble = "refused_done"    // pay: a signed refusal, and the order was made all the same
	reverseRefused    worldTrouble = "reverse_refused" // signed, nothing was done
	numberTaken       worldTrouble = "number_taken"    // pay: another till has made an order under this number before

	powerBefore   worldTrouble = "power_before"   // cut before a byte leaves
	powerSent     worldTrouble = "power_sent"     // cut when the request is on its way
	powerArrived  worldTrouble = "power_arrived"  // cut when it has arrived
	powerAnswered worldTrouble = "power_answered" // cut when the answer was read, before anything is made of it
)

// worldCommitFault is what happens to the Nth commit of the world.
type worldCommitFault struct {
	N    int              `json:"n"` // from 1
	Kind worldDiskTrouble `json:"kind"`
	Down worldTime        `json:"down"` // how long the till is down after it
}

// worldDiskTrouble names what happens to a commit.
type worldDiskTrouble string

const (
	commitPowerBefore worldDiskTrouble = "power_before" // cut: not on disk
	commitPowerAmid   worldDiskTrouble = "power_amid"   // cut between its syncs: in the fast form as before
	commitPowerAfter  worldDiskTrouble = "power_after"  // cut: on disk, and the program has not heard
	commitPowerDone   worldDiskTrouble = "power_done"   // cut: on disk, and the program has just heard
	commitEIO         worldDiskTrouble = "eio"          // fails, not on disk
	commitEIOAfter    worldDiskTrouble = "eio_after"    // fails, on disk
	commitFull        worldDiskTrouble = "enospc"       // fails, not on disk
)

// worldCut is a power cut at a true time.
type worldCut struct {
	At   worldTime `json:"at"`
	Down worldTime `json:"down"`
}

// worldJump sets the PC's clock: by so much, or to 1970.
type worldJump struct {
	At     worldTime `json:"at"`
	By     worldTime `json:"by,omitempty"`
	To1970 bool      `json:"to_1970,omitempty"`
}

// healed reports that no fault happens any more.
func (s *worldScript) healed(at time.Duration) bool { return s.Heal != 0 && at >= s.Heal.after() }

// callFault returns what happens to the Nth call of a kind that is made at a time, if anything does.
func (s *worldScript) callFault(call payflow.CallKind, n int, at time.Duration) worldCallFault {
	if s.healed(at) {
		return worldCallFault{}
	}
	for _, f := range s.Calls {
		if f.Call == call && f.N == n {
			return f
		}
	}
	return worldCallFault{}
}

// commitFault returns what happens to the Nth commit, if anything does.
func (s *worldScript) commitFault(n int, at time.Duration) worldCommitFault {
	if s.healed(at) {
		return worldCommitFault{}
	}
	for _, f := range s.Commits {
		if f.N == n {
			return f
		}
	}
	return worldCommitFault{}
}

// encode writes a script as a story file.
func (s *worldScript) encode() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// worldFromStory reads a story file.
func worldFromStory(text []byte) (worldScript, error) {
	var s worldScript
	err := json.Unmarshal(text, &s)
	return s, err
}

// dice draws a script.
type dice struct{ *rand.Rand }

// worldHealthy is how long a liveness run goes on behind its last fault. A till that was cut right before is away for up to four minutes, its sales and their further
// attempts are still to come then, and the last of them has its late check behind it: with eight minutes some worlds ended before all was decided.
const worldHealthy = worldTime(20 * time.Minute)

// worldFromSeed makes the script of a seed.
func worldFromSeed(seed uint64) worldScript { return makeWorld(seed, func(dice, *worldScript) {}) }

// refundsFromSeed makes a script of a seed in which a manager gives back what each sale paid, in half of them where no error is ever signed.
func refundsFromSeed(seed uint64) worldScript {
	return makeWorld(seed, func(d dice, s *worldScript) {
		s.UnsignedErrors = d.coin(50)
		for i := range s.Sales {
			s.Sales[i].Refund = d.upTo(2 * time.Minute)
		}
	})
}

// makeWorld makes the script of a seed; bend changes it before it is drawn what befalls its calls.
func makeWorld(seed uint64, bend func(dice, *worldScript)) worldScript {
	d := dice{rand.New(rand.NewPCG(seed, 0x706f736167656e74))}
	s := worldScript{Seed: seed, ClosesUnknown: d.coin(50), UnsignedErrors: d.coin(20), RevokesAt45: d.coin(50), SaysRefund: d.coin(40), Thorough: d.coin(1)}
	for range [...]int{1, 1, 1, 1, 1, 2, 2, 2, 3, 3}[d.IntN(10)] {
		s.Sales = append(s.Sales, d.sale())
	}
	bend(d, &s)
	faulty := 10 + d.IntN(50) // of a hundred calls
	for _, k := range []struct {
		call payflow.CallKind
		most int
	}{{payflow.PayCall, 6}, {payflow.QueryCall, 24}, {payflow.ReverseCall, 10}, {refundCall, 6}, {refundQueryCall, 10}, {refundListCall, 6}} {
		if k.call == refundCall && !s.refunds() {
			break
		}
		for n := 1; n <= k.most; n++ {
			if d.coin(faulty) {
				s.Calls = append(s.Calls, d.callFault(k.call, n))
			}
		}
	}
	if d.coin(40) {
		for range 1 + d.IntN(3) {
			s.Commits = append(s.Commits, d.commitFault())
		}
	}
	last := d.upTo(8 * time.Minute)
	if d.coin(40) {
		for range 1 + d.IntN(3) {
			s.Cuts = append(s.Cuts, worldCut{At: d.upTo(5 * time.Minute), Down: d.down()})
		}
	}
	if d.coin(40) {
		for range 1 + d.IntN(2) {
			s.Jumps = append(s.Jumps, d.jump())
		}
	}
	if d.coin(50) {
		s.Heal = last + worldTime(time.Second)
		s.End = s.Heal + worldHealthy
	} else {
		s.End = worldTime(12 * time.Minute)
	}
	s.Tagless = d.coin(15)
	return s
}

// coin falls that way in so many of a hundred.
func (d dice) coin(percent int) bool { return d.IntN(100) < percent }

// between returns a time with a nanosecond part, so that no two things happen at one instant.
func (d dice) between(low, high time.Duration) worldTime {
	return worldTime(low + time.Duration(d.Int64N(int64(high-low))))
}

func (d dice) upTo(high time.Duration) worldTime { return d.between(time.Millisecond, high) }

// down is how long a till is without power.
func (d dice) down() worldTime {
	if d.coin(60) {
		return d.between(2*time.Second, 20*time.Second)
	}
	return d.between(2*time.Second, 4*time.Minute)
}

func (d dice) sale() worldSale {
	s := worldSale{After: d.between(time.Second, 5*time.Second), Minor: 100 + d.Int64N(100_000), Scan: d.between(time.Second, 10*time.Second)}
	switch n := d.IntN(100); {
	case n < 30:
		s.Customer = customerPays
	case n < 55:
		s.Customer, s.PaysAfter = customerPassword, d.between(2*time.Second, 30*time.Second)
	case n < 67:
		s.Customer, s.PaysAfter = customerPassword, d.between(30*time.Second, 100*time.Second)
	case n < 77:
		s.Customer = customerNever
	case n < 82:
		s.Customer = customerPoor
	case n < 86:
		s.Customer = customerTopsUp
	case n < 90:
		s.Customer = customerFails
	default:
		s.Customer = customerGap
	}
	s.act(d)
	return s
}

// act draws what cashier and till software do.
func (s *worldSale) act(d dice) {
	if d.coin(4) {
		s.Scan = 0
	}
	if d.coin(30) && s.Scan != 0 {
		s.Rescans = append(s.Rescans, s.Scan+d.upTo(3*time.Second))
		if d.coin(40) {
			s.Rescans = append(s.Rescans, s.Scan+d.upTo(50*time.Second))
		}
	}
	if d.coin(15) {
		s.OtherScan = s.Scan + d.upTo(30*time.Second)
	}
	if d.coin(25) {
		s.Cancel = d.upTo(60 * time.Second)
	}
	if d.coin(30) {
		s.SetAside = d.between(20*time.Second, 120*time.Second)
	}
	if d.coin(25) {
		s.Rearm = d.upTo(90 * time.Second)
	}
	if d.coin(35) {
		s.Attempts = 1 + d.IntN(2)
		s.Impatient = d.coin(50)
	}
	if d.coin(20) {
		s.TillCrash, s.KeyLost = d.upTo(60*time.Second), d.coin(50)
	}
	s.Forgets = d.coin(25)
	if d.coin(4) {
		s.Refund, s.RefundTwice = d.upTo(2*time.Minute), d.coin(30)
		if d.coin(50) {
			s.RefundMinor = 1 + s.Minor/3
		}
	}
}

// The calls about refunds, beside payflow's.
const (
	refundCall      payflow.CallKind = "refund"
	refundQueryCall payflow.CallKind = "refund query"
	refundListCall  payflow.CallKind = "refund list"
)

// refunds reports that somebody gives money back.
func (s *worldScript) refunds() bool {
	for _, sale := range s.Sales {
		if sale.Refund != 0 {
			return true
		}
	}
	return false
}

func (d dice) callFault(call payflow.CallKind, n int) worldCallFault {
	f := worldCallFault{Call: call, N: n}
	common := []worldTrouble{requestLost, requestLost, requestLate, requestLate, requestLate, answerLost, answerLost, answerLate, requestTwice, serverErrorBefore,
		serverErrorAfter, answerForged, answerUnsigned, answerBusy}
	switch call {
	case payflow.PayCall:
		common = append(common, callNotSent, refusedButDone, numberTaken)
	case payflow.ReverseCall:
		common = append(common, reverseRefused, reverseRefused)
	}
	if d.coin(15) {
		common = []worldTrouble{powerBefore, powerSent, powerArrived, powerAnswered}
	}
	f.Kind = common[d.IntN(len(common))]
	switch f.Kind {
	case requestLate, requestTwice, answerLate:
		f.For = d.between(2*time.Second, 50*time.Second)
		if d.coin(30) {
			f.For = d.between(30*time.Second, 4*time.Minute)
		}
	case powerBefore, powerSent, powerArrived, powerAnswered:
		f.For = d.down()
	}
	return f
}

func (d dice) commitFault() worldCommitFault {
	kinds := []worldDiskTrouble{commitPowerBefore, commitPowerAmid, commitPowerAfter, commitPowerDone, commitEIO, commitEIOAfter, commitFull}
	return worldCommitFault{N: 1 + d.IntN(16), Kind: kinds[d.IntN(len(kinds))], Down: d.down()}
}

func (d dice) jump() worldJump {
	j := worldJump{At: d.upTo(4 * time.Minute)}
	switch d.IntN(3) {
	case 0:
		j.By = worldTime(10 * time.Minute)
	case 1:
		j.By = worldTime(-10 * time.Minute)
	default:
		j.To1970 = true
	}
	return j
}

// String says how much there is to a script.
func (s *worldScript) String() string {
	return fmt.Sprintf("seed %d: %d sales, %d call faults, %d commit faults, %d cuts, %d jumps", s.Seed, len(s.Sales), len(s.Calls), len(s.Commits), len(s.Cuts), len(s.Jumps))
}
