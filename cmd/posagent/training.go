package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"posagent/payflow"
	"posagent/till"
)

var (
	_ till.TrainingDesk = (*training)(nil)
	_ till.Practice     = (*practice)(nil)
)

// training is the till that beginners practise at: an agent of its own inside this one, with simulated WeChat Pay, a folder and a journal of
// its own and no scanner, shown below /training/ of the real page. It is made when it is asked for and removed with all that it kept when it
// ends; it ends with the process, and as soon as a real payment is armed.
type training struct {
	real *agent

	mu  sync.Mutex   // guards run, and is held while a training till is made or ended
	run *trainingRun // nil: there is none
}

// trainingRun is one training till, from its beginning to its end.
type trainingRun struct{ stop func() }

// practice plays customers.
type practice struct {
	trial  *trial
	alipay atomic.Int64 // codes of Alipay handed out
}

// practised are the scenarios of simulated WeChat Pay behind the customers of the page.
var practised = map[string]string{
	"pays": "pays-at-once", "password": "password-pays", "no_money": "no-money", "expired": "expired-code", "lost": "system-error-unpaid",
}

// alipayCode is what an Alipay wallet shows, but for its last digits.
const alipayCode = "2812345678901234%02d"

// PracticeCode returns a fresh code of a customer.
func (p *practice) PracticeCode(customer string) (string, bool) {
	if customer == "alipay" {
		return fmt.Sprintf(alipayCode, p.alipay.Add(1)%100), true
	}
	scenario, known := practised[customer]
	if !known {
		return "", false
	}
	return p.trial.code(scenario), true
}

// folder is where training keeps its state: beside the real journal, and never in it.
func (t *training) folder() string {
	return filepath.Join(filepath.Dir(t.real.cfg.Journal.File), "training")
}

// BeginTraining makes the training till.
func (t *training) BeginTraining(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if held, holds := t.real.engine.Holding(); holds {
		return &payflow.TillBusyError{ID: held.OutTradeNo}
	}
	if t.run != nil {
		return nil
	}
	if err := t.clear(); err != nil {
		return err
	}
	trial, err := openTrial(filepath.Join(t.folder(), "wechat-pay"), payflow.APIv3)
	if err != nil {
		return err
	}
	a, err := t.newAgent(trial)
	if err != nil {
		trial.close()
		return err
	}
	t.run = t.show(a, trial)
	return nil
}

// clear removes what training kept, also what a power cut left of it, and makes the folder anew.
func (t *training) clear() error {
	if err := os.RemoveAll(t.folder()); err != nil {
		return fmt.Errorf("clear the folder of training: %w", err)
	}
	return os.MkdirAll(t.folder(), 0o700)
}

func (t *training) newAgent(trial *trial) (*agent, error) {
	c := trialConfig{StoreID: "TRAINING", TillID: "TRN", Account: trial.account(), Listen: "127.0.0.1:0"}
	if err := writeTrialConfig(t.folder(), c); err != nil {
		return nil, err
	}
	cfg, err := LoadConfig(filepath.Join(t.folder(), "posagent.toml"))
	if err != nil {
		return nil, err
	}
	real := t.real.cfg
	cfg.API.Listen, cfg.API.Socket = "", "" // the real till's listener serves it
	cfg.API.AllowedHosts = real.API.AllowedHosts
	cfg.Store.Name, cfg.Store.Address, cfg.Store.TimeZone = "TRAINING "+real.Store.Name, real.Store.Address, real.Store.TimeZone // every receipt carries the name
	cfg.Till.Currency, cfg.Till.Language, cfg.Receipt = real.Till.Currency, real.Till.Language, real.Receipt
	cfg.Receipt.Printer = "none"
	return newAgent(cfg, agentOptions{Log: t.real.log.With().Bool("training", true).Logger(), Practice: &practice{trial: trial}})
}

// show runs the training till until stop is called, its parent ends, or a real payment is armed.
func (t *training) show(a *agent, trial *trial) *trainingRun {
	ctx, cancel := context.WithCancel(t.real.life)
	ended := make(chan struct{})
	announced := t.real.engine.Subscribe(ctx)
	go func() {
		defer close(ended)
		if err := a.run(ctx); err != nil {
			t.real.log.Error().Err(err).Msg("training has ended by itself")
		}
		a.close()
		trial.close()
	}()
	run := &trainingRun{}
	go func() {
		_, holds := t.real.engine.Holding() // since it was looked at
		for !holds {
			change, more := <-announced
			holds = !more || change.Entry.Open()
		}
		t.end(run) // a real payment, or the end of everything
	}()
	run.stop = func() {
		t.real.server.Train(nil)
		cancel()
		<-ended
		_ = os.RemoveAll(t.folder())
	}
	t.real.server.Train(a.server)
	return run
}

// EndTraining ends the training till, if there is one.
func (t *training) EndTraining() {
	t.mu.Lock()
	run := t.run
	t.mu.Unlock()
	t.end(run)
}

// end ends one training till, and no later one.
func (t *training) end(run *trainingRun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if run != nil && t.run == run {
		run.stop()
		t.run = nil
	}
}

// endTraining ends what training may be under way, before the real till hangs up.
func (a *agent) endTraining() {
	if a.training != nil {
		a.training.EndTraining()
	}
}
