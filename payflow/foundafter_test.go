package payflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What was lost in a restore pays its sale as a payment would: one that was refunded in part has been paid, and a wholly refunded one is charged anew
// by an additional tender alone.
func TestALostOrderPaysItsSaleWhateverWasRefunded(t *testing.T) {
	seen := FoundSettled{At: time.Unix(1, 0), Operator: "ANNA"}
	for state, want := range map[TradeState][2]bool{ // before and behind a person's word
		TradeSuccess: {true, true}, TradeRefund: {true, true}, TradeClosed: {false, false}, TradeRevoked: {false, false}, TradeNotPay: {true, false},
	} {
		f := FoundAfterRestore{State: state, Attach: "0123456789abcdef " + "sale=A-1"}
		assert.Equal(t, want[0], f.PaysSale("A-1"), state)
		f.Settled = seen
		assert.Equal(t, want[1], f.PaysSale("A-1"), "%s, settled", state)
		assert.False(t, f.PaysSale("A-2"), state)
	}
}
