package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"posagent/health"
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
