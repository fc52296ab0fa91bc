package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"posagent/health"
	"posagent/payflow"
	"posagent/queue"
	"posagent/scanner"
	"posagent/till"
	"posagent/wxclient"
	"posagent/wxclient/v2"
)

// hangUpWithin is how long calls to the local API may take to end when the agent stops.
const hangUpWithin = 2 * time.Second

// agent is the whole daemon: every part, built in one visible order and closed in the opposite one.
type agent struct {
	cfg            Config
	log            zerolog.Logger
	started        time.Time
	health         *health.Tracker
	creds          heldCredentials
	files          *credentialsWatcher
	journal        *queue.Journal
	client         wechat           // by the configured API; each order by its own
	ways           *ways            // the same
	v3             *wxclient.Client // nil: its key is not installed
	v2             *v2.Client       // nil: its key is not installed
	calls          *countedCalls
	engine         *queue.Engine
	feed           *scanFeed
	sources        []scanner.Source
	server         *till.Server
	operators      *till.Operators
	listeners      []net.Listener
	lines          oldTills
	pole           *till.Pole // nil: no tap of a pole display
	poleState      portState
	noticeListener net.Listener // for WeChat Pay's notifications; nil: none
	journalAt      journalState
	checkUnread    bool // the last check of the journal could not read all of it
	warned         warned
	refundsWarned  refundsWarned
	training       *training     // of a real till
	practice       till.Practice // of a training till
	readOnly       error         // why the journal cannot be written, or nil
	reserve        writeTries    // belongs to tendWarnings
	besideKey      writeTries    // likewise

	backups backups
	life    context.Context // ends with run: backups end with it
}

// agentOptions is what a command adds to the configuration.
type agentOptions struct {
	Log      zerolog.Logger
	Sources  []scanner.Source // besides the configured ones: the terminal of the demo
	BeginNew bool             // begin a new journal where the old one is missing
	Practice till.Practice    // this is the training till; nil: a real one
}

var (
	_ wechat = (*wxclient.Client)(nil)
	_ wechat = (*v2.Client)(nil)
)
var (
	_ till.Desk           = (*queue.Engine)(nil)
	_ till.LateDesk       = (*queue.Engine)(nil)
	_ queue.RefundGateway = (*ways)(nil)
)

