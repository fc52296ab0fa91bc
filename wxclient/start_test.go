package wxclient

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAStartIsDatedByItsOwnAnswers(t *testing.T) {
	made := time.Now()
	theirs := time.Unix(1_800_000_000, 0) // when it was made, by WeChat Pay's clock
	at := func(since time.Duration) time.Time { return made.Add(since) }
	s := start{made: made}
	assert.False(t, s.precedes(theirs.Add(-time.Hour), at(0)), "nothing is known yet")
	s.learn(theirs.Add(10*time.Second), at(12*time.Second)) // it took two seconds
	assert.False(t, s.precedes(theirs.Add(-2*time.Second), at(12*time.Second)), "as exactly as it is known")
	s.learn(theirs.Add(20*time.Second), at(20*time.Second))
	for off, before := range map[time.Duration]bool{-time.Hour: true, -2 * time.Second: true, -time.Second: false, 0: false, time.Minute: false} {
		assert.Equal(t, before, s.precedes(theirs.Add(off), at(30*time.Second)), off)
	}
	s.learn(theirs, at(30*time.Second))
	assert.True(t, s.precedes(theirs.Add(-2*time.Second), at(30*time.Second)), "a slow answer says nothing new")
	s.forget()
	assert.False(t, s.precedes(theirs.Add(-time.Hour), at(30*time.Second)), "WeChat Pay refused the time that it led to")
}

// The nonces are kept for ten minutes, and an answer is fresh for five: by the time that has gone by, whatever the PC's clock shows.
func TestAnAnswerIsNoOlderThanFiveMinutesThoughTheClockWasSetBack(t *testing.T) {
	s := start{made: time.Now()}
	theirs := time.Unix(1_800_000_000, 0)
	s.learn(theirs, s.made)
	for old, before := range map[time.Duration]bool{10 * time.Minute: true, window + 2*time.Second: true, window: false, time.Second: false} {
		assert.Equal(t, before, s.precedes(theirs.Add(time.Hour-old), s.made.Add(time.Hour)), old)
	}
}

func TestAStartIsLaterThanWhatTheOneBeforeHeard(t *testing.T) {
	heard := time.Unix(1_800_000_000, 0)
	s := start{made: time.Now(), heard: heard}
	assert.True(t, s.precedes(heard.Add(-2*time.Second), s.made))
	assert.False(t, s.precedes(heard.Add(-time.Second), s.made))
	s.learn(heard.Add(-time.Hour), s.made)
	assert.True(t, s.precedes(heard.Add(-2*time.Second), s.made.Add(nonceKept-1)))
	assert.False(t, s.precedes(heard.Add(-2*time.Second), s.made.Add(nonceKept)), "a wrong time on disk does not last")
}
