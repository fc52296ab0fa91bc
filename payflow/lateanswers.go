package payflow

// lateVerdict is what one cell of the late answer table says to do.
type lateVerdict string

const (
	lateAsk      lateVerdict = "ask on"                               // nothing was learnt
	lateEnd      lateVerdict = "over"                                 // clear, or given back where money was seen
	lateMoney    lateVerdict = "late success"                         // linked, and taken back
	lateOpen     lateVerdict = "take back"                            // the order may still be paid: no money yet, and none is to come
	lateReverse  lateVerdict = "reverse; refund where it is too late" //
	lateAbsent   lateVerdict = "over, when the code is dead"          //
	lateVanished lateVerdict = "attention; go on"                     // no absence of what was there
	lateWatch    lateVerdict = "attention; ask on"                    // REFUND proves nothing before all of it is back
	lateStranger lateVerdict = "attention; no reverse"                //
	lateWait     lateVerdict = "wait for the refund"                  //
)

// lateTable says what to do about each row in each stage.
type lateTable map[LateStage]map[seen]lateVerdict

// lateAnswers is the table. What it lacks is "ask on". Taking a line out must turn a test red.
var lateAnswers = lateTable{
	LateOwed: {
		seenOurs:         lateMoney,
		seenMismatch:     lateMoney,
		seenAnother:      lateStranger,
		seenUnclaimed:    lateStranger,
		seenOpen:         lateOpen,
		seenPayError:     lateOpen,
		seenClosed:       lateEnd,
		seenAllBack:      lateMoney,
		seenOnItsWay:     lateMoney,
		seenPartBack:     lateMoney,
		seenRefundFailed: lateMoney,
		seenRefund:       lateMoney,
		seenAbsent:       lateAbsent,
	},
	LateTakingBack: {
		seenOurs:         lateReverse,
		seenMismatch:     lateReverse,
		seenAnother:      lateStranger,
		seenUnclaimed:    lateStranger,
		seenOpen:         lateReverse,
		seenPayError:     lateReverse,
		seenClosed:       lateEnd,
		seenAllBack:      lateEnd,
		seenOnItsWay:     lateWatch,
		seenPartBack:     lateWatch,
		seenRefundFailed: lateWatch,
		seenRefund:       lateWatch,
		seenAbsent:       lateVanished,
	},
	LateRefunding: {
		seenOurs:         lateWait,
		seenAnother:      lateStranger,
		seenUnclaimed:    lateStranger,
		seenClosed:       lateEnd,
		seenAllBack:      lateEnd,
		seenOnItsWay:     lateWatch,
		seenPartBack:     lateWatch,
		seenRefundFailed: lateWatch,
		seenRefund:       lateWatch,
		seenAbsent:       lateVanished,
	},
}

// money reports a row that shows the customer's money taken.
func (row seen) money() bool { return row == seenOurs || row == seenMismatch || row.refund() }