// newAgent builds every part and opens what they need. An error has closed what was open.
func newAgent(cfg Config, o agentOptions) (_ *agent, err error) {
	a := &agent{cfg: cfg, log: o.Log, started: time.Now(), practice: o.Practice}
	if o.Practice == nil {
		a.training = &training{real: a}
	}
	a.health = health.NewTracker(health.Config{Changed: a.logWarnings})
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	for _, build := range []func(agentOptions) error{
		a.openCredentials, a.openJournal, a.openClient, a.openEngine, a.openScanners, a.openTill, a.openLine, a.openPole, a.openNotices,
	} {
		if err := build(o); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *agent) openCredentials(agentOptions) error {
	a.files = newCredentialsWatcher(a.cfg, a.takeCredentials, a.warnIf) // before they are read: no change is missed
	creds, err := LoadCredentials(a.cfg, time.Now())
	if err != nil {
		return &Failure{Code: ExitUsage, What: err.Error(), Next: "run: posagent check", Err: err}
	}
	a.creds.begin(creds)
	for _, w := range creds.Warnings {
		a.health.Set(w.Code, w.Detail)
	}
	return nil
}

func (a *agent) journalConfig(beginNew bool) queue.JournalConfig {
	file := a.cfg.Journal.File
	return queue.JournalConfig{
		File: file, KeyFile: keyFileOf(file), ReserveFile: file + ".reserve",
		StoreID: a.cfg.Store.ID, TillID: a.cfg.Till.ID, Location: a.cfg.Store.TimeZone, BeginNew: beginNew,
	}
}

// keyFileOf is where the journal's key lies: outside the journal, so that who can write the one cannot forge it without the other.
func keyFileOf(journal string) string {
	return filepath.Join(filepath.Dir(journal), "keys", "journal.key")
}

// openJournal opens the journal for writing; one that can't be written is opened to be shown (I9).
func (a *agent) openJournal(o agentOptions) error {
	cfg := a.journalConfig(o.BeginNew)
	if err := os.MkdirAll(filepath.Dir(cfg.KeyFile), 0o700); err != nil {
		a.log.Warn().Err(err).Msg("the folder of the journal's key could not be made")
	}
	journal, err := queue.OpenJournal(cfg)
	var open *queue.OpenError
	if errors.As(err, &open) && open.Kind == queue.OpenUnwritable {
		a.readOnly = err
		a.health.Set(health.JournalUnwritable, cfg.File+": "+plainCause(err)) // the warning itself says what to do
		cfg.ReadOnly = true
		journal, err = queue.OpenJournal(cfg)
		if isKind(err, queue.OpenAbsent) || isKind(err, queue.OpenMissing) {
			err = a.readOnly // a first start that could not write all of it: there will be a journal once it can
		}
	}
	if err != nil {
		return journalFailure(err)
	}
	a.journal = journal
	if journal.ReserveUsed() {
		a.health.Set(health.DiskFull, "")
	}
	for _, finding := range journal.FoundAtStart() {
		a.foundInJournal(finding.Text)
	}
	return nil
}

func isKind(err error, kind queue.OpenKind) bool {
	var open *queue.OpenError
	return errors.As(err, &open) && open.Kind == kind
}

// journalFailure gives an opening error its exit status: what a restart could mend is 1, what only a person can is 2.
func journalFailure(err error) error {
	var open *queue.OpenError
	if !errors.As(err, &open) {
		return fmt.Errorf("open the journal: %w", err)
	}
	code := ExitUsage
	if open.Kind == queue.OpenLocked || open.Kind == queue.OpenUnwritable || open.Kind == queue.OpenUnreadable {
		code = ExitFailed
	}
	return &Failure{Code: code, What: open.Text, Err: err}
}

// openClient builds the way by the configured API and, where payments of the other one are still open or may be refunded, the way by
// that too.
func (a *agent) openClient(agentOptions) error {
	w := &ways{api: payflow.API(a.cfg.WeChat.API)}
	var err error
	if w.wechat, err = a.openWay(w.api, a.takeCondition); err != nil {
		return &Failure{Code: ExitUsage, What: "the connection to WeChat Pay can't be set up: " + err.Error(), Next: "correct the [wechat] section, then run: posagent check", Err: err}
	}
	a.client, a.ways = w, w
	if other := otherAPI(w.api); a.leftBehind(other) > 0 || a.mayRefundBy(other) {
		log := a.log.With().Str("part", "wechat").Str("api", string(other)).Logger()
		if w.other, err = a.openWay(other, logCondition(log)); err != nil {
			log.Error().Err(err).Msg("payments of the other API are still open, and can't be finished; put its key and the certificate back")
			w.other = nil
			a.warnOfMissingKey(other)
		}
	}
	a.health.Set(health.NotVerifiedYet, "")
	a.offerNext()
	return nil
}

// warnOfMissingKey tells of payments that wait for the key of the API that they were made by.
func (a *agent) warnOfMissingKey(api payflow.API) {
	code, key := health.APIKeyWrong, a.creds.get().APIv3Key
	if api == payflow.APIv2 {
		code, key = health.APIv2KeyWrong, a.creds.get().APIv2Key
	}
	a.warnIf(key == nil, code, fmt.Sprintf("payments made by API %s are open, and wait for api_%s_key", api, api))
}

func otherAPI(api payflow.API) payflow.API {
	if api == payflow.APIv2 {
		return payflow.APIv3
	}
	return payflow.APIv2
}

// leftBehind counts the open payments that were made by api.
func (a *agent) leftBehind(api payflow.API) int {
	entries, err := a.journal.OpenPayments()
	if err != nil {
		return 0 // the engine reads them next, and says what is wrong
	}
	return len(slices.DeleteFunc(entries, func(e payflow.Entry) bool { return e.API != api }))
}

// refundsBack is how many payments a start looks back for one that the other API made.
const refundsBack = 5000

// mayRefundBy reports that the key of an API that is configured no more is still installed, and that a payment which it made may have to be
// refunded. Without the key nothing is read.
func (a *agent) mayRefundBy(api payflow.API) bool {
	key := a.creds.get().APIv3Key
	if api == payflow.APIv2 {
		key = a.creds.get().APIv2Key
	}
	if key == nil {
		return false
	}
	entries, err := a.journal.Recent(refundsBack)
	return err == nil && slices.ContainsFunc(entries, func(e payflow.Entry) bool { return e.API == api })
}

func logCondition(log zerolog.Logger) func(wxclient.Condition) {
	return func(c wxclient.Condition) {
		if !c.Over {
			log.Warn().Str("condition", string(c.Kind)).Str("code", c.Code).Msg(c.Text)
		}
	}
}

// openWay builds the client of one API. A client that is built is kept in a.v2 or a.v3.
func (a *agent) openWay(api payflow.API, tell func(wxclient.Condition)) (wechat, error) {
	if api == payflow.APIv2 {
		config, err := a.clientConfigV2(tell)
		if err != nil {
			return nil, err
		}
		if a.v2, err = v2.New(config); err != nil {
			return nil, err
		}
		return a.v2, nil
	}
	config, err := a.clientConfig()
	if err != nil {
		return nil, err
	}
	config.OnCondition = tell
	if a.v3, err = wxclient.New(config); err != nil {
		return nil, err
	}
	return a.v3, nil
}

// clientConfigV2 is how the gateway is called over API v2.
func (a *agent) clientConfigV2(tell func(wxclient.Condition)) (v2.Config, error) {
	w, creds := a.cfg.WeChat, a.creds.get()
	roots, err := rootsWith(w.CAFile)
	return v2.Config{
		Hosts: w.Hosts, RootCAs: roots, Proxy: w.Proxy, Merchant: a.merchant(),
		APIKey: string(creds.APIv2Key), SignType: v2.SignType(w.SignType), Certificate: creds.TLS,
		HeardFile:  a.cfg.Journal.File + ".heard-v2",
		PayTimeout: a.cfg.Flow.PayTimeout / payflow.Pace, Version: version(), Log: a.log.With().Str("part", "wechat").Logger(),
		OnCondition: tell,
	}, err
}

// clientConfig is how the gateway is called, out of the configuration and the credentials.
func (a *agent) clientConfig() (wxclient.Config, error) {
	w, creds := a.cfg.WeChat, a.creds.get()
	roots, err := rootsWith(w.CAFile)
	return wxclient.Config{
		Hosts: w.Hosts, RootCAs: roots, Proxy: w.Proxy, Merchant: a.merchant(),
		SerialNo: creds.Serial, PrivateKey: creds.PrivateKey, APIv3Key: creds.APIv3Key,
		PublicKeyID: creds.PublicKeyID, PublicKey: creds.PublicKey,
		CertificatesFile: filepath.Join(filepath.Dir(a.cfg.Journal.File), "platform-certificates.json"),
		HeardFile:        a.cfg.Journal.File + ".heard", // the journal's lock keeps it to one daemon
		PayTimeout:       a.cfg.Flow.PayTimeout / payflow.Pace, Version: version(), Log: a.log.With().Str("part", "wechat").Logger(),
		OnCondition: a.takeCondition,
	}, err
}

// rootsWith returns the system's trusted roots and those of an extra PEM file; nil stands for the system's alone.
func rootsWith(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &Failure{Code: ExitUsage, What: "ca_file can't be read: " + err.Error(), Next: "correct ca_file in the [wechat] section, or take it out", Err: err}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, &Failure{Code: ExitUsage, What: "ca_file " + file + " holds no PEM certificate", Next: "write the path of the trial gateway's root certificate"}
	}
	return roots, nil
}

