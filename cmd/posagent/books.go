package main

import (
	"fmt"
	"io"

	"posagent/payflow"
)

// bookLine is one order in WeChat Pay's books, as far as it is compared with the journal.
type bookLine struct {
	OutTradeNo payflow.OutTradeNo
	State      string // WeChat Pay's trade state
	Amount     payflow.Amount
	Held       int64 // money that WeChat Pay holds for the order now, minor units
	Charged    int   // times the customer was charged
	Arrivals   int   // whole pay requests that arrived from us
	Attach     string
	CodeSum    string // SHA-256 of the payment code, in hex
	Violations []string
	Refunds    []refundLine
}

// refundLine is one refund in WeChat Pay's books.
type refundLine struct {
	Number payflow.OutRefundNo
	Amount int64 // minor units
	Done   bool  // the money went back
	Dead   bool  // it never will
}

// gaveBack is what refunds gave back of an order, in minor units.
func (l bookLine) gaveBack() int64 {
	back := int64(0)
	for _, r := range l.Refunds {
		if r.Done {
			back += r.Amount
		}
	}
	return back
}

// difference is one disagreement between the books and the journals.
type difference struct {
	OutTradeNo payflow.OutTradeNo
	What       string
}

// compareBooks compares WeChat Pay's books with the journals of every till, line by line, both ways. An order that a till still
// calls open must be known to it as such; everything else must agree to the last cent.
func compareBooks(books []bookLine, journals ...[]payflow.Entry) []difference {
	byNumber := map[payflow.OutTradeNo]bookLine{}
	for _, line := range books {
		byNumber[line.OutTradeNo] = line
	}
	senders := map[payflow.OutTradeNo]int{} // journals that sent a pay call under the number: more than one where a PC was cloned
	for _, journal := range journals {
		for _, entry := range journal {
			if !entry.ScannedAt.IsZero() {
				senders[entry.OutTradeNo]++
			}
		}
	}
	var differences []difference
	claimed := map[payflow.OutTradeNo]bool{}
	for _, journal := range journals {
		for _, entry := range journal {
			line, known := byNumber[entry.OutTradeNo]
			mine := known && entry.Tag.Carries(line.Attach)
			claimed[entry.OutTradeNo] = claimed[entry.OutTradeNo] || mine
			for _, what := range compareOne(entry, line, known, mine) {
				differences = append(differences, difference{entry.OutTradeNo, what})
			}
		}
	}
	for _, line := range books {
		if line.Arrivals > senders[line.OutTradeNo] {
			differences = append(differences, difference{line.OutTradeNo, fmt.Sprintf("%d pay calls arrived, %d were sent", line.Arrivals, senders[line.OutTradeNo])})
		}
		if !claimed[line.OutTradeNo] {
			differences = append(differences, difference{line.OutTradeNo, "WeChat Pay has an order that no journal knows as its own"})
		}
		for _, v := range line.Violations {
			differences = append(differences, difference{line.OutTradeNo, v})
		}
	}
	return differences
}

// compareOne compares one journal entry with the order under its number; mine: the order carries its tag.
func compareOne(entry payflow.Entry, line bookLine, known, mine bool) []string {
	if !known || !mine {
		if entry.Status == payflow.Paid {
			return []string{"the journal says paid, WeChat Pay has no such order of ours"}
		}
		return nil
	}
	var found []string
	if line.Amount != entry.Amount {
		found = append(found, fmt.Sprintf("the journal says %s, WeChat Pay %s", entry.Amount, line.Amount))
	}
	if line.Charged > 1 {
		found = append(found, fmt.Sprintf("the customer was charged %d times", line.Charged))
	}
	switch {
	case entry.Status == payflow.Paid && line.Held+line.gaveBack() != entry.Amount.Minor:
		found = append(found, fmt.Sprintf("the journal says paid, WeChat Pay holds %d and gave %d back", line.Held, line.gaveBack()))
	case entry.Status.Final() && entry.Status != payflow.Paid && line.Held != 0:
		found = append(found, fmt.Sprintf("the journal says %s, WeChat Pay holds %d", entry.Status, line.Held))
	}
	return found
}

// compareRefunds compares the refunds in WeChat Pay's books with those of every journal, both ways.
func compareRefunds(books []bookLine, journal []payflow.RefundEntry) []difference {
	byNumber := map[payflow.OutRefundNo]refundLine{}
	var differences []difference
	for _, line := range books {
		for _, r := range line.Refunds {
			if _, twice := byNumber[r.Number]; twice {
				differences = append(differences, difference{line.OutTradeNo, "two refunds under one number"})
			}
			byNumber[r.Number] = r
		}
	}
	for _, entry := range journal {
		r, known := byNumber[entry.OutRefundNo]
		delete(byNumber, entry.OutRefundNo)
		if what := compareRefund(entry, r, known); what != "" {
			differences = append(differences, difference{entry.OutTradeNo, "refund " + string(entry.OutRefundNo) + ": " + what})
		}
	}
	for _, line := range books {
		for _, r := range line.Refunds {
			if _, left := byNumber[r.Number]; left {
				differences = append(differences, difference{line.OutTradeNo, "WeChat Pay has refund " + string(r.Number) + ", which no journal knows"})
			}
		}
	}
	return differences
}

func compareRefund(entry payflow.RefundEntry, r refundLine, known bool) string {
	switch {
	case known && r.Amount != entry.Amount.Minor:
		return fmt.Sprintf("the journal says %s, WeChat Pay %d", entry.Amount, r.Amount)
	case entry.Status == payflow.RefundDone && !r.Done:
		return "the journal says given back, WeChat Pay does not"
	case entry.Status == payflow.RefundRefused && known && !r.Dead:
		return "the journal says refused, WeChat Pay gives it back"
	}
	return ""
}

// tellBooks prints the comparison line by line.
func tellBooks(w io.Writer, books []bookLine, differences []difference, journals ...[]payflow.Entry) {
	status := map[payflow.OutTradeNo]string{}
	for _, journal := range journals {
		for _, entry := range journal {
			if status[entry.OutTradeNo] != "" {
				status[entry.OutTradeNo] += " + "
			}
			status[entry.OutTradeNo] += string(entry.Status)
		}
	}
	wrong := map[payflow.OutTradeNo]bool{}
	for _, d := range differences {
		wrong[d.OutTradeNo] = true
	}
	for _, line := range books {
		mark := "agree"
		if wrong[line.OutTradeNo] {
			mark = "DIFFER"
		}
		fmt.Fprintf(w, "  %-32s  %12s  WeChat Pay: %-10s held %6d   journal: %-24s %s\n",
			line.OutTradeNo, line.Amount, line.State, line.Held, status[line.OutTradeNo], mark)
	}
	for _, d := range differences {
		fmt.Fprintf(w, "  DIFFERENCE %s: %s\n", d.OutTradeNo, d.What)
	}
}
