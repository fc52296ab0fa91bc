package payflow

import (
	"errors"
	"math"
	"time"
)

// The model of peers' loops: what befalls one payment, the same for every loop. The rates are guesses; only the ranking, and the kind
// of the losses, mean anything.
const (
	requestLost     = 0.004 // of requests
	answerLost      = 0.004 // of answers
	outageRate      = 0.02  // of payments
	outageMean      = 30 * time.Second
	powerCutRate    = 0.004 // of payments, in the first 20 s; the till is back after a minute
	powerCutWithin  = 20 * time.Second
	tillBackAfter   = time.Minute
	passwordRate    = 0.12 // of payments
	passwordMedian  = 9 * time.Second
	errorPaid       = 0.006  // SYSTEMERROR, though it is paid
	errorUnpaid     = 0.003  // SYSTEMERROR, and it is not
	refusedPaid     = 0.0005 // a refusal, though it is paid
	callAgain       = 0.03   // of reverses: not done, "call again"
	revokedAfter    = 45 * time.Second
	paysAgainFailed = 0.9 // of customers who are told that they have not paid
	paysAgainSilent = 0.7 // of customers who are told nothing; the others leave
	patience        = 90 * time.Second
	dayEnd          = 14 * time.Hour
)

// loopWorld is one sale: the customer, the line and WeChat Pay. Time is counted from the scan. Every draw belongs to a name and a
// number, so that it is the same whatever a loop does.
type loopWorld struct {
	seed  uint64
	now   time.Duration
	calls [3]int // made so far, by loopCall

	password            time.Duration // when the customer pays, counted from the order; 0: at once
	kind                orderKind
	outageAt, outageEnd time.Duration
	cutAt               time.Duration // 0: no power cut
	order               loopOrder
}

type loopCall int

const (
	loopPay loopCall = iota
	loopQuery
	loopReverse
)

type orderKind int

const (
	ordinary orderKind = iota
	saysErrorPaid
	saysErrorUnpaid
	saysRefusedPaid
)

// loopOrder is WeChat Pay's own truth.
type loopOrder struct {
	made     bool
	madeAt   time.Duration
	paysAt   time.Duration // neverPays: not
	closedAt time.Duration // 0: not closed, not revoked
	refunded bool
}

const neverPays = time.Duration(math.MaxInt64)

// errPower is the power cut: the loop that met it is gone.
var errPower = errors.New("power cut")

func aLoopWorld(seed uint64) *loopWorld {
	w := &loopWorld{seed: seed}
	if w.draw("password", 0) < passwordRate {
		w.password = time.Duration(float64(passwordMedian) * math.Exp(0.7*w.normal("password"))) // one in 90 needs more than 45 s
	}
	switch u := w.draw("kind", 0); {
	case u < errorPaid:
		w.kind, w.password = saysErrorPaid, 0
	case u < errorPaid+errorUnpaid:
		w.kind, w.password = saysErrorUnpaid, neverPays
	case u < errorPaid+errorUnpaid+refusedPaid:
		w.kind, w.password = saysRefusedPaid, 0
	}
	if w.draw("outage", 0) < outageRate {
		w.outageAt = time.Duration((w.draw("outage", 1)*70 - 20) * float64(time.Second))
		w.outageEnd = w.outageAt + time.Duration(-math.Log(1-w.draw("outage", 2))*float64(outageMean))
	}
	if w.draw("cut", 0) < powerCutRate {
		w.cutAt = 1 + time.Duration(w.draw("cut", 1)*float64(powerCutWithin))
	}
	return w
}

