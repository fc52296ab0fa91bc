package scanner

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAFullHandoverKeepsEveryStateAndTheNewestScans(t *testing.T) {
	h := &handover{wake: make(chan struct{}, 1)}
	h.put(Event{Kind: KindState, State: Ready})
	for i := range 100 {
		h.put(Event{Kind: KindScan, Scan: Scan{Characters: i}})
	}
	h.put(Event{Kind: KindState, State: Lost})
	var events []Event
	h.deliver(t.Context(), func(e Event) { events = append(events, e) })
	assert.Equal(t, []State{Ready, Lost}, states(events))
	assert.Len(t, events, handoverMax)
	assert.Equal(t, 99, events[handoverMax-2].Scan.Characters, "the newest scan")
	assert.Equal(t, 100-(handoverMax-2), int(events[0].Dropped))
}

func TestStatesAloneMakeRoomFromTheOldest(t *testing.T) {
	h := &handover{wake: make(chan struct{}, 1)}
	for range handoverMax {
		h.put(Event{Kind: KindState, State: Ready})
	}
	h.put(Event{Kind: KindState, State: Lost})
	var last Event
	h.deliver(t.Context(), func(e Event) { last = e })
	assert.Equal(t, Lost, last.State, "what the device is now is never lost")
}