func (a *agent) merchant() payflow.Merchant {
	w := a.cfg.WeChat
	return payflow.Merchant{Mode: payflow.Mode(w.Mode), AppID: w.AppID, MerchantID: w.MerchantID, SubAppID: w.SubAppID,
		SubMerchantID: w.SubMerchantID, CategoryCode: w.MerchantCategoryCode}
}

func (a *agent) openEngine(agentOptions) (err error) {
	a.calls = countCalls(a.client)
	a.engine, err = queue.NewEngine(queue.Config{
		Journal: a.journal, Gateway: a.calls, Refunds: a.calls, RefundNotifyURL: a.cfg.WeChat.NotifyURL,
		Timing:   payflow.Timing{QueryEvery: a.cfg.Flow.QueryEvery / payflow.Pace, ReverseAfter: a.cfg.Flow.ReverseAfter / payflow.Pace, ScanWithin: a.cfg.Till.ScanWithin / payflow.Pace},
		Merchant: a.merchant(), API: payflow.API(a.cfg.WeChat.API), HostFamily: a.cfg.WeChat.Hosts[0], CodePrefixes: a.cfg.Till.CodePrefixes,
		Store: payflow.Store{ID: a.cfg.Store.ID, Name: a.cfg.Store.Name, Address: a.cfg.Store.Address, Till: a.cfg.Till.ID, DeviceIP: a.deviceIP()},
		Ready: a.readyForMoney, Clock: a.correctedClock, PayThread: true, Log: a.log.With().Str("part", "payments").Logger(),
	})
	return err
}

