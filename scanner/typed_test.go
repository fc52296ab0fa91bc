package scanner

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTypedLinesAreScans(t *testing.T) {
	typed := "1345 6789 0123 4567 89\n\n  hello there \r\n" + strings.Repeat("5", 100) + "\n" + code // no end of line at the end
	var events []Event
	require.NoError(t, NewTyped("stdin", strings.NewReader(typed)).Run(t.Context(), func(e Event) { events = append(events, e) }))
	assert.Equal(t, []string{code, "hello there", code}, texts(events), "a line that is too long is dropped alone")
	assert.Equal(t, []State{Ready, Lost}, states(events))
	assert.Equal(t, 18, events[1].Scan.Characters)
	assert.Equal(t, TroubleTooLong, events[3].Trouble.Code)
	assert.Equal(t, TroubleEnded, events[len(events)-1].Trouble.Code)
	for _, e := range events {
		assert.Equal(t, "stdin", e.Device)
	}
}

func TestTypedEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, NewTyped("stdin", r).Run(ctx, func(Event) {}))
		_, err := w.Write([]byte(code + "\n")) // the line under way is lost, and the goroutine ends with it
		require.NoError(t, err)
		require.NoError(t, w.Close())
	})
}

func TestALineOfSpacesIsNothing(t *testing.T) {
	var events []Event
	require.NoError(t, NewTyped("stdin", strings.NewReader("   \n")).Run(t.Context(), func(e Event) { events = append(events, e) }))
	assert.Empty(t, texts(events))
}
