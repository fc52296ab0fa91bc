package payflow

import "time"

// told is what the cashier was told, and when.
type told int

const (
	toldNothing told = iota
	toldPaid
	toldNotPaid
)

// books is what the till's records say at the end of the day.
type books int

const (
	noBooks books = iota
	booksPaid
	booksNotPaid
	booksOpen
)

// loopVerdict is how a loop left one payment.
type loopVerdict struct {
	told   told
	at     time.Duration
	dark   bool // the power was cut before it
	books  books
	named  bool // a person is told of it, by name, at the latest at the end of the day
	review bool // it is on a list, or open, at the end of the day
}

// loop is one way of taking a payment.
type loop struct {
	name string
	run  func(w *loopWorld) loopVerdict
}

func loops() []loop {
	return []loop{
		{"a bare call, as libraries give it", bareCall},
		{"the official v2 helper", officialHelper},
		{"jeepay", jeepay},
		{"roncoo", roncoo},
		{"an Alipay-shaped loop", alipayShaped},
		{"posagent", posagentLoop},
	}
}

func paidAt(w *loopWorld) loopVerdict {
	return loopVerdict{told: toldPaid, at: w.now, books: booksPaid}
}
func notPaidAt(w *loopWorld) loopVerdict {
	return loopVerdict{told: toldNotPaid, at: w.now, books: booksNotPaid}
}

// bareCall takes everything but SUCCESS for "failed", and keeps nothing.
func bareCall(w *loopWorld) loopVerdict {
	says, err := w.call(loopPay, 60*time.Second)
	switch {
	case err != nil:
		return loopVerdict{}
	case says == saysSuccess:
		return paidAt(w)
	}
	return notPaidAt(w)
}

// officialHelper sends pay again while SYSTEMERROR or USERPAYING comes back, 5 s apart, until requests have used 60 s; a network
// failure is sent again without a pause, which is cut at 300 s here. It never asks and never reverses.
func officialHelper(w *loopWorld) loopVerdict {
	for used, timeout := time.Duration(0), 10*time.Second; used < 60*time.Second && w.now < 300*time.Second; {
		began := w.now
		says, err := w.call(loopPay, timeout)
		switch {
		case err != nil:
			return loopVerdict{}
		case says == saysSuccess:
			return paidAt(w)
		case says == saysNothing:
			continue
		case says != saysSystemError && says != saysPaying && says != saysUnpaid:
			return notPaidAt(w)
		}
		used += w.now - began
		if w.wait(5*time.Second) != nil {
			return loopVerdict{}
		}
	}
	return notPaidAt(w)
}

// jeepay takes anything but three codes for "failed", a time-out too; then asks at 5 to 30 s and leaves at the first query that fails
// or says NOTPAY. A job asks again after ten minutes for what is still "paying"; what only began is closed unasked. It never reverses.
func jeepay(w *loopWorld) loopVerdict {
	says, err := w.call(loopPay, 10*time.Second)
	switch {
	case err != nil:
		return loopVerdict{books: booksNotPaid} // state INIT: closed after two hours without a question
	case says == saysSuccess:
		return paidAt(w)
	case says != saysSystemError && says != saysPaying:
		return notPaidAt(w)
	}
	for range 6 {
		if w.wait(5*time.Second) != nil {
			w.reboot()
			return jeepayJob(w)
		}
		says, err = w.call(loopQuery, 10*time.Second)
		if err != nil {
			w.reboot()
			return jeepayJob(w)
		}
		if says == saysSuccess {
			return paidAt(w)
		}
		if says != saysPaying && says != saysSystemError {
			break
		}
	}
	return jeepayJob(w)
}

// jeepayJob is the job of every minute, for payments of ten minutes and more.
func jeepayJob(w *loopWorld) loopVerdict {
	w.cutAt = 0
	for w.now = max(w.now, 10*time.Minute); w.now < 2*time.Hour; w.now += time.Minute {
		switch says, _ := w.call(loopQuery, 10*time.Second); says {
		case saysSuccess:
			return loopVerdict{books: booksPaid}
		case saysClosed, saysNoOrder:
			return loopVerdict{books: booksNotPaid}
		}
	}
	return loopVerdict{books: booksNotPaid}
}

// roncoo asks at 2, 3, 5, 10, 20 and 30 s out of a queue in memory, never reverses, and leaves what it could not learn waiting.
func roncoo(w *loopWorld) loopVerdict {
	says, err := w.call(loopPay, 10*time.Second)
	waiting := loopVerdict{books: booksOpen, review: true}
	switch {
	case err != nil:
		return waiting
	case says == saysSuccess:
		return paidAt(w)
	case says != saysSystemError && says != saysPaying && says != saysNothing:
		return notPaidAt(w)
	}
	for _, pause := range []time.Duration{2, 3, 5, 10, 20, 30} {
		if w.wait(pause*time.Second) != nil {
			return waiting
		}
		says, err := w.call(loopQuery, 10*time.Second)
		if err != nil {
			return waiting
		}
		if says == saysSuccess {
			return paidAt(w)
		}
	}
	return waiting
}

// alipayShaped asks five times, 5 s apart (after a system error once), then cancels at once; a cancel that must be called again is
// tried three times, out of memory. The cashier is told "failed" whatever the cancel said.
func alipayShaped(w *loopWorld) loopVerdict {
	says, err := w.call(loopPay, 10*time.Second)
	lost := loopVerdict{books: booksOpen, review: true}
	switch {
	case err != nil:
		return lost
	case says == saysSuccess:
		return paidAt(w)
	case says == saysRefused:
		return notPaidAt(w)
	}
	asks := 5
	if says != saysPaying {
		asks = 1
	}
	for i := range asks {
		if i > 0 || says == saysPaying {
			if w.wait(5*time.Second) != nil {
				return lost
			}
		}
		said, err := w.call(loopQuery, 10*time.Second)
		if err != nil {
			return lost
		}
		if said == saysSuccess {
			return paidAt(w)
		}
	}
	failed := loopVerdict{told: toldNotPaid, books: booksNotPaid}
	for i := range 4 {
		says, err := w.call(loopReverse, 10*time.Second)
		if i == 0 {
			failed.at = w.now
		}
		if err != nil {
			return failed
		}
		if says == saysReversed {
			return failed
		}
		if says == saysNothing {
			break // no answer brings no second try
		}
		if w.wait(2*time.Second) != nil {
			return failed
		}
	}
	return failed
}
