package payflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAScanThatMayBeLostIsAskedForAndNeverCalledNotSent(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	waiting, _ := Arm(Order{OutTradeNo: "N"}, DefaultTiming(), at)
	doubted := MayHaveLeft(waiting, at)
	assert.True(t, doubted.CodeSpent)
	assert.Equal(t, doubted, MayHaveLeft(doubted, at.Add(time.Hour)), "once is enough")

	after, commands := Step(doubted, Event{Kind: Restarted, At: at})
	assert.Equal(t, Confirming, after.Status)
	assert.Equal(t, SendQuery, commands[0].Kind)
	plain, _ := Step(waiting, Event{Kind: Restarted, At: at})
	assert.Equal(t, Cancelled, plain.Status, "without a loss nothing was sent")
}
