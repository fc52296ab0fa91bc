package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
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
	tries, now := writeTries{}, time.Now()
	written := 0
	for range int(time.Hour / warningsEvery) {
		if tries.isDue(now) {
			written++
			tries.tried(syscall.EDQUOT, now)
		}
		now = now.Add(warningsEvery)
	}
	assert.Less(t, written, 70, "some eight megabytes each, in an hour")
	assert.True(t, tries.isDue(now.Add(triesWaitMax)))

	tries.tried(fmt.Errorf("%w: %w", queue.ErrNoRoom, syscall.ENOSPC), now)
	assert.True(t, tries.isDue(now.Add(warningsEvery)), "a disk that says so by itself is asked at each look")
}

// Selling goes on where nothing can be written beside the journal's key; an installer is told until something can.
func TestAKeyFolderInWhichNothingCanBeWrittenIsWarnedOf(t *testing.T) {
	a, _ := aDemoAgent(t)
	warned := func() bool { return a.health.Holds(health.KeyFolder) }
	inTheWay := keyFileOf(a.cfg.Journal.File) + ".head.new"
	require.NoError(t, os.Mkdir(inTheWay, 0o700))
	_, err := a.engine.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 880, Currency: "HKD"}, SaleRef: "A-1", IdempotencyKey: "k-1"})
	require.NoError(t, err)
	require.Error(t, a.journal.SaveHead())
	require.Eventually(t, warned, 20*time.Second, 20*time.Millisecond)
	assert.NoError(t, a.engine.Ready())
	require.NoError(t, os.Remove(inTheWay))
	require.Eventually(t, func() bool { return !warned() }, 20*time.Second, 20*time.Millisecond)
}

// A disk that fails to read once closes no till: the journal may be whole.
func TestACheckThatCannotReadIsTriedAgainBeforeItClosesTheTill(t *testing.T) {
	a := &agent{log: zerolog.Nop(), health: health.NewTracker(health.Config{})}
	unread := &queue.OpenError{Kind: queue.OpenUnreadable, Text: "the disk failed to read"}
	again := a.judgeCheck(queue.Report{}, unread)
	assert.Less(t, again, verifyEvery)
	assert.Empty(t, a.journalAt.get())
	assert.Equal(t, verifyEvery, a.judgeCheck(queue.Report{}, nil))
	_ = a.judgeCheck(queue.Report{}, unread)
	assert.Empty(t, a.journalAt.get(), "one that went well lay between")
	_ = a.judgeCheck(queue.Report{}, unread)
	assert.Equal(t, unread.Text, a.journalAt.get())

	a = &agent{log: zerolog.Nop(), health: health.NewTracker(health.Config{})}
	_ = a.judgeCheck(queue.Report{}, errors.New("the journal cannot be written"))
	assert.NotEmpty(t, a.journalAt.get(), "any other error is one at once")
	a = &agent{log: zerolog.Nop(), health: health.NewTracker(health.Config{})}
	_ = a.judgeCheck(queue.Report{Findings: []queue.Finding{{Kind: queue.FoundEdited, Text: "entry 7"}}}, nil)
	assert.NotEmpty(t, a.journalAt.get())
}
