package queue

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestTheJournalNamesTheWayByWhichAWishCame(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		no := s.arm("A-1").OutTradeNo
		ctx := context.WithValue(t.Context(), payflow.ViaKey{}, "token kiosk (1a2b3c4d)")
		_, err := s.engine.Cancel(ctx, no, "P001")
		require.NoError(t, err)
		_, err = s.engine.Acknowledge(t.Context(), no, payflow.Acknowledgement{How: payflow.Seen})
		require.NoError(t, err)
		events, err := s.engine.JournalEvents(0, 100)
		require.NoError(t, err)
		vias := map[string]string{}
		for _, e := range events {
			vias[e.Kind] = e.Via
		}
		assert.Equal(t, "token kiosk (1a2b3c4d)", vias[string(payflow.CancelAsked)])
		assert.Empty(t, vias[EventArmed], "nobody said how that came")
		assert.Empty(t, vias[EventAcknowledged], "and nothing of the wish before clings to the next")
	})
}
