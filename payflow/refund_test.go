package payflow

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRefundsAreAddedUpByTheirState(t *testing.T) {
	total := Amount{Minor: 1000, Currency: "HKD"}
	number := 0
	of := func(minor int64, state RefundState) RefundReport {
		number++
		return RefundReport{RefundID: RefundID(fmt.Sprint("W", number)), OutRefundNo: OutRefundNo(fmt.Sprint("R", number)),
			OutTradeNo: "N1", Amount: Amount{Minor: minor, Currency: "HKD"}, State: state}
	}
	stranger, dollars := of(100, RefundStateSuccess), of(100, RefundStateSuccess)
	stranger.OutTradeNo, dollars.Amount.Currency = "N2", "USD"
	half, unnamed := of(500, RefundStateSuccess), of(500, RefundStateSuccess)
	sameID, sameNo := of(500, RefundStateSuccess), of(500, RefundStateSuccess)
	sameID.RefundID, sameNo.OutRefundNo = half.RefundID, half.OutRefundNo
	unnamed.RefundID, unnamed.OutRefundNo = "", ""
	byOurNumber, byTheirs := unnamed, unnamed
	byOurNumber.OutRefundNo, byTheirs.RefundID = "R91", "W92"
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
		"more, one by one":    {[]RefundReport{of(600, RefundStateSuccess), of(401, RefundStateProcessing)}, RefundSum{}},
		"more, and dead":      {[]RefundReport{of(1001, RefundStateClosed)}, RefundSum{}},
		"dead, then done":     {[]RefundReport{of(1000, RefundStateClosed), of(1000, RefundStateSuccess)}, RefundSum{Known: true, Done: 1000, Dead: 1}},
		"beyond all numbers":  {[]RefundReport{of(1000, RefundStateSuccess), of(math.MaxInt64, RefundStateSuccess)}, RefundSum{}},
		"one, twice":          {[]RefundReport{half, half}, RefundSum{}},
		"one id, twice":       {[]RefundReport{half, sameID}, RefundSum{}},
		"one number, twice":   {[]RefundReport{half, sameNo}, RefundSum{}},
		"one without number":  {[]RefundReport{unnamed}, RefundSum{Known: true, Done: 500}},
		"two without number":  {[]RefundReport{unnamed, unnamed}, RefundSum{}},
		"no number in common": {[]RefundReport{byOurNumber, byTheirs}, RefundSum{}},
	} {
		assert.Equal(t, row.want, SumRefunds("N1", total, row.refunds), name)
	}
}
