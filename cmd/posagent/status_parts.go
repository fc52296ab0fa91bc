package main

import (
	"maps"
	"slices"
	"time"

	"posagent/scanner"
	"posagent/till"
)

// newTillServer builds the local API and the page over the engine.
func (a *agent) newTillServer() (*till.Server, error) {
	words, err := till.LoadWords()
	if err != nil {
		return nil, err
	}
	tokens, err := till.OpenTokens(a.cfg.API.TokensFile)
	if err != nil {
		return nil, &Failure{Code: ExitUsage, What: err.Error(), Next: "see that tokens_file in the [api] section is readable by this user", Err: err}
	}
	operators, err := till.OpenOperators(a.cfg.operatorsFile())
	if err != nil {
		return nil, &Failure{Code: ExitUsage, What: err.Error(), Next: "see that the operators file is readable by this user (file in the [operators] section)", Err: err}
	}
	a.operators = operators
	cfg := till.Config{
		Operators: operators, PINToSell: a.cfg.Operators.PINToSell, LockAfter: a.cfg.Operators.LockAfter,
		Desk: a.engine, Refunds: refundDesk{a.engine, a}, Late: a.engine, Bills: a.ways, Location: a.cfg.Store.TimeZone, Status: a.status, Health: a.health, Tokens: tokens, Words: words, Page: till.Page(words),
		AllowedHosts: a.cfg.API.AllowedHosts, CORSOrigins: a.cfg.API.CORSOrigins, AllowCodeInAPI: a.cfg.Till.AllowCodeInAPI,
		CodePrefixes: a.cfg.Till.CodePrefixes, Currency: a.cfg.Till.Currency, Language: a.cfg.Till.Language,
		Store: a.cfg.Store.Name, Till: a.cfg.Till.ID, Log: a.log.With().Str("part", "api").Logger(),
		Secret: a.creds.holds, Backups: a, Practice: a.practice, Metrics: a.metrics, ReadOnly: a.readOnly != nil,
	}
	if a.training != nil {
		cfg.Training = a.training
	}
	return till.New(cfg)
}

// status collects what the parts behind the desk report.
func (a *agent) status() till.Status {
	client := a.client.State()
	return till.Status{
		Version: version(), StartedAt: a.started, Devices: a.devices(),
		Clock:        till.Clock{Known: client.ClockKnown, OffsetSeconds: int64(-client.ClockOffset / time.Second), CheckedAt: client.LastVerified},
		Gateway:      till.Gateway{Host: client.Host, Reachable: client.LinkUp, Verified: client.Verified, LastAnswer: client.LastVerified},
		Certificates: a.certificates(),
		Journal:      till.Journal{Sequence: a.journal.Head().Sequence, Open: len(a.engine.OpenEntries()), ReadOnly: a.readOnly != nil, Finding: a.journalAt.get()},
		Backup:       a.backupState(), Restore: a.restoreState(),
	}
}

func (a *agent) devices() []till.Device {
	states := a.feed.snapshot()
	devices := make([]till.Device, 0, len(states))
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s := states[name]
		devices = append(devices, till.Device{Name: name, Kind: a.kindOf(name), Ready: s.State == scanner.Ready.String(), Text: s.text(), Since: s.Since, Statistics: scanStatistics(a.feed.statistics(name))})
	}
	return append(devices, a.tillPorts()...)
}

// kindOf is the kind of scanner behind a device's name; the terminal is in no configuration.
func (a *agent) kindOf(name string) string {
	for _, s := range a.cfg.Scanners {
		if scannerConfig(s).Name() == name {
			return s.Kind
		}
	}
	return "stdin"
}

// scanStatistics are a scanner's statistics as the API gives them.
func scanStatistics(s scanner.Statistics) *till.ScanStatistics {
	all := &till.ScanStatistics{
		Good: s.Good, Refused: map[string]uint64{}, Misread: map[string]uint64{}, Overrun: s.Overrun, Unplugs: s.Unplugs,
		ReadyHours: float64(s.Ready/time.Second) / time.Hour.Seconds(), LastSeenAt: s.LastSeenAt, LastGoodAt: s.LastGoodAt,
	}
	for reason, n := range s.Refused {
		all.Refused[reason] = n
	}
	for trouble, n := range s.Misread {
		all.Misread[string(trouble)] = n
	}
	return all
}

func (s deviceState) text() string {
	switch {
	case s.State == scanner.Ready.String() && s.Unread.Code != "":
		return s.Unread.Error()
	case s.State == scanner.Ready.String():
		return ""
	}
	return s.What + "; " + s.Next
}

func (a *agent) certificates() []till.Certificate {
	creds := a.creds.get()
	all := []till.Certificate{}
	if creds.Certificate != nil {
		all = append(all, till.Certificate{Name: "merchant", Serial: creds.Serial, NotAfter: creds.Certificate.NotAfter, DaysLeft: daysLeft(creds.Certificate.NotAfter)})
	}
	if next := creds.Next; next != nil && a.creds.isWaiting() {
		all = append(all, till.Certificate{Name: "next", Serial: next.Serial, NotAfter: next.Certificate.NotAfter, DaysLeft: daysLeft(next.Certificate.NotAfter)})
	}
	for _, c := range a.client.State().Certificates {
		all = append(all, till.Certificate{Name: "platform", Serial: c.Serial, NotAfter: c.NotAfter, DaysLeft: daysLeft(c.NotAfter)})
	}
	return all
}

func daysLeft(until time.Time) int { return wholeDays(time.Until(until)) }

func version() string { return buildVersion().Version }
