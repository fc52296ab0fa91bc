package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"posagent/health"
	"posagent/queue"
	"posagent/wxclient"
)

// heard is a way to WeChat Pay of which so much is known.
type heard struct {
	wechat
	state wxclient.State
	up    bool
}

func (h heard) State() wxclient.State { return h.state }
func (h heard) LinkUp() bool          { return h.up }

// No payment is armed, and so no order number is made, before one verified answer has come and the clock was compared with it
// (rules 9 and 10).
func TestNoPaymentIsArmedBeforeWeChatPayAndTheClockAreKnown(t *testing.T) {
	a := newStorePC(t).agent() // it does not run: nothing else asks for its client
	defer a.close()
	client := a.client
	for _, row := range []struct {
		why   string
		state wxclient.State
		up    bool
	}{
		{"no_network", wxclient.State{Verified: true, ClockKnown: true}, false},
		{"not_verified", wxclient.State{ClockKnown: true}, true},
		{"clock", wxclient.State{Verified: true}, true},
	} {
		a.client = heard{client, row.state, row.up}
		assert.Equal(t, row.why, notReadyCode(a.readyForMoney()))
	}
	a.client = heard{client, wxclient.State{Verified: true, ClockKnown: true}, true}
	assert.NoError(t, a.readyForMoney())
}

func TestACaptivePortalIsNamedAsTheReason(t *testing.T) {
	a, _ := aDemoAgent(t)
	a.takeCondition(wxclient.Condition{Kind: wxclient.CaptivePortal, Red: true})
	assert.True(t, a.health.Holds(health.CaptivePortal))
	a.takeCondition(wxclient.Condition{Kind: wxclient.CaptivePortal, Over: true})
	assert.False(t, a.health.Holds(health.CaptivePortal))
}

// A quota does not say beforehand that it is used up: the reserve is written and taken back to learn it, ever more seldom.
func TestAReserveThatDoesNotFitIsTriedEverMoreSeldom(t *testing.T) {
	tries, now := reserveTries{}, time.Now()
	written := 0
	for range int(time.Hour / warningsEvery) {
		if tries.isDue(now) {
			written++
			tries.tried(syscall.EDQUOT, now)
		}
		now = now.Add(warningsEvery)
	}
	assert.Less(t, written, 70, "some eight megabytes each, in an hour")
	assert.True(t, tries.isDue(now.Add(reserveWaitMax)))

	tries.tried(fmt.Errorf("%w: %w", queue.ErrNoRoom, syscall.ENOSPC), now)
	assert.True(t, tries.isDue(now.Add(warningsEvery)), "a disk that says so by itself is asked at each look")
}
