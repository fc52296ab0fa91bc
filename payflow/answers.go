package payflow

// seen is what a verified answer, or the want of one, shows of an order: one row of the answer table.
type seen string

const (
	seenOurs         seen = "SUCCESS, ours"
	seenMismatch     seen = "SUCCESS, mismatch"
	seenAnother      seen = "another's attach"
	seenUnclaimed    seen = "not provably ours"
	seenOpen         seen = "NOTPAY, USERPAYING"
	seenPayError     seen = "PAYERROR"
	seenClosed       seen = "CLOSED, REVOKED"
	seenAllBack      seen = "REFUND, all back"     // every minor unit is back, for good
	seenOnItsWay     seen = "REFUND, on its way"   // all of it was taken on, and some is still under way
	seenPartBack     seen = "REFUND, a part"       // the refunds add up to less
	seenRefundFailed seen = "REFUND, one failed"   // closed, abnormal, or of a state that is not known
	seenRefund       seen = "REFUND, not added up" // not read, or a sum that cannot be
	seenAbsent       seen = "no such order"
	seenVanished     seen = "no such order, after its money was seen" // the answers contradict each other
	seenLost         seen = "lost, unverified, unknown value"
)

// column is where a payment stands when an answer comes: one column of the answer table.
type column string

const (
	whileConfirming column = "confirming" // nothing definite is known
	whileRefused    column = "refused"    // the pay call was definitely refused: one query before Declined (rule 4)
	whileCollided   column = "collided"   // the pay call met a number in use: judged by attach (rule 4)
	whileReversing  column = "reversing"  // the one-way door is behind us (rule 6)
)

// verdict is what one cell of the answer table says to do.
type verdict string

const (
	goOn          verdict = "go on"                        // ask again; at the deadline Reversing
	becomePaid    verdict = "Paid"                         // final
	becomeDecl    verdict = "Declined"                     // final
	becomeRev     verdict = "Reversed"                     // final
	reverseSoon   verdict = "Reversing at 15 s"            // no hope: as soon as the guard allows
	reverseAgain  verdict = "reverse again after back-off" //
	lookReverse   verdict = "attention; reverse when due"  // the order is ours, but not what we asked for
	lookOnly      verdict = "attention; no reverse"        // the order is not, or not provably, ours
	lookRefund    verdict = "attention; ask on"            // REFUND proves nothing before all of it is back
	lookVanished  verdict = "attention; go on"             // no absence of what was there
	proveAbsence  verdict = "rule 7"                       // at T_dead reverse once more, and ask again
	declineAtDead verdict = "go on; Declined at T_dead"    // refused by a collision, and nothing there
)

// answerTable says what to do about each row in each column.
type answerTable map[column]map[seen]verdict

// answers is the answer table. Each line stands in the flow's description; taking one out must turn a test red.
var answers = answerTable{
	whileConfirming: {
		seenOurs:         becomePaid,
		seenMismatch:     lookReverse,
		seenAnother:      lookOnly,
		seenUnclaimed:    lookOnly,
		seenOpen:         goOn,
		seenPayError:     reverseSoon,
		seenClosed:       becomeRev,
		seenAllBack:      reverseSoon,
		seenOnItsWay:     reverseSoon,
		seenPartBack:     reverseSoon,
		seenRefundFailed: reverseSoon,
		seenRefund:       reverseSoon,
		seenAbsent:       goOn,
		seenVanished:     goOn,
		seenLost:         goOn,
	},
	whileRefused: {
		seenOurs:         becomePaid,
		seenMismatch:     lookReverse,
		seenAnother:      lookOnly,
		seenUnclaimed:    lookOnly,
		seenOpen:         reverseSoon,
		seenPayError:     reverseSoon,
		seenClosed:       becomeDecl,
		seenAllBack:      reverseSoon,
		seenOnItsWay:     reverseSoon,
		seenPartBack:     reverseSoon,
		seenRefundFailed: reverseSoon,
		seenRefund:       reverseSoon,
		seenAbsent:       becomeDecl,
		seenVanished:     goOn,
		seenLost:         goOn,
	},
	whileCollided: {
		seenOurs:         becomePaid,
		seenMismatch:     lookReverse,
		seenAnother:      lookOnly,
		seenUnclaimed:    lookOnly,
		seenOpen:         reverseSoon,
		seenPayError:     reverseSoon,
		seenClosed:       becomeDecl,
		seenAllBack:      reverseSoon,
		seenOnItsWay:     reverseSoon,
		seenPartBack:     reverseSoon,
		seenRefundFailed: reverseSoon,
		seenRefund:       reverseSoon,
		seenAbsent:       declineAtDead,
		seenVanished:     goOn,
		seenLost:         goOn,
	},
	whileReversing: {
		seenOurs:         reverseAgain,
		seenMismatch:     lookReverse,
		seenAnother:      lookOnly,
		seenUnclaimed:    lookOnly,
		seenOpen:         reverseAgain,
		seenPayError:     reverseAgain,
		seenClosed:       becomeRev,
		seenAllBack:      becomeRev,
		seenOnItsWay:     lookRefund,
		seenPartBack:     lookRefund,
		seenRefundFailed: lookRefund,
		seenRefund:       lookRefund,
		seenAbsent:       proveAbsence,
		seenVanished:     lookVanished,
		seenLost:         goOn,
	},
}

