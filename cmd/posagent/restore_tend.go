package main

import (
	"context"
	"fmt"

	"posagent/health"
	"posagent/payflow"
	"posagent/till"
)

var _ till.BackupDesk = (*agent)(nil)

// tendRestore asks WeChat Pay for what a restored journal lost, and keeps the warnings about it true. It ends where nothing was ever restored.
func (a *agent) tendRestore(ctx context.Context) {
	if a.readOnly != nil {
		return
	}
	a.warnOfRestore()
	if err := a.engine.AskAfterRestore(ctx); err != nil && ctx.Err() == nil {
		a.log.Error().Err(err).Msg("WeChat Pay could not be asked for what the restored journal lost; it is tried again at the next start")
	}
	a.warnOfRestore()
}

// warnOfRestore shows that WeChat Pay is being asked, and what was found and is not settled.
func (a *agent) warnOfRestore() {
	state := a.restoreState()
	if state == nil {
		return
	}
	a.warnIf(state.Asking, health.RestoreAsking, state.Text)
	a.warnIf(state.Found > 0, health.FoundAfterRestore, fmt.Sprint(state.Found))
}

// restoreState is what the status says after a restore; nil where there was none.
func (a *agent) restoreState() *till.RestoreState {
	asking, text, err := a.journal.AfterRestore()
	if err != nil || text == "" {
		return nil
	}
	found, err := a.engine.FoundAfterRestore()
	if err != nil {
		return nil
	}
	return &till.RestoreState{Asking: asking, Text: text, Found: len(found)}
}

// FoundAfterRestore returns the orders that a restored journal lost and that a person must look at.
func (a *agent) FoundAfterRestore() ([]payflow.FoundAfterRestore, error) {
	return a.engine.FoundAfterRestore()
}

// SettleFound records a person's word on one of them.
func (a *agent) SettleFound(ctx context.Context, no payflow.OutTradeNo, operator, note string) (payflow.FoundAfterRestore, error) {
	settled, err := a.engine.SettleFound(ctx, no, operator, note)
	if err == nil {
		a.warnOfRestore()
	}
	return settled, err
}
