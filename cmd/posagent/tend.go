package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/wxclient"
	"posagent/wxclient/v2"
)

// How often the agent looks after itself.
const (
	warningsEvery = 2 * time.Second
	headEvery     = time.Hour
	verifyFirst   = 10 * time.Second / payflow.Pace
	verifyEvery   = 24 * time.Hour
	verifyAgain   = 10 * time.Minute // where it could not read
	writableEvery = 10 * time.Second / payflow.Pace
	diskLowBytes  = 256 << 20
	// triesWaitMax bounds how long a till goes without selling after a quota was made wider.
	triesWaitMax = time.Minute
)

// warned is which warnings the log has told of.
type warned struct {
	mu    sync.Mutex // guards codes
	codes map[health.Code]bool
}

// journalState is what the last check of the journal found.
type journalState struct {
	mu      sync.Mutex // guards finding
	finding string
}

func (s *journalState) set(finding string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finding = finding
}

func (s *journalState) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finding
}

// readyForMoney says why no payment can be taken now, or nil: rules 9 and 10, and a journal that is not what it was.
func (a *agent) readyForMoney() error {
	state := a.client.State()
	switch {
	case a.journalAt.get() != "":
		return notReady("journal", "the journal's check found something wrong; call the manager, and run: posagent journal verify")
	case a.journal.ReserveUsed():
		return notReady("journal", "the disk is full: open payments are finished, no new one is taken; make room, and selling goes on by itself")
	case a.health.Holds(health.ClockUnset):
		return notReady("clock_unset", "the clock of this PC is wrong, so WeChat Pay can't be reached; take cash, and set date and time")
	case !a.client.LinkUp() && a.health.Holds(health.CaptivePortal):
		return notReady("captive_portal", "something else answers in WeChat Pay's place: take cash, and log in to the network")
	case !a.client.LinkUp():
		return notReady("no_network", "no network: take cash; selling goes on by itself once WeChat Pay answers")
	case !state.Verified:
		return notReady("not_verified", "WeChat Pay has not answered yet; take cash until it has")
	case !state.ClockKnown:
		return notReady("clock", "the clock has not been compared with WeChat Pay's yet; wait a few seconds")
	case a.health.Holds(health.ClientCertificateRefused):
		return notReady("certificate_refused", "WeChat Pay does not take the merchant certificate, so nothing could be taken back; take cash, and run: posagent check")
	}
	return unableToReverse(a.cfg.WeChat.API, a.creds.get(), a.client.Now())
}

func notReady(code, text string) error { return &payflow.NotReadyError{Code: code, Text: text} }

func (a *agent) correctedClock() (time.Time, bool) {
	return a.client.Now(), a.client.State().ClockKnown
}

// takeCondition maps what the client tells to the list of warnings.
func (a *agent) takeCondition(c wxclient.Condition) {
	if !c.Over {
		a.log.Warn().Str("condition", string(c.Kind)).Bool("red", c.Red).Str("code", c.Code).Msg(c.Text)
	}
	a.takeKeyChange(c)
	for _, code := range warningCodes(c) {
		if code == health.GatewayUnreachable && a.health.Holds(health.ClockUnset) {
			continue // the network is there: the clock is what is wrong
		}
		if c.Over {
			a.health.Clear(code)
			continue
		}
		a.health.Set(code, c.Text)
	}
	if c.Kind == wxclient.ClockUnusable && !c.Over {
		a.health.Clear(health.GatewayUnreachable)
	}
	if c.Kind == wxclient.RoundTripVerified {
		a.health.Clear(health.NotVerifiedYet, health.GatewayUnreachable, health.CaptivePortal)
	}
	if c.Kind == wxclient.ClockOff && !c.Over && !c.Red {
		a.health.Clear(health.ClockOffMuch)
	}
}