// columnOf says which column of the answer table a payment stands in.
func columnOf(p Payment) column {
	switch {
	case p.Status == Reversing:
		return whileReversing
	case p.Refusal.Kind == Refused:
		return whileRefused
	case p.collided():
		return whileCollided
	}
	return whileConfirming
}

// look says which row of the answer table a trade is for this payment. An answer that names another order says
// nothing about this one, whatever its attach (I14).
func look(p Payment, t Trade) seen {
	if t.OutTradeNo != "" && t.OutTradeNo != p.OutTradeNo {
		return seenLost
	}
	switch t.State {
	case TradeSuccess:
		return lookSuccess(p, t)
	case TradeUserPaying, TradeNotPay:
		return lookUnlessStrange(p, t, seenOpen)
	case TradePayError:
		return lookUnlessStrange(p, t, seenPayError)
	case TradeRefund:
		return lookUnlessStrange(p, t, lookRefunds(p, t))
	case TradeClosed, TradeRevoked:
		if t.OutTradeNo != p.OutTradeNo {
			return seenLost
		}
		return seenClosed
	}
	return seenLost
}

// lookSuccess is rule 3: a SUCCESS is ours when number, amount, currency, merchant ids and attach tag are the journal's.
func lookSuccess(p Payment, t Trade) seen {
	asAsked := t.OutTradeNo == p.OutTradeNo && t.Amount == p.Amount && sameMerchant(p.Merchant, t)
	switch whose(p, t) {
	case theirs:
		return seenAnother
	case unsaid:
		if !asAsked || p.collided() {
			return seenUnclaimed
		}
	}
	if !asAsked {
		return seenMismatch
	}
	return seenOurs
}

// lookRefunds reads what the refunds of an order add up to, against the total that WeChat Pay itself reports: that is the money it took,
// even where it is not what we asked for. A sum that cannot be, or of an order that is not told as ours in every other way, is not known.
func lookRefunds(p Payment, t Trade) seen {
	sum, total := t.Refunds, t.Amount.Minor
	asAsked := t.OutTradeNo == p.OutTradeNo && t.Amount.Currency == p.Amount.Currency && sameMerchant(p.Merchant, t)
	canBe := sum.Known && sum.Done >= 0 && sum.Pending >= 0 && sum.Done <= total && sum.Pending <= total-sum.Done
	named := sum.Done > 0 || sum.Pending > 0 || sum.Dead != 0 // REFUND with no refund at all contradicts itself
	switch {
	case !asAsked || !canBe || !named:
		return seenRefund
	case sum.Dead != 0:
		return seenRefundFailed
	case sum.Done+sum.Pending < total:
		return seenPartBack
	case sum.Pending > 0:
		return seenOnItsWay
	}
	return seenAllBack
}

// refund reports a row of REFUND.
func (row seen) refund() bool {
	switch row {
	case seenAllBack, seenOnItsWay, seenPartBack, seenRefundFailed, seenRefund:
		return true
	}
	return false
}

// lookUnlessStrange judges an order that can never be called paid: another's is left alone all the same.
func lookUnlessStrange(p Payment, t Trade, row seen) seen {
	switch whose(p, t) {
	case theirs:
		return seenAnother
	case unsaid:
		if p.collided() {
			return seenUnclaimed
		}
	}
	return row
}

// collided reports that WeChat Pay said the number is in use, signed or not: an answer without attach is then nobody's.
func (p Payment) collided() bool {
	return p.Refusal.Kind == Collision || p.Claim.Kind == Collision
}

// owner says whose tag an answer's attach carries.
type owner int

const (
	unsaid owner = iota // the answer has no attach
	ours
	theirs
)

func whose(p Payment, t Trade) owner {
	switch {
	case t.Attach == "":
		return unsaid
	case p.Tag.Carries(t.Attach):
		return ours
	}
	return theirs
}

func sameMerchant(m Merchant, t Trade) bool {
	return t.MerchantID == m.MerchantID && t.SubMerchantID == m.SubMerchantID
}
