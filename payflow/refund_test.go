package payflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRefundsAreAddedUpByTheirState(t *testing.T) {
	total := Amount{Minor: 1000, Currency: "HKD"}
	of := func(minor int64, state RefundState) RefundReport {
		return RefundReport{OutTradeNo: "N1", Amount: Amount{Minor: minor, Currency: "HKD"}, State: state}
	}
	stranger, dollars := of(100, RefundStateSuccess), of(100, RefundStateSuccess)
	stranger.OutTradeNo, dollars.Amount.Currency = "N2", "USD"
	for name, row := range map[string]struct {
		refunds []RefundReport
		want    RefundSum
	}{
		"none":                {nil, RefundSum{Known: true}},
		"two, done":           {[]RefundReport{of(400, RefundStateSuccess), of(600, RefundStateSuccess)}, RefundSum{Known: true, Done: 1000}},
		"one on its way":      {[]RefundReport{of(400, RefundStateSuccess), of(600, RefundStateProcessing)}, RefundSum{Known: true, Done: 400, Pending: 600}},
		"closed, abnormal":    {[]RefundReport{of(1, RefundStateClosed), of(2, RefundStateAbnormal)}, RefundSum{Known: true, Dead: 2}},
		"a state of tomorrow": {[]RefundReport{of(1, "SOMETHING")}, RefundSum{Known: true, Dead: 1}},
		"another order's":     {[]RefundReport{of(400, RefundStateSuccess), stranger}, RefundSum{}},
		"another currency":    {[]RefundReport{dollars}, RefundSum{}},
		"nothing":             {[]RefundReport{of(0, RefundStateSuccess)}, RefundSum{}},
		"more than was paid":  {[]RefundReport{of(1001, RefundStateSuccess)}, RefundSum{}},
	} {
		assert.Equal(t, row.want, SumRefunds("N1", total, row.refunds), name)
	}
}
