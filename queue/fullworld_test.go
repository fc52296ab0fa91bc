package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxsim"
)

// The full form of the simulation: the same scripts and the same judge as the fast one, and the real client with RSA keys of 2048 bits
// and certificates, the simulated WeChat Pay over TLS, and a disk that knows what was synced.

// fullHosts are the gateways of a world; the engine writes the first one into its records.
var fullHosts = []string{"a", "b"}

// fullKeys are the RSA keys of all worlds of a process: making them takes longer than a world.
var fullKeys = sync.OnceValue(func() wxsim.Keys {
	keys, err := wxsim.NewKeys()
	if err == nil {
		err = keys.MakeLater(6)
	}
	if err != nil {
		panic(err)
	}
	return keys
})

// fullForm is WeChat Pay, the line to it, and the disk of one world.
type fullForm struct {
	t        *testing.T
	w        *world
	disk     *memoryDisk
	sim      *wxsim.Sim
	exchange *exchange
	served   chan error
	bug      fullBug
	setUp    wxclient.Config // of every start's client, but for what differs
	plan     fullPlan
	drawn    int // random characters of order numbers, so often

	mu      sync.Mutex // guards all below
	till    *fullTill
	held    map[payflow.OutTradeNo]int64
	arrived map[payflow.OutTradeNo]int // lines of WeChat Pay's that were told
	sale    map[payflow.OutTradeNo]int
	amid    worldCommitFault // of the commit that is being made
	// swallowed are the payments whose newest commit failed, and nobody took notice.
	swallowed map[payflow.OutTradeNo]bool
	ignored   bool
	breaches  []worldBreach          // of what the judge does not read in the log
	images    int                    // power cuts after which a journal was there
	heard     map[string]heardAnswer // what was believed and is still in the till's file, by its nonce
}

// fullTill is what one start of the till speaks with.
type fullTill struct {
	form    *fullForm
	b       *worldBoot
	line    *tillLine
	client  *wxclient.Client
	stop    context.CancelFunc
	running sync.WaitGroup
	began   time.Time
	least   time.Time // this start was no earlier, by WeChat Pay's clock, as what it has believed shows; guarded by form.mu

	mu       sync.Mutex // guards unusable
	unusable bool       // by this PC's clock no TLS certificate is valid
}

func newFullForm(t *testing.T, w *world, bug fullBug) *fullForm {
	f := &fullForm{t: t, w: w, bug: bug, exchange: newExchange(), served: make(chan error, 1), heard: map[string]heardAnswer{}, plan: fullPlanOf(w.script),
		held: map[payflow.OutTradeNo]int64{}, arrived: map[payflow.OutTradeNo]int{}, sale: map[payflow.OutTradeNo]int{},
		swallowed: map[payflow.OutTradeNo]bool{}}
	w.script.Thorough = true
	f.disk = newMemoryDisk(t, w.script.Seed, JournalConfig{ReserveBytes: pageBytes, StoreID: "SZTX001", TillID: "T1", Location: time.UTC, draw: f.randomCharacters})
	var err error
	f.sim, err = wxsim.New(wxsim.Config{Keys: fullKeys(), Hosts: fullHosts, Behaviour: f.behaviour(0),
		Merchants: []wxsim.Merchant{{Mode: wxsim.Direct, AppID: "wx1", MerchantID: worldMerchant, CategoryCode: "4111", APIv3Key: "0123456789abcdef0123456789abcdef"}}})
	require.NoError(t, err)
	go func() { f.served <- f.sim.Serve(f.exchange) }()
	k, err := f.sim.V3Credentials("")
	require.NoError(t, err)
	f.setUp = wxclient.Config{RootCAs: k.Roots, SerialNo: k.Serial, PrivateKey: k.Key, APIv3Key: []byte(k.APIv3Key), Now: w.clock,
		Merchant: payflow.Merchant{Mode: payflow.Direct, AppID: k.AppID, MerchantID: k.MerchantID, CategoryCode: k.CategoryCode}}
	for _, host := range fullHosts[:f.plan.hosts] {
		f.setUp.Hosts = append(f.setUp.Hosts, "https://"+host)
	}
	f.plan.begin(f)
	return f
}

