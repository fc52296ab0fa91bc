package queue

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// A journal that can't be written is shown, and what is open is asked about; nothing is taken, sent or decided (I9).
func TestOverAJournalThatCannotBeWrittenNothingIsTaken(t *testing.T) {
	story(t, func(t *testing.T, s *shop) {
		s.wechat.pays(lost)
		s.wechat.queries(found(payflow.TradeUserPaying))
		no := s.arm("A-1").OutTradeNo
		require.NoError(t, s.scan(codeA))
		s.stop()

		cfg := s.cfg
		cfg.ReadOnly = true
		journal, err := OpenJournal(cfg)
		require.NoError(t, err)
		engine, err := NewEngine(Config{Journal: journal, Gateway: s.wechat, Log: zerolog.Nop()})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- engine.RunReadOnly(ctx) }()
		synctest.Wait()
		left := len(s.wechat.calls())

		var notReady *payflow.NotReadyError
		for what, do := range map[string]func() error{
			"arm":       func() error { _, err := engine.Arm(t.Context(), armRequest("A-2")); return err },
			"scan":      func() error { _, err := engine.Scan(t.Context(), codeB, "", "scanner"); return err },
			"cancel":    func() error { _, err := engine.Cancel(t.Context(), no, "P001"); return err },
			"set aside": func() error { _, err := engine.SetAside(t.Context(), no, "P001", "queue"); return err },
			"ready":     engine.Ready,
		} {
			require.ErrorAs(t, do(), &notReady, what)
			assert.Equal(t, "journal", notReady.Code, what)
		}
		assert.NotContains(t, s.wechat.calls()[left:], "pay")
		assert.NotContains(t, s.wechat.calls(), "reverse")
		require.NoError(t, engine.Err(), "and the page is still served")
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, journal.Close())
		s.start()
	})
}
