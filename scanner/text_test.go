package scanner

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNothingPrintsACode plants a code in everything that holds one, and prints it in every way there is.
func TestNothingPrintsACode(t *testing.T) {
	text := NewText(code)
	events := NewAssembler(0).Feed([]byte("]Q1"+code+"\r"), time.Now())
	require.Len(t, events, 1)
	hidden := struct{ text Text }{text} // fmt does not call methods on fields that are not exported
	for _, v := range []any{text, &text, events[0], &events[0], events[0].Scan, &events[0].Scan, events, hidden, &hidden, map[string]Text{"a": text}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "% x", "%T", "%10.3s"} {
			assertNoCode(t, fmt.Sprintf(verb, v))
		}
		out, err := json.Marshal(v)
		require.NoError(t, err)
		assertNoCode(t, string(out))
		var log bytes.Buffer
		logger := zerolog.New(&log)
		logger.Info().Interface("v", v).Any("any", v).Str("s", fmt.Sprint(v)).Msg("scan")
		assertNoCode(t, log.String())
	}
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Stringer("event", events[0]).Stringer("scan", events[0].Scan).Stringer("text", text).Msg("")
	assertNoCode(t, log.String())
	assert.Contains(t, log.String(), "18 characters")
	assert.Error(t, gob.NewEncoder(&log).Encode(hidden))
}

func assertNoCode(t *testing.T, printed string) {
	t.Helper()
	assert.NotContains(t, printed, code[:8]) // eight digits: five of them stand in an address now and then
	assert.NotContains(t, printed, code[10:])
	assert.NotContains(t, strings.ToLower(printed), fmt.Sprintf("%x", code[:5]))
}

func TestOnlyRevealGivesTheCharacters(t *testing.T) {
	assert.Equal(t, code, NewText(code).Reveal())
	assert.Equal(t, "", Text{}.Reveal())
	assert.Equal(t, "(0 characters)", Text{}.String())
	assert.Equal(t, "(18 characters)", fmt.Sprintf("%d", NewText(code)), "the same under every verb")
	out, err := NewText(code).MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "(18 characters)", string(out))
}