// behaviour is what the script says of WeChat Pay, with the customer's time for the password.
func (f *fullForm) behaviour(password time.Duration) wxsim.Behaviour {
	s := f.w.script
	b := wxsim.Behaviour{PasswordAfter: password, ReverseBlocks: s.ClosesUnknown, ErrorsUnsigned: s.UnsignedErrors, RevokeAfter: 24 * time.Hour}
	if s.RevokesAt45 {
		b.RevokeAfter = 45 * time.Second
	}
	return b
}

// randomCharacters are those of an order number. What befalls an order is drawn by its number, so that they come from the seed alone, and not from how many random
// numbers connections and signatures have taken before.
func (f *fullForm) randomCharacters() string {
	f.drawn++
	n := f.w.draw(1<<50, "random characters", "", f.drawn)
	text := make([]byte, randomWidth)
	for i := range text {
		text[i] = digits36[n%int64(len(digits36))]
		n /= int64(len(digits36))
	}
	return string(text)
}

// end closes what a world leaves behind; every goroutine of it must then end.
func (f *fullForm) end() {
	f.sim.Close()
	require.NoError(f.t, <-f.served)
}

// open opens the journal from what is on the platter.
func (f *fullForm) open(b *worldBoot, cfg JournalConfig) (*Journal, error) {
	f.disk.cfg.Now = cfg.Now
	f.disk.cfg.fault = func(step string) error { return f.step(b, step) }
	if cfg.fault == nil {
		f.disk.cfg.fault = nil // the world is over
	}
	written, images := f.disk.confirm, f.images
	j, err := f.disk.open()
	switch {
	case err != nil && f.disk.isDead():
		f.disk.powerOn()
	case err != nil:
		f.breach("L11", "", "the journal does not open: "+err.Error())
	case markOf(j, written.Sequence) != written.Hash && images > 0:
		f.breach("L11", "", fmt.Sprintf("entry %d was written, and is gone", written.Sequence))
	}
	switch {
	case err != nil:
	case f.bug == bugNoSync:
		j.db.NoSync = true
	case f.bug == bugForgetsOpen:
		err = j.db.Update(func(tx *bbolt.Tx) error {
			key, _ := tx.Bucket(bucketOpen).Cursor().First()
			return tx.Bucket(bucketOpen).Delete(key)
		})
	}
	if err != nil { // the log of the same seed is the same, wherever its disk lies
		err = errors.New(strings.ReplaceAll(err.Error(), f.disk.root, "the disk"))
	}
	return j, err
}

// gateway starts the client of a start.
func (f *fullForm) gateway(b *worldBoot) Gateway {
	till := &fullTill{form: f, b: b, began: time.Now()}
	till.line = newTillLine(f.exchange, b.dead.Load)
	till.client = till.newClient(f.heardFile())
	ctx, stop := context.WithCancel(context.Background())
	till.stop = stop
	till.running.Go(func() { till.client.Run(ctx) })
	till.running.Go(func() {
		select {
		case <-b.gone:
			till.line.die()
		case <-ctx.Done():
		}
	})
	f.mu.Lock()
	f.till = till
	f.mu.Unlock()
	return &fullGateway{till: till}
}

// heardFile is where a start finds what the one before it heard, and writes down what it hears.
func (f *fullForm) heardFile() string {
	if f.bug == bugForgetsHeard {
		return ""
	}
	return f.disk.cfg.File + heardSuffix
}

// newClient makes a client. What the folder held at the end of the last start is there: a killed process loses nothing of it.
func (till *fullTill) newClient(heard string) *wxclient.Client {
	setUp := till.form.setUp
	setUp.Dial, setUp.OnCondition = till.line.dial, till.hear
	setUp.CertificatesFile = filepath.Join(filepath.Dir(till.form.disk.cfg.File), "platform-certificates.json")
	setUp.HeardFile = heard
	client, err := wxclient.New(setUp)
	require.NoError(till.form.t, err)
	return client
}