// deviceIP is the configured address of this PC, or the one that it would reach WeChat Pay from.
func (a *agent) deviceIP() string {
	if a.cfg.Till.DeviceIP != "" {
		return a.cfg.Till.DeviceIP
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

func (a *agent) openScanners(o agentOptions) error {
	a.feed = newScanFeed(a.engine, a.health, a.log.With().Str("part", "scanner").Logger())
	hotplug := scanner.NewHotplug()
	for _, s := range a.cfg.Scanners {
		cfg := scannerConfig(s)
		cfg.Hotplug = hotplug
		source, err := scanner.New(cfg)
		if err != nil {
			return &Failure{Code: ExitUsage, What: "[[scanner]] " + err.Error(), Next: "correct the [[scanner]] section; posagent scanner list shows what is plugged in", Err: err}
		}
		a.sources = append(a.sources, source)
	}
	a.sources = append(a.sources, o.Sources...)
	return nil
}

func scannerConfig(s Scanner) scanner.Config {
	return scanner.Config{
		Kind: s.Kind, Device: s.Device, Baud: s.Baud, DataBits: s.DataBits, Parity: s.Parity, StopBits: s.StopBits, Prefix: s.Prefix, Suffix: s.Suffix, Gap: s.Gap,
		VendorID: s.VendorID, ProductID: s.ProductID, Serial: s.Serial, Mode: s.Mode, Stdin: os.Stdin,
	}
}

func (a *agent) openTill(agentOptions) (err error) {
	if a.server, err = a.newTillServer(); err != nil {
		return err
	}
	a.feed.bill = a.server.TakeBillScan
	if a.cfg.API.Listen != "" {
		if err := a.listen("tcp", a.cfg.API.Listen, "listen"); err != nil {
			return err
		}
	}
	if a.cfg.API.Socket != "" {
		return a.listenSocket(a.cfg.API.Socket)
	}
	return nil
}

func (a *agent) listen(network, address, setting string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return listenFailure(address, setting, err)
	}
	a.listeners = append(a.listeners, l)
	return nil
}

func listenFailure(address, setting string, err error) error {
	return &Failure{Code: ExitFailed, What: fmt.Sprintf("can't listen on %s: %s", address, plainCause(err)),
		Next: "another program has the address, perhaps another posagent: stop it, or change " + setting + " in the [api] section", Err: err}
}

// listenSocket opens the unix socket; one that a killed daemon left behind is removed.
func (a *agent) listenSocket(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return &Failure{Code: ExitFailed, What: "can't make the folder of the socket: " + err.Error(), Next: "correct socket in the [api] section", Err: err}
	}
	if err := removeDeadSocket(path); err != nil {
		return &Failure{Code: ExitFailed, What: "can't replace the socket: " + err.Error(), Next: "stop the program that uses it, or correct socket in the [api] section", Err: err}
	}
	if err := a.listen("unix", path, "socket"); err != nil {
		return err
	}
	return os.Chmod(path, till.SocketMode)
}

