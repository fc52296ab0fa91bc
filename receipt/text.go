package receipt

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"posagent/payflow"
)

// timeLayout names the zone, because a till's zone and the customer's bill (GMT+8) may differ.
const timeLayout = "2006-01-02 15:04:05 -07:00"

// Text returns the slip of a payment: lines of at most o.Width cells, each ended by a newline. A payment that is not paid, declined,
// reversing or reversed gives ErrNoSlip; an option out of its bounds gives an error that names it.
func Text(e payflow.Entry, o Options) (string, error) {
	o, err := o.settled(e)
	if err != nil {
		return "", err
	}
	s := slip{paper: paper{width: o.Width}, entry: e, options: o, labels: labelsOf[o.Language]}
	heading := s.heading()
	if heading == "" {
		return "", fmt.Errorf("payment %s is %s: %w", e.OutTradeNo, e.Status, ErrNoSlip)
	}
	s.top()
	s.verdict(heading)
	s.facts()
	s.bottom()
	return s.String(), nil
}

// slip is one slip in the making.
type slip struct {
	paper
	entry   payflow.Entry
	options Options
	labels  labels
}

// heading says what became of the payment; it is empty where nothing is to be printed.
func (s *slip) heading() string {
	return map[payflow.Status]string{
		payflow.Paid:      s.labels.paid,
		payflow.Declined:  s.labels.declined,
		payflow.Reversing: s.labels.reversing,
		payflow.Reversed:  s.labels.reversed,
	}[s.entry.Status]
}

func (s *slip) top() {
	s.reprint()
	s.centre(clean(s.options.Store))
	s.centre(clean(s.options.Address))
	if s.options.Copy == Store {
		s.centre(s.labels.storeCopy)
	} else {
		s.centre(s.labels.customerCopy)
	}
	s.rule()
}

func (s *slip) verdict(heading string) {
	s.centre(heading)
	s.centre(s.entry.Amount.String())
	if consolation := s.consolation(); consolation != "" {
		s.blank()
		s.text(consolation)
	}
	s.rule()
}

// consolation says of a payment that is not paid what became of the customer's money.
func (s *slip) consolation() string {
	switch {
	case s.entry.Status == payflow.Paid:
		return ""
	case s.paidLate():
		return s.labels.paidLate
	case s.entry.Attention != "" || s.entry.Late.Attention != "":
		return s.labels.owed
	case s.entry.Status == payflow.Declined:
		return s.labels.noCharge
	case s.entry.Status == payflow.Reversed && s.entry.Reason == payflow.ReasonNeverArrived:
		return s.labels.neverArrived
	case s.entry.Status == payflow.Reversed && s.entry.Reason == payflow.ReasonRefunded:
		return s.labels.refunded
	}
	return s.labels.goesBack
}

// paidLate reports a payment that WeChat Pay showed as paid after its end: "nothing was charged" would be a lie.
func (s *slip) paidLate() bool {
	if s.entry.Attention == payflow.AttentionLateSuccess {
		return true
	}
	for _, link := range s.entry.Links {
		if link.Kind == payflow.LinkLateSuccess {
			return true
		}
	}
	return false
}

func (s *slip) facts() {
	e, l := s.entry, s.labels
	s.pair(l.amount, e.Amount.String())
	if e.Status == payflow.Paid {
		s.pair(l.payer, payer(e.Trade.PayerAmount))
		s.pair(l.rate, rate(e))
	}
	s.pair(l.sale, clean(string(e.SaleRef)))
	s.pair(l.description, clean(e.Description))
	s.pair(l.order, clean(string(e.OutTradeNo)))
	if e.Stranger == payflow.NoStranger { // another's transaction is none of this customer's
		s.pair(l.transaction, clean(string(e.Trade.TransactionID)))
	}
	s.pair(l.till, clean(s.options.Till))
	s.pair(l.operator, clean(e.Operator))
	s.pair(l.time, s.when())
}

func (s *slip) bottom() {
	if s.entry.Status == payflow.Paid {
		s.rule()
		s.centre(s.labels.thanks)
	}
	s.reprint()
}

func (s *slip) reprint() {
	if s.options.Reprint {
		s.centre(s.labels.reprint)
	}
}

// when is the time that WeChat Pay names for a paid order, else that of the end, or of the decision to reverse.
func (s *slip) when() string {
	at := s.entry.FinalAt
	switch {
	case s.entry.Status == payflow.Paid && !s.entry.Trade.SuccessTime.IsZero():
		at = s.entry.Trade.SuccessTime
	case s.entry.Status == payflow.Reversing:
		at = s.entry.ReversingAt
	}
	return stamp(at, s.options.Location)
}

func stamp(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return ""
	}
	return at.In(zone).Format(timeLayout)
}

// payer is what left the customer's wallet. A currency whose decimals are not known is not guessed at: the customer's bill has it.
func payer(a payflow.Amount) string {
	if _, err := payflow.ParseCurrency(string(a.Currency)); err != nil || a.Minor <= 0 {
		return ""
	}
	return a.String()
}

// rate is the exchange rate as WeChat Pay states it, scaled by 10^8 (amount.exchange_rate.rate); nothing is computed with it.
func rate(e payflow.Entry) string {
	if e.Trade.Rate <= 0 || e.Trade.PayerAmount.Currency == e.Amount.Currency {
		return ""
	}
	const decimals = 8
	digits := strconv.FormatInt(e.Trade.Rate, 10)
	digits = strings.Repeat("0", max(0, decimals+1-len(digits))) + digits
	whole, fraction := digits[:len(digits)-decimals], strings.TrimRight(digits[len(digits)-decimals:], "0")
	if fraction != "" {
		whole += "." + fraction
	}
	return strings.TrimSpace(whole + " " + clean(e.Trade.RateType))
}