func (till *fullTill) hear(c wxclient.Condition) {
	till.mu.Lock()
	defer till.mu.Unlock()
	if c.Kind == wxclient.ClockUnusable {
		till.unusable = !c.Over
	}
	if c.Kind == wxclient.RoundTripVerified {
		till.unusable = false
	}
}

// ready is the daemon's word whether a payment may be armed (rules 9 and 10).
func (f *fullForm) ready(*worldBoot) func() error {
	f.mu.Lock()
	till := f.till
	f.mu.Unlock()
	return func() error {
		state := till.client.State()
		till.mu.Lock()
		unusable := till.unusable
		till.mu.Unlock()
		switch {
		case unusable:
			return &payflow.NotReadyError{Code: "clock_unset"}
		case !till.client.LinkUp():
			return &payflow.NotReadyError{Code: "no_network"}
		case !state.Verified:
			return &payflow.NotReadyError{Code: "not_verified"}
		case !state.ClockKnown:
			return &payflow.NotReadyError{Code: "clock"}
		}
		return nil
	}
}

// drop ends a start: by a power cut, by a process that has ended itself, or because the world is over.
func (f *fullForm) drop(b *worldBoot) {
	f.mu.Lock()
	till := f.till
	f.till = nil
	f.mu.Unlock()
	if till != nil {
		till.line.die()
		till.stop()
		till.client.Close()
		till.running.Wait()
	}
	cut := b.engine == nil || b.engine.Err() == nil || isClosed(b.gone)
	if cut {
		f.disk.cutNow()
	}
	if b.journal != nil {
		_ = b.journal.Close() // without power it can't write its memo
	}
	if cut {
		f.loseHeard(b)
		f.disk.powerOn()
		f.images++
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// step is the journal's fault hook. The world's own faults come first; the disk is cut at the very moment at which the power goes.
func (f *fullForm) step(b *worldBoot, name string) error {
	if _, ok := f.disk.pass(name); !ok {
		return errNoPower
	}
	switch name {
	case "commit":
		return f.beforeCommit(b)
	case "committed":
		return f.afterCommit(b)
	}
	if moment, planned := f.plan.startCut(b, name); planned {
		b.cut(f.plan.startDown, "at a start, before "+name)
		f.disk.cutIn(name, moment)
		return errNoPower
	}
	err := b.fault(name)
	if b.dead.Load() {
		f.disk.cutIn(name, cutInFile)
		return errNoPower
	}
	return err
}

func (f *fullForm) beforeCommit(b *worldBoot) error {
	f.mu.Lock()
	f.amid = worldCommitFault{}
	f.mu.Unlock()
	if fault := f.nextCommitFault(); fault.Kind == commitPowerAmid && b.journal != nil && !b.dead.Load() {
		f.mu.Lock()
		f.amid = fault
		f.mu.Unlock()
		return nil
	}
	err := b.fault("commit")
	if b.dead.Load() {
		f.disk.cutIn("commit", cutBefore)
	}
	if f.bug == bugErrorIgnored && err != nil && !b.dead.Load() {
		f.mu.Lock()
		f.ignored = true
		f.mu.Unlock()
		return nil
	}
	return err
}

// nextCommitFault is that of the commit that begins; a cut amid it is played here, and counted.
func (f *fullForm) nextCommitFault() worldCommitFault {
	w := f.w
	w.mu.Lock()
	defer w.mu.Unlock()
	fault := w.script.commitFault(w.commits+1, w.log.now())
	if fault.Kind == commitPowerAmid {
		w.commits++
	}
	return fault
}

func (f *fullForm) afterCommit(b *worldBoot) error {
	f.lookAtBooks()
	f.mu.Lock()
	amid := f.amid
	f.mu.Unlock()
	if amid.Kind != "" || b.dead.Load() {
		moment := []diskMoment{cutInData, cutInMeta, cutInMeta}[f.w.draw(3, "amid", "", f.disk.counts["committed"])]
		if b.journal == nil {
			moment = cutInData
		}
		if f.disk.cutIn("committed", moment) && !f.disk.unsynced() {
			f.w.log.add(newestLine(b))
		}
		b.cut(amid.Down.after(), "amid a commit: "+string(moment))
		return errNoPower
	}
	if f.disk.unsynced() || f.ignores(b) {
		return nil
	}
	err := b.fault("committed")
	if b.dead.Load() {
		f.disk.cutIn("committed", cutAfter)
	}
	return err
}

// newestLine tells of the commit that was made last.
func newestLine(b *worldBoot) worldLine {
	l := b.onDisk().newest()
	l.Kind, l.Boot = worldDurable, b.n
	return l
}

// ignores plays an engine that goes on after a commit has failed: what it wrote is not on the platter.
func (f *fullForm) ignores(b *worldBoot) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ignored {
		return false
	}
	f.ignored = false
	f.swallowed[newestLine(b).No] = true
	return true
}

// orders is what WeChat Pay holds at the end.
func (f *fullForm) orders() (all []worldOrder) {
	f.lookAtBooks()
	books := f.sim.Books()
	for _, o := range books.Orders {
		if o.State == wxsim.None {
			continue
		}
		no := payflow.OutTradeNo(o.Number)
		all = append(all, worldOrder{No: no, Sale: f.sale[no], Others: o.Foreign, State: payflow.TradeState(o.State), Net: o.Held})
	}
	return all
}

// lookAtBooks writes into the world's log what has changed in WeChat Pay's books. It is called before anything that is judged by it.
func (f *fullForm) lookAtBooks() {
	books := f.sim.Books()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range books.Orders {
		no := payflow.OutTradeNo(o.Number)
		for _, a := range o.Arrivals[f.arrived[no]:] {
			f.w.log.add(worldLine{Kind: worldArrived, No: no, Ask: payflow.CallKind(a.Call), Text: arrivalText(a)})
		}
		f.arrived[no] = len(o.Arrivals)
		if !o.Foreign && o.Held != f.held[no] {
			f.held[no] = o.Held
			f.w.log.add(worldLine{Kind: worldMoney, No: no, Sale: f.sale[no], Net: o.Held, State: payflow.TradeState(o.State)})
		}
	}
}

func arrivalText(a wxsim.Arrival) string {
	text := string(a.Fault)
	if !a.Processed {
		text += " not carried out"
	}
	if a.Late {
		text += " late"
	}
	return text + " " + a.Code
}

// liveFull lives through a script in the full form.
func liveFull(t *testing.T, s worldScript, p *plant, bug fullBug) (l lived) {
	t.Helper()
	fullKeys()
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, s.Seed)
		w := newWorld(&s, p, nil)
		form := newFullForm(t, w, bug)
		ends := w.run(form)
		orders := form.orders()
		verdict := judgeWorld(&s, w.log.lines, orders, ends)
		verdict.Breaches = append(append(verdict.Breaches, form.breaches...), form.violations()...)
		form.end()
		l = lived{&s, w.log, verdict}
	})
	return l
}

// violations are what WeChat Pay itself saw a till do that it may not. It knows whose an order is; a till does once it was shown.
func (f *fullForm) violations() (all []worldBreach) {
	for _, v := range f.sim.Books().Violations {
		if v.What == reversedAnothers && !f.w.log.wasShown(payflow.OutTradeNo(v.Number), v.At.Sub(f.w.log.began)) {
			continue
		}
		all = append(all, worldBreach{Invariant: violated[v.What], At: v.At.Sub(f.w.log.began), No: payflow.OutTradeNo(v.Number), Text: "WeChat Pay saw " + v.What})
	}
	return all
}
