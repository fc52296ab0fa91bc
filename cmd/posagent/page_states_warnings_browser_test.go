package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/scanner"
	"posagent/till"
	"posagent/wxclient"
	"posagent/wxclient/v2"
	"posagent/wxsim"
)

// warningStories are the tills that warn: by what is true of them where that is cheap to make true, and else by the very condition that a part
// hands to the agent, or a list that the agent hands to health. From there on all is real: the list of warnings, the local API, its events, the page.
func warningStories() []stateStory {
	return []stateStory{
		{name: "warnings of money", meets: meetWarningsOfMoney}, {name: "warnings of the gateway", meets: meetWarningsOfTheGateway},
		{name: "warnings of certificates", meets: meetWarningsOfCertificates, wish: pageTillWish{prepare: aSecondCertificate}},
		{name: "warnings of this PC", meets: meetWarningsOfThisPC, wish: pageTillWish{prepare: noBackups}},
		{name: "not verified", meets: meetNotVerified, wish: pageTillWish{unready: true, prepare: func(_ string, gateway *trial) { gateway.sim.NetworkDown() }}},
	}
}

// warns waits for warnings, and looks at each of them on the page; another one must hold besides.
func (s *stateTill) warns(codes ...health.Code) {
	s.t.Helper()
	list := func() (all []health.Code) {
		for _, w := range s.agent.health.List() {
			if w.Code != health.PaidNotAnnounced { // it has a screen of its own
				all = append(all, w.Code)
			}
		}
		return all
	}
	require.Eventually(s.t, func() bool {
		return !slices.ContainsFunc(codes, func(c health.Code) bool { return !slices.Contains(list(), c) })
	}, time.Minute, 20*time.Millisecond, "%v are not told of, but %v", codes, list())
	reads(s.t, s.window, fmt.Sprintf("%s (%d)", s.tour.words.text("en", "labels.warnings"), len(list())))
	s.press("w")
	for _, c := range list() {
		if slices.Contains(codes, c) {
			s.sees("warning-"+string(c), "")
		}
		s.press("w")
	}
	s.press(kb.Escape)
}

// noScanner takes the scanner away, so that there is a second warning beside each.
func (s *stateTill) noScanner() {
	s.t.Helper()
	onScreen(s.t, s.window, "idle")
	s.unplug()
	s.eventually("the scanner is missed", func() bool {
		return slices.ContainsFunc(s.agent.health.List(), func(w health.Active) bool { return w.Code == health.ScannerAway })
	})
}

// happens hands the agent a condition as the clients of WeChat Pay do.
func (s *stateTill) happens(c wxclient.Condition) { s.agent.takeCondition(c) }

func meetWarningsOfMoney(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	refunded := s.sold("refund-abnormal")
	s.answer(refunded, payflow.GoodsGiven)
	s.back(refunded, 250, "k-1")

	hidden := s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Refuse, Status: 404, Code: "ORDER_NOT_EXIST", Times: -1})
	s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Pay, Kind: wxsim.Refuse, Status: 403, Code: "NOT_ENOUGH", Processed: true, Times: 2})
	var late []payflow.OutTradeNo
	for range 2 {
		e := s.pay("pays-at-once")
		s.becomes(e.OutTradeNo, payflow.Declined)
		late = append(late, e.OutTradeNo)
	}
	hidden()
	mend := s.slowly(wxsim.Reverse, 5*time.Second)
	_, err := s.agent.engine.LookAgain(s.t.Context(), late[0], "M001")
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool { e, err := s.agent.engine.Payment(late[0]); return err == nil && e.Late.MoneySeen }, time.Minute, 20*time.Millisecond)
	s.answer(late[0], payflow.MoneyGivenBack) // by hand, while it goes back by itself
	require.Eventually(s.t, func() bool { e, err := s.agent.engine.Payment(late[0]); return err == nil && e.BackTwice() }, time.Minute, 20*time.Millisecond)
	mend()
	defer s.slowly(wxsim.Reverse, 20*time.Second)()
	s.answer(late[1], payflow.Seen)
	_, err = s.agent.engine.LookAgain(s.t.Context(), late[1], "M001")
	require.NoError(s.t, err)

	e := s.pay("wrong-amount")
	require.Eventually(s.t, func() bool { e, err := s.agent.engine.Payment(e.OutTradeNo); return err == nil && e.Attention != "" }, time.Minute, 20*time.Millisecond)
	_, err = s.agent.engine.SetAside(s.t.Context(), e.OutTradeNo, "M001", "set aside")
	require.NoError(s.t, err)
	s.unplug()
	s.warns(health.PaymentAttention, health.PaymentSetAside, health.RefundAttention, health.PaidBackTwice, health.LateSuccess, health.ScannerAway)
}

