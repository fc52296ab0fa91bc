package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/wxclient"
)

// checkAt makes the checks of account, clock and gateway with a clock of its own.
func (pc *storePC) checkAt(now func() time.Time) string {
	pc.t.Helper()
	cfg, err := LoadConfig(pc.config())
	require.NoError(pc.t, err)
	var out bytes.Buffer
	c := &checker{cfg: cfg, now: now, places: thisPC(), tell: func(line checked) { writeChecked(&out, line) }}
	c.account()
	c.clockSet()
	c.gateway(pc.t.Context())
	return out.String()
}

// A PC that has lost its time reaches nobody, because no TLS certificate is valid then. It must not look for a cable.
func TestAClockOf1970IsNamedAndNotTheNetwork(t *testing.T) {
	pc := newStorePC(t)
	out := pc.checkAt(func() time.Time { return time.Date(1970, 1, 1, 0, 3, 0, 0, time.UTC) })
	assert.Contains(t, lineOf(out, "fail", "certificate dates"), "The PC's date is most likely wrong")
	assert.Contains(t, lineOf(out, "fail", "clock set"), "1970-01-01 00:03, as a PC does that has lost its time")
	assert.Contains(t, lineOf(out, "fail", "gateway"), "the PC clock shows 1970-01-01 00:03 UTC, as a PC with an empty clock battery does")
	assert.Contains(t, lineOf(out, "fail", "clock"), "Set the clock: timedatectl set-ntp true. If it is lost at each power cut")
	assert.NotContains(t, out, "cable")
	assert.NotContains(t, out, "no connection")
}

func TestTenMinutesOffAreToldBeforeTheFirstSale(t *testing.T) {
	pc := newStorePC(t)
	for off, says := range map[time.Duration]string{10 * time.Minute: "ahead", -10 * time.Minute: "behind"} {
		out := pc.checkAt(func() time.Time { return time.Now().Add(off) })
		assert.Contains(t, lineOf(out, "fail", "clock"), says)
		assert.Contains(t, lineOf(out, "fail", "clock"), "Until then posagent uses WeChat Pay's time")
		assert.Contains(t, lineOf(out, "ok", "verified answer"), "answered in", "one corrected call")
	}
}

func TestTheDaemonNamesTheClockAndNotTheNetwork(t *testing.T) {
	pc := newStorePC(t)
	a := pc.start()
	clock := wxclient.Condition{Kind: wxclient.ClockUnusable, Red: true, Text: "the PC clock shows 1970"}
	away := wxclient.Condition{Kind: wxclient.GatewayUnreachable, Text: "no connection"}
	a.takeCondition(away)
	a.takeCondition(clock)
	a.takeCondition(away)
	assert.True(t, a.health.Holds(health.ClockUnset))
	assert.False(t, a.health.Holds(health.GatewayUnreachable), "before and after")
	assert.Equal(t, "clock_unset", notReadyCode(a.readyForMoney()))

	clock.Over, away.Over = true, true
	a.takeCondition(away)
	a.takeCondition(clock)
	assert.False(t, a.health.Holds(health.ClockUnset))
	assert.NoError(t, a.readyForMoney())
}