func warningCodes(c wxclient.Condition) []health.Code {
	switch c.Kind {
	case wxclient.GatewayUnreachable, wxclient.LinkDown:
		return []health.Code{health.GatewayUnreachable}
	case wxclient.CaptivePortal:
		return []health.Code{health.CaptivePortal}
	case wxclient.ClockOff:
		if c.Over {
			return []health.Code{health.ClockOff, health.ClockOffMuch}
		}
		if c.Red {
			return []health.Code{health.ClockOffMuch}
		}
		return []health.Code{health.ClockOff}
	case wxclient.ClockUnusable:
		return []health.Code{health.ClockUnset}
	case wxclient.CertificatesRefused, wxclient.CertificateExpiring, wxclient.SerialUnknown:
		return []health.Code{health.PlatformCertificate}
	case wxclient.ConfigurationRefused:
		return []health.Code{health.CredentialsRefused}
	case v2.CertificateRefused:
		return []health.Code{health.ClientCertificateRefused}
	}
	return nil
}

// tendWarnings keeps the warnings about payments and disk true.
func (a *agent) tendWarnings(ctx context.Context) {
	tick := time.NewTicker(warningsEvery)
	defer tick.Stop()
	for {
		a.warnOfPayments()
		a.warnOfRefunds()
		a.warnOfDisk()
		a.warnOfCertificate()
		a.warnOfRestore()
		a.warnOfGuesses()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *agent) warnOfPayments() {
	attention, aside := "", 0
	for _, entry := range a.engine.OpenEntries() {
		if entry.Attention != "" {
			attention = string(entry.OutTradeNo)
		}
		if !entry.SetAside.At.IsZero() {
			aside++
		}
	}
	a.warnIf(attention != "", health.PaymentAttention, attention)
	a.warnIf(aside > 0, health.PaymentSetAside, fmt.Sprint(aside))
	unannounced, err := a.engine.CountUnannounced()
	a.warnIf(err == nil && unannounced > 0, health.PaidNotAnnounced, fmt.Sprint(unannounced))
}

func (a *agent) warnOfGuesses() {
	guessed := a.operators.Guessed()
	a.warnIf(len(guessed) > 0, health.ManyWrongPINs, strings.Join(guessed, " "))
}

func (a *agent) warnOfDisk() {
	if a.journal.ReserveUsed() && a.readOnly == nil && a.reserve.isDue(time.Now()) {
		a.restoreReserve()
	}
	free, err := diskFree(a.cfg.Journal.File)
	low := err == nil && free < diskLowBytes
	a.warnIf(low, health.DiskNearlyFull, fmt.Sprintf("%d MiB free", free>>20))
	a.warnOfKeyFolder(low)
}

// warnOfKeyFolder tells that the files beside the journal's key cannot be written, where it is not told already of the journal and its disk.
func (a *agent) warnOfKeyFolder(low bool) {
	err := a.journal.BesideKey()
	if err != nil && a.readOnly == nil && !a.journal.ReserveUsed() && a.besideKey.isDue(time.Now()) {
		a.besideKey.tried(a.journal.SaveHead(), time.Now())
		err = a.journal.BesideKey()
	}
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	a.warnIf(err != nil && a.readOnly == nil && !(full && (low || a.journal.ReserveUsed())), health.KeyFolder, fmt.Sprint(err))
}

func (a *agent) restoreReserve() {
	err := a.journal.RestoreReserve()
	a.reserve.tried(err, time.Now())
	if err != nil {
		a.health.Set(health.DiskFull, plainCause(err))
		return
	}
	a.log.Info().Msg("the disk has room again: the journal's reserve is back")
	a.health.Clear(health.DiskFull)
}

// writeTries is when something is written again that could not be: the reserve, or what lies beside the key. A disk that says that it is full is asked at each
// look; one that takes a part and then has no room, as a quota does, is written to ever more seldom.
type writeTries struct {
	again time.Time
	wait  time.Duration
}

func (r *writeTries) isDue(now time.Time) bool { return !now.Before(r.again) }

func (r *writeTries) tried(err error, now time.Time) {
	if err == nil || errors.Is(err, queue.ErrNoRoom) {
		*r = writeTries{}
		return
	}
	r.wait = min(max(2*r.wait, warningsEvery), triesWaitMax)
	r.again = now.Add(r.wait)
}

// logWarnings writes a line for each warning that has come or gone: the log says the same as page and check.
func (a *agent) logWarnings() {
	a.warned.mu.Lock()
	defer a.warned.mu.Unlock()
	held := map[health.Code]bool{}
	for _, w := range a.health.List() {
		held[w.Code] = true
		if a.warned.codes[w.Code] {
			continue
		}
		line := a.log.Warn()
		if w.Severity == health.Red {
			line = a.log.Error()
		}
		line.Str("warning", string(w.Code)).Str("detail", w.Detail).Str("next_step", w.NextStep.EN).Msg(w.Title.EN)
	}
	for code := range a.warned.codes {
		if !held[code] {
			a.log.Info().Str("warning", string(code)).Msg("a warning is over")
		}
	}
	a.warned.codes = held
}

func (a *agent) warnIf(holds bool, code health.Code, detail string) {
	if holds {
		a.health.Set(code, detail)
		return
	}
	a.health.Clear(code)
}

// tendJournal writes the chain's head to the log at intervals and at the end, and checks the whole journal after the start and nightly (I11).
func (a *agent) tendJournal(ctx context.Context) {
	heads := time.NewTicker(headEvery)
	defer heads.Stop()
	verify := time.NewTimer(verifyFirst)
	defer verify.Stop()
	a.logHead("start")
	defer a.logHead("stop")
	for {
		select {
		case <-ctx.Done():
			return
		case <-heads.C:
			a.logHead("hour")
		case <-verify.C:
			verify.Reset(a.verifyJournal(ctx))
		}
	}
}

func (a *agent) logHead(when string) {
	if err := a.journal.SaveHead(); err != nil && a.readOnly == nil {
		a.log.Warn().Err(err).Msg("the journal's head could not be kept beside its key")
	}
	a.log.Info().Str("when", when).Str("head", a.journal.Head().String()).Msg("journal head")
}

// verifyJournal waits for a moment without a customer: no step is made while the file's pages are checked. It returns when to check again.
func (a *agent) verifyJournal(ctx context.Context) time.Duration {
	for {
		if _, busy := a.engine.Holding(); !busy {
			break
		}
		select {
		case <-ctx.Done():
			return verifyEvery
		case <-time.After(warningsEvery):
		}
	}
	report, err := a.journal.Verify(ctx, nil)
	if ctx.Err() != nil {
		return verifyEvery
	}
	return a.judgeCheck(report, err)
}

// judgeCheck says what a check found, and returns when to check again. One that could not read says nothing about the journal, and closes no till before it was tried
// a second time.
func (a *agent) judgeCheck(report queue.Report, err error) time.Duration {
	unread := isKind(err, queue.OpenUnreadable)
	switch {
	case unread && !a.checkUnread:
		a.log.Error().Err(err).Msg("the journal's check could not read all of it, and is tried again")
	case err != nil:
		a.foundInJournal(err.Error())
	case !report.Clean():
		a.foundInJournal(report.String())
	}
	a.checkUnread = unread
	if unread {
		return verifyAgain
	}
	return verifyEvery
}

func (a *agent) foundInJournal(what string) {
	a.journalAt.set(what)
	a.health.Set(health.JournalFinding, what)
	a.log.Error().Str("finding", what).Msg("the journal's check found something wrong; nothing more is armed; run: posagent journal verify")
}

// awaitWritable tries the journal again while it cannot be written, and ends the run once it can: the next one is a whole one.
func (a *agent) awaitWritable(ctx context.Context, stop context.CancelFunc) {
	tick := time.NewTicker(writableEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if a.journal.CanWrite() == nil {
				a.log.Info().Msg("the journal can be written again; starting over")
				stop()
				return
			}
		}
	}
}
