package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"posagent/payflow"
)

func aBookedRefund(status payflow.RefundStatus) payflow.RefundEntry {
	e := payflow.RefundEntry{}
	e.OutRefundNo, e.OutTradeNo, e.Status = "R1", "N1", status
	e.Amount = payflow.Amount{Minor: 250, Currency: "HKD"}
	return e
}

func TestRefundsInTheBooksAndInTheJournalAreCompared(t *testing.T) {
	done, open, dead := refundLine{Number: "R1", Amount: 250, Done: true}, refundLine{Number: "R1", Amount: 250}, refundLine{Number: "R1", Amount: 250, Dead: true}
	more := refundLine{Number: "R1", Amount: 251, Done: true}
	for name, row := range map[string]struct {
		books   []refundLine
		journal []payflow.RefundEntry
		agree   bool
	}{
		"none":                                   {nil, nil, true},
		"given back, by both":                    {[]refundLine{done}, []payflow.RefundEntry{aBookedRefund(payflow.RefundDone)}, true},
		"on its way":                             {[]refundLine{open}, []payflow.RefundEntry{aBookedRefund(payflow.RefundProcessing)}, true},
		"given back, and not known here yet":     {[]refundLine{done}, []payflow.RefundEntry{aBookedRefund(payflow.RefundProcessing)}, true},
		"asked for, and never arrived":           {nil, []payflow.RefundEntry{aBookedRefund(payflow.RefundRequested)}, true},
		"refused, and never there":               {nil, []payflow.RefundEntry{aBookedRefund(payflow.RefundRefused)}, true},
		"closed by WeChat Pay":                   {[]refundLine{dead}, []payflow.RefundEntry{aBookedRefund(payflow.RefundRefused)}, true},
		"called given back, and it is not":       {[]refundLine{open}, []payflow.RefundEntry{aBookedRefund(payflow.RefundDone)}, false},
		"called given back, and nobody knows it": {nil, []payflow.RefundEntry{aBookedRefund(payflow.RefundDone)}, false},
		"called refused, and it goes back":       {[]refundLine{open}, []payflow.RefundEntry{aBookedRefund(payflow.RefundRefused)}, false},
		"another amount":                         {[]refundLine{more}, []payflow.RefundEntry{aBookedRefund(payflow.RefundDone)}, false},
		"one that no journal knows":              {[]refundLine{done}, nil, false},
		"one number, twice":                      {[]refundLine{done, done}, []payflow.RefundEntry{aBookedRefund(payflow.RefundDone)}, false},
	} {
		assert.Equal(t, row.agree, len(compareRefunds([]bookLine{{OutTradeNo: "N1", Refunds: row.books}}, row.journal)) == 0, name)
	}
}

func TestAPaidSaleThatWasRefundedInPartAgrees(t *testing.T) {
	entry := payflow.Entry{}
	entry.OutTradeNo, entry.Status, entry.Amount = "N1", payflow.Paid, payflow.Amount{Minor: 1250, Currency: "HKD"}
	line := bookLine{OutTradeNo: "N1", Amount: entry.Amount, Held: 1000, Charged: 1, Refunds: []refundLine{{Number: "R1", Amount: 250, Done: true}}}
	assert.Empty(t, compareOne(entry, line, true, true))
	line.Held = 999
	assert.NotEmpty(t, compareOne(entry, line, true, true))
	line.Held, line.Refunds[0].Done = 1000, false
	assert.NotEmpty(t, compareOne(entry, line, true, true), "money that is on its way is still held")
}