func meetWarningsOfTheGateway(s *stateTill) {
	s.noScanner()
	s.happens(wxclient.Condition{Kind: wxclient.ClockOff, Offset: -90 * time.Second, Text: "90 s"})
	s.happens(wxclient.Condition{Kind: wxclient.ConfigurationRefused, Code: "APPID_MCHID_NOT_MATCH", Text: "the app id and the merchant number do not belong together"})
	s.happens(wxclient.Condition{Kind: wxclient.CertificatesRefused, Text: "platform certificates"})
	s.happens(wxclient.Condition{Kind: v2.CertificateRefused, Text: "the client certificate"})
	s.happens(wxclient.Condition{Kind: wxclient.CaptivePortal, Red: true, Text: "a page for logging in"})
	s.warns(health.ClockOff, health.CredentialsRefused, health.PlatformCertificate, health.ClientCertificateRefused, health.CaptivePortal)
	s.happens(wxclient.Condition{Kind: wxclient.ClockOff, Red: true, Offset: -300 * time.Second, Text: "300 s"})
	s.happens(wxclient.Condition{Kind: wxclient.ClockUnusable, Red: true, Text: "1970"})
	s.warns(health.ClockOffMuch, health.ClockUnset)
	s.agent.feed.take(s.t.Context(), scanner.Event{Kind: scanner.KindState, Device: "hid:1", State: scanner.Blocked, At: time.Now(), Trouble: scanner.Trouble{Code: scanner.TroubleNoHID}})
	s.agent.feed.take(s.t.Context(), scanner.Event{Kind: scanner.KindState, Device: "hid:2", State: scanner.Blocked, At: time.Now(), Trouble: scanner.Trouble{Code: scanner.TroubleNoPermission}})
	s.warns(health.ScannerNoPermission, health.ScannerUnsupported)
}

// aSecondCertificate installs a second merchant certificate, which WeChat Pay takes.
func aSecondCertificate(dir string, gateway *trial) {
	next, err := gateway.sim.AddMerchantCertificate("")
	if err == nil {
		err = next.Write(filepath.Join(dir, "next"))
	}
	file := filepath.Join(dir, "posagent.toml")
	text, missing := os.ReadFile(file)
	if err = errors.Join(err, missing); err == nil {
		named := "[wechat]\nnext_certificate = \"next/apiclient_cert.pem\"\nnext_private_key = \"next/apiclient_key.pem\"\n"
		err = os.WriteFile(file, []byte(strings.Replace(string(text), "[wechat]\n", named, 1)), 0o600)
	}
	if err != nil {
		panic("the stories' second certificate: " + err.Error())
	}
}