// removeDeadSocket removes a socket that nobody listens on. One that answers is another till's, with a journal of its own: taken
// over, it would have that till's software sell here. What is no socket is somebody's file.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	if c, err := net.DialTimeout("unix", path, hangUpWithin); err == nil {
		_ = c.Close()
		return fmt.Errorf("another program listens on %s", path)
	}
	return os.Remove(path)
}

// run works until ctx ends or a part fails for good.
func (a *agent) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.life = ctx
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	engine := a.engine.Run
	if a.readOnly != nil {
		engine = a.engine.RunReadOnly
		parts.Go(func() { a.awaitWritable(ctx, stop) })
	}
	for _, l := range a.listeners {
		parts.Go(func() { a.serve(l) })
	}
	defer a.hangUp()
	defer a.endTraining()
	parts.Go(func() { a.client.Run(ctx) })
	parts.Go(func() { a.files.run(ctx) })
	parts.Go(func() { a.takeNotices(ctx) })
	parts.Go(func() { a.feed.run(ctx, a.sources) })
	parts.Go(func() { a.serveLine(ctx) })
	parts.Go(func() { a.watchPole(ctx) })
	parts.Go(func() { a.server.CountMetrics(ctx) })
	parts.Go(func() { a.tendJournal(ctx) })
	parts.Go(func() { a.tendWarnings(ctx) })
	parts.Go(func() { a.watchIdleLine(ctx, idleLooksOfStore, networkChanges(ctx)) })
	parts.Go(func() { a.tendBackups(ctx) })
	parts.Go(func() { a.tendRestore(ctx) })
	err := engine(ctx)
	if err != nil {
		return &Failure{Code: ExitFailed, What: "the journal could not be written, so nothing more is sent: " + err.Error(),
			Next: "look at the disk (full? failing?); posagent starts again by itself under systemd, and asks about every open payment", Err: err}
	}
	return nil
}

func (a *agent) serve(l net.Listener) {
	serve := a.server.Serve
	if l.Addr().Network() == "unix" {
		serve = a.server.ServeSocket
	}
	if err := serve(l); err != nil {
		a.log.Error().Err(err).Msg("the local API has stopped; restart posagent")
	}
}

// hangUp ends long polls and streams and closes the listeners.
func (a *agent) hangUp() {
	within, cancel := context.WithTimeout(context.Background(), hangUpWithin)
	defer cancel()
	if err := a.server.Shutdown(within); err != nil {
		a.log.Warn().Err(err).Msg("a call to the local API was cut off")
	}
}

// close ends every part in the opposite order of newAgent.
func (a *agent) close() {
	for _, l := range a.listeners {
		_ = l.Close()
	}
	if a.lines.listener != nil {
		_ = a.lines.listener.Close()
	}
	if a.noticeListener != nil {
		_ = a.noticeListener.Close()
	}
	if a.client != nil {
		a.client.Close()
	}
	a.backups.wait()
	if a.journal != nil {
		if err := a.journal.Close(); err != nil {
			a.log.Error().Err(err).Msg("the journal was not closed cleanly; it is checked at the next start")
		}
	}
}