// draw is a number from 0 to 1 that belongs to a name and a number.
func (w *loopWorld) draw(name string, n int) float64 {
	x := w.seed
	for i := range len(name) {
		x = mix(x ^ uint64(name[i]))
	}
	return float64(mix(x^uint64(n)<<32)>>11) / (1 << 53)
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (w *loopWorld) normal(name string) float64 {
	return math.Sqrt(-2*math.Log(1-w.draw(name, 1))) * math.Cos(2*math.Pi*w.draw(name, 2))
}

// wait lets time pass; a power cut ends it.
func (w *loopWorld) wait(d time.Duration) error {
	w.now += max(d, 0)
	if w.cutAt != 0 && w.now >= w.cutAt {
		w.now = w.cutAt
		return errPower
	}
	return nil
}

// reboot is the power coming back.
func (w *loopWorld) reboot() { w.now, w.cutAt = w.cutAt+tillBackAfter, 0 }

// loopSays is what a caller reads.
type loopSays int

const (
	saysNothing loopSays = iota // lost: the time-out has passed
	saysSuccess
	saysPaying // USERPAYING
	saysUnpaid // NOTPAY
	saysClosed // REVOKED or CLOSED
	saysSystemError
	saysRefused
	saysNoOrder
	saysReversed
	saysAgain // reverse: call again
)

// call makes one call and returns what comes back, after the time that it takes. The till waits timeout for an answer.
func (w *loopWorld) call(kind loopCall, timeout time.Duration) (loopSays, error) {
	names := [...]string{"pay", "query", "reverse"}
	name, n := names[kind], w.calls[kind]
	w.calls[kind]++
	there := time.Duration((0.05 + 0.15*w.draw(name+" there", n)) * float64(time.Second))
	back := time.Duration((0.05 + 0.6*w.draw(name+" back", n)) * float64(time.Second))
	arrives := w.now + there
	if w.away(w.now) || w.away(arrives) || w.draw(name+" lost", n) < requestLost {
		return saysNothing, w.wait(timeout)
	}
	cut := w.cutAt != 0 && arrives >= w.cutAt && w.now < w.cutAt // it is on its way all the same
	says := w.arrive(kind, arrives, n)
	if cut {
		return saysNothing, w.wait(timeout)
	}
	if w.away(arrives+back) || w.draw(name+" answer lost", n) < answerLost || there+back > timeout {
		return saysNothing, w.wait(timeout)
	}
	return says, w.wait(there + back)
}

// away reports that the line is down.
func (w *loopWorld) away(at time.Duration) bool { return at >= w.outageAt && at < w.outageEnd }

// arrive is what WeChat Pay does.
func (w *loopWorld) arrive(kind loopCall, at time.Duration, n int) loopSays {
	o := &w.order
	switch {
	case kind == loopPay && !o.made:
		*o = loopOrder{made: true, madeAt: at, paysAt: neverPays}
		if w.password != neverPays {
			o.paysAt = at + w.password
		}
		switch w.kind {
		case saysErrorPaid, saysErrorUnpaid:
			return saysSystemError
		case saysRefusedPaid:
			return saysRefused
		}
	case kind == loopReverse && w.draw("again", n) < callAgain:
		return saysAgain
	case kind == loopReverse:
		if o.made && o.closedAt == 0 {
			o.refunded = o.paidBy(at)
			o.closedAt = at
		}
		return saysReversed
	}
	return o.state(at)
}

func (o *loopOrder) paidBy(at time.Duration) bool {
	return o.made && o.paysAt <= at && o.paysAt <= o.madeAt+revokedAfter && (o.closedAt == 0 || o.refunded || o.paysAt <= o.closedAt)
}

func (o *loopOrder) state(at time.Duration) loopSays {
	switch {
	case !o.made:
		return saysNoOrder
	case o.closedAt != 0 && at >= o.closedAt:
		return saysClosed
	case o.paidBy(at):
		return saysSuccess
	case at >= o.madeAt+revokedAfter:
		return saysClosed
	case o.paysAt == neverPays:
		return saysUnpaid
	}
	return saysPaying
}

// holdsMoney is the truth at the end of the day.
func (w *loopWorld) holdsMoney() bool { return w.order.paidBy(dayEnd) && !w.order.refunded }