func meetWarningsOfCertificates(s *stateTill) {
	s.noScanner()
	s.warns(health.NextCertificateInUse)
	unknown := goodAccount()
	unknown.notAfter = time.Now().AddDate(1, 0, 0)
	s.agent.offer(makePair(unknown.certificate(s.t), unknown.key))
	s.warns(health.NextCertificateWaits, health.NextCertificateRefused)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.gateway.dir, "api_v3_key"), []byte(strings.Repeat("n", 32)), 0o600))
	s.warns(health.KeysRestart)
	fresh := s.agent.creds.get()
	for _, c := range []health.Code{health.SecretReadable, health.CertificateUnknownKind, health.NextCertificateUnfit, health.ClientCertificateMissing} {
		fresh.Warnings = append(fresh.Warnings, Condition{c, "apiclient_cert.pem"})
	}
	s.agent.takeCredentials(fresh)
	s.agent.files.onWarning(true, health.CertificateRestart, "apiclient_cert.pem")
	s.agent.files.onWarning(true, health.CertificateChangeUnfit, "apiclient_key.pem is not there")
	s.warns(health.SecretReadable, health.CertificateUnknownKind, health.NextCertificateUnfit, health.ClientCertificateMissing, health.CertificateRestart, health.CertificateChangeUnfit)
	without := s.agent.creds.get()
	without.APIv3Key, without.APIv2Key = nil, nil
	s.agent.creds.begin(without)
	s.agent.warnOfMissingKey(payflow.APIv3)
	s.agent.warnOfMissingKey(payflow.APIv2)
	s.warns(health.APIKeyWrong, health.APIv2KeyWrong)
	soon := goodAccount()
	for _, due := range []struct {
		code health.Code
		days int
	}{{health.Certificate60Days, 50}, {health.Certificate30Days, 20}, {health.Certificate14Days, 11}, {health.Certificate7Days, 5}, {health.Certificate1Day, 1}, {health.CertificateExpired, -2}} {
		soon.notAfter = time.Now().AddDate(0, 0, due.days).Add(time.Hour)
		s.holds(soon)
		s.warns(due.code)
	}
	soon.notBefore, soon.notAfter = time.Now().AddDate(0, 0, 2), time.Now().AddDate(1, 0, 0)
	s.holds(soon)
	s.warns(health.CertificateNotYetValid)
}

// holds gives the agent another merchant certificate to hold; its dates are looked at every 2 s.
func (s *stateTill) holds(a account) {
	s.t.Helper()
	creds := s.agent.creds.get()
	creds.Pair = makePair(a.certificate(s.t), a.key)
	s.agent.creds.begin(creds)
}

// noBackups puts a file in the place of the folder for backups, and operators at the till.
func noBackups(dir string, gateway *trial) {
	someStaff(dir, gateway)
	if err := os.WriteFile(filepath.Join(dir, "backup"), nil, 0o600); err != nil {
		panic("the stories' folder for backups: " + err.Error())
	}
}

func meetWarningsOfThisPC(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	soon := goodAccount()
	soon.notAfter = time.Now().AddDate(0, 0, 11)
	s.holds(soon)
	s.sees("certificate-warning", "labels.enter_amount|")
	require.NoError(s.t, os.Mkdir(keyFileOf(s.agent.cfg.Journal.File)+".head.new", 0o700)) // in the memo's way
	s.answer(s.sold("pays-at-once"), payflow.GoodsGiven)
	require.Error(s.t, s.agent.journal.SaveHead())
	s.noScanner()
	_, err := s.agent.MakeBackup(s.t.Context())
	require.Error(s.t, err)
	s.agent.backups.mu.Lock()
	s.agent.backups.since = time.Now().AddDate(0, 0, -3)
	s.agent.backups.mu.Unlock()
	s.agent.lookAtBackups()
	for n := range 8 {
		_, _, err := s.agent.operators.SignIn(till.PINSeat{}, "I001", "000000", time.Now().Add(time.Duration(n)*time.Hour))
		require.Error(s.t, err)
	}
	s.agent.health.Set(health.RestoreAsking, "12 of 60 numbers asked for") // as warnOfRestore, openJournal and the check of the journal hand theirs
	s.agent.health.Set(health.FoundAfterRestore, "2")
	s.agent.health.Set(health.DiskFull, "")
	s.agent.health.Set(health.JournalUnwritable, "the file system is read-only")
	s.agent.foundInJournal("entry 7: the chain is broken")
	s.warns(health.KeyFolder, health.BackupNotMade, health.BackupOld, health.ManyWrongPINs, health.RestoreAsking, health.FoundAfterRestore, health.DiskFull, health.JournalUnwritable, health.JournalFinding)
}

func meetNotVerified(s *stateTill) {
	s.sees("offline-warned", "")
	s.warns(health.GatewayUnreachable, health.NotVerifiedYet)
}
