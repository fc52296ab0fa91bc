package rig

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// size is how much one run does.
type size struct {
	codes  int // for each scanner, of which some take a half
	cycles int // of unplugging and plugging in, for each scanner
	idle   time.Duration
	bounds bool // the times of going and coming back are held against bounds, for a machine that does nothing else
}

func wantedSize(t *testing.T) size {
	t.Helper()
	number := func(name string, usual int) int {
		text := os.Getenv(name)
		if text == "" {
			return usual
		}
		n, err := strconv.Atoi(text)
		require.NoErrorf(t, err, "%s is no number", name)
		return n
	}
	return size{codes: number("POSAGENT_RIG_CODES", 5), cycles: number("POSAGENT_RIG_CYCLES", 4),
		idle: time.Duration(number("POSAGENT_RIG_IDLE", 60)) * time.Second, bounds: os.Getenv("POSAGENT_RIG_BOUNDS") == "1"}
}

// mayRun skips where the rig was not asked for, and where it can't run and need not.
func mayRun(t *testing.T) {
	t.Helper()
	required := os.Getenv("POSAGENT_REQUIRE_RIG") == "1"
	missing := Missing()
	switch {
	case !required && os.Getenv("POSAGENT_RIG") != "1":
		t.Skip("the virtual machine with emulated scanners runs with POSAGENT_RIG=1 (docs/rig.md)")
	case missing != "" && required:
		t.Fatal(missing)
	case missing != "":
		t.Skip(missing)
	}
}

func cacheFolder(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("POSAGENT_RIG_CACHE"); folder != "" {
		return folder
	}
	folder, err := os.UserCacheDir()
	require.NoError(t, err)
	return filepath.Join(folder, "posagent-rig")
}

// A store's scanners, each kind on real drivers of a real kernel: codes become payments, whole, once and nowhere else, also
// when plugs are pulled in the middle of them.
func TestRig(t *testing.T) {
	mayRun(t)
	s := openShop(t, RealTime)
	part(t, "a keyboard that nobody has taken over types on the console", s, (*shop).consoleShowsDigits)
	part(t, "scanner list", s, (*shop).listScanners)
	part(t, "scanner learn", s, (*shop).learnScanners)
	wanted := wantedSize(t)
	for i, devices := range chosen(sessions(wanted.bounds), os.Getenv("POSAGENT_RIG_ONLY")) {
		if len(devices) > 0 {
			part(t, fmt.Sprintf("session %d", i+1), s, func(s *shop) { s.session(devices, wanted) })
		}
	}
	part(t, "books", s, (*shop).closeWeChat)
}

// chosen are the devices whose name has a part, in their sessions; "" chooses all.
func chosen(sessions [][]device, part string) [][]device {
	for i := range sessions {
		sessions[i] = slices.DeleteFunc(sessions[i], func(d device) bool { return !strings.Contains(d.name, part) })
	}
	return sessions
}

// part runs a part of the day as a subtest and says how long it took.
func part(t *testing.T, name string, s *shop, do func(*shop)) {
	if *s.stuck {
		return
	}
	t.Run(name, func(t *testing.T) {
		began, ended := time.Now(), false
		defer func() { *s.stuck = *s.stuck || !ended }()
		do(s.in(t))
		ended = true
		t.Logf("took %s", time.Since(began).Round(100*time.Millisecond))
	})
}

// openShop prepares and boots the machine, starts simulated WeChat Pay and plugs all scanners in.
func openShop(t *testing.T, clock Clock) *shop {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	began := time.Now()
	kit, err := Prepare(ctx, cacheFolder(t), t.TempDir())
	require.NoError(t, err)
	t.Logf("kernel and file system are ready after %s", time.Since(began).Round(100*time.Millisecond))
	began = time.Now()
	folder, err := os.MkdirTemp("", "rig") // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	m, err := Boot(ctx, kit, folder, clock)
	require.NoError(t, err)
	seed := rand.Uint64()
	s := &shop{t: t, m: m, chance: rand.New(rand.NewPCG(seed, 0)), charged: map[string]charge{}, stuck: new(bool)}
	t.Cleanup(func() { s.leave(t) })
	t.Logf("the guest answers after %s; seed %d", time.Since(began).Round(100*time.Millisecond), seed)
	began = time.Now()
	s.openWeChat()
	for _, g := range []Gadget{wedge, pos, virtual} {
		s.ask("Make", g, &Nothing{})
		s.bind("Plug", g)
	}
	require.NoError(t, m.PlugKeyboard())
	require.NoError(t, m.PlugAdapter())
	t.Logf("WeChat Pay is open and the scanners are plugged in after %s; QEMU holds %d MB", time.Since(began).Round(100*time.Millisecond), m.Memory()>>20)
	return s
}

// leave ends the machine; what it leaves of a failed run is shown, the ends of its logs.
func (s *shop) leave(t *testing.T) {
	if t.Failed() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		var output ProgramReply
		if err := s.m.Ask(ctx, "Output", StartArgs{Name: "daemon"}, &output); err == nil {
			t.Logf("the daemon, ended %v; its log without payments that go their way:\n%s", output.Ended, tail(withoutPayments(output.Output), logMax))
		}
		t.Log(s.m.ConsoleLog())
	}
	assert.NoError(t, s.m.End())
}

// withoutPayments is a log without the lines that each payment writes.
func withoutPayments(log []byte) []byte {
	var rest []byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte(`"message":"payment"`)) {
			rest = append(rest, line...)
		}
	}
	return rest
}

// The proof that the look at the console can find something.
func (s *shop) consoleShowsDigits() {
	const typed = "24680"
	require.Eventually(s.t, func() bool {
		s.typed(typed)
		return strings.Contains(s.digitsOnConsole(), typed)
	}, callWithin, time.Second, "what QEMU's keyboard types does not reach the console")
	s.play(wedge, 0, keyReports(typed))
	require.Eventually(s.t, func() bool { return strings.Contains(s.digitsOnConsole(), typed) }, callWithin, 100*time.Millisecond,
		"what the gadget keyboard types does not reach the console")
}

// listScanners runs the installer's command.
func (s *shop) listScanners() {
	status, output := s.run("scanner", "list")
	s.t.Logf("posagent scanner list\n%s", output)
	require.Zero(s.t, status)
	for _, wanted := range []string{ids(KeyboardVendor, KeyboardProduct), ids(SerialVendor, SerialProduct), ids(wedge.Vendor, wedge.Product), ids(pos.Vendor, pos.Product), ids(virtual.Vendor, virtual.Product)} {
		assert.Contains(s.t, output, wanted)
	}
}

// session runs the daemon with scanners: codes from each, then plugs that are pulled, then what it holds in the end.
func (s *shop) session(devices []device, wanted size) {
	for _, d := range devices { // a daemon that was killed leaves its HID scanners without the kernel's driver
		d.unplug(s)
		d.plug(s)
	}
	s.open(devices)
	fresh := s.closeDaemon()
	s.open(devices)
	for _, d := range devices {
		part(s.t, d.name+": codes", s, func(s *shop) { s.scanCodes(d, max(1, wanted.codes*d.per200/200)) })
	}
	before := s.usage()
	for _, d := range devices {
		part(s.t, d.name+": plugs", s, func(s *shop) { s.pullPlugs(d, wanted) })
	}
	if *s.stuck {
		s.t.FailNow() // the daemon stays as it is, for its log
	}
	time.Sleep(time.Second)
	after := s.usage()
	goroutines := s.closeDaemon()
	s.t.Logf("files %d, then %d; threads %d, then %d; goroutines %d of a fresh daemon, %d in the end; memory %d MB, then %d MB",
		before.Files, after.Files, before.Threads, after.Threads, fresh, goroutines, before.Memory>>20, after.Memory>>20)
	assert.LessOrEqual(s.t, after.Files, before.Files+leakMargin, "open files")
	assert.LessOrEqual(s.t, after.Threads, before.Threads+leakMargin, "threads")
	assert.LessOrEqual(s.t, goroutines, fresh+leakMargin, "goroutines")
}

// leakMargin is what connections and the runtime's own threads may make of difference: less than one for each time that a
// plug was pulled.
const leakMargin = 6

// scanCodes takes payments, each with one scan. Meanwhile the status is asked for again and again, as pages do that are
// open: the reader of a scanner must not have to wait for its turn.
func (s *shop) scanCodes(d device, count int) {
	defer s.keepAsking()()
	var refused []string
	for i := range count {
		refused = append(refused, s.pay(s.arm(), d.scan)...)
		require.Emptyf(s.t, s.digitsOnConsole(), "code %d was typed on the console", i+1)
	}
	s.t.Logf("%d of %d codes are payments at the first scan", count-len(refused), count)
	assert.Empty(s.t, refused, "scans that were refused, and why")
}

// askers is how many ask for the status at the same time.
const askers = 2

// keepAsking has the status asked for until stop is called.
func (s *shop) keepAsking() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			for ctx.Err() == nil { // in the guest it ends a moment later: no such scanner ever comes
				_ = s.m.Ask(ctx, "Await", AwaitArgs{Device: "nobody's", Ready: true, Within: time.Second}, &AwaitReply{})
			}
		})
	}
	return func() { cancel(); asking.Wait() }
}

// pullPlugs unplugs a scanner that an armed payment waits for, each second time in the middle of a code, and plugs it in
// again; then the next customer's code must pay that payment. Of the half code nothing may be heard, unless the plug came
// out so late that it had ended by silence: then it was refused.
func (s *shop) pullPlugs(d device, wanted size) {
	var away, back, ours []time.Duration
	var refused []string
	for i := range wanted.cycles {
		p := s.arm()
		middle := i%2 == 1
		if middle {
			d.half(s, s.code()[:9])
		}
		stopped := time.Now()
		pulled := d.unplug(s)
		unheard := !middle || time.Since(stopped) < d.silence/2
		away = append(away, s.await(d, false)-pulled)
		put := d.plug(s)
		shown := s.await(d, true)
		back, ours = append(back, shown-put), append(ours, shown-s.bound(d, put))
		if middle && unheard {
			time.Sleep(d.silence) // what was kept of it would end now
		}
		p = s.call(http.MethodGet, "/v1/payments/"+p.ID, "", nil, http.StatusOK)
		require.Equal(s.t, "waiting", p.Status, "a code was taken out of half a scan")
		if unheard {
			require.Nilf(s.t, p.Notice, "half a code was kept over a replug: %+v", p.Notice)
		}
		refused = append(refused, s.pay(p, d.scan)...)
		require.Empty(s.t, s.digitsOnConsole(), "typed on the console")
	}
	assert.Empty(s.t, refused, "scans that were refused, and why")
	s.t.Logf("away is shown after %s", spread(away))
	s.t.Logf("back is shown after %s", spread(back))
	s.t.Logf("of which, after the kernel's driver had it, %s", spread(ours))
	if wanted.bounds {
		for _, times := range [][]time.Duration{away, back} {
			slices.Sort(times)
			assert.LessOrEqual(s.t, times[len(times)*95/100], 2*time.Second, "95th percentile")
			assert.LessOrEqual(s.t, times[len(times)-1], 5*time.Second, "longest")
		}
	}
}

// bound is when the kernel's own driver had taken a scanner that was plugged in at a moment.
func (s *shop) bound(d device, after time.Duration) time.Duration {
	s.t.Helper()
	var at Moment
	s.ask("Bound", BoundArgs{Vendor: d.vendor, Product: d.product, After: after}, &at)
	require.NotZero(s.t, at.At, "the kernel has given it to no driver")
	return at.At
}

// spread is the distribution of times.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "no time"
	}
	all := slices.Sorted(slices.Values(times))
	at := func(percent int) time.Duration {
		return all[min(len(all)-1, len(all)*percent/100)].Round(time.Millisecond)
	}
	return fmt.Sprintf("%s least, %s median, %s at the 95th percentile, %s most", at(0), at(50), at(95), at(100))
}

// idleShareMax is how much of a core a daemon may use for three open scanners while nobody buys, of a core that is some ten times
// slower than a till's.
const idleShareMax = 0.002

// While three scanners are open and nobody buys, next to nothing runs. The machine's clock counts instructions, so a busy host
// measures what an idle one does. Go collects garbage once in two minutes at the least, which is some 25 ms of this core: seconds would hold
// that or not, by chance, so it is a minute.
func TestRigIdle(t *testing.T) {
	mayRun(t)
	wanted := wantedSize(t)
	s, all := openShop(t, Counted), sessions(wanted.bounds)
	for name, keyboard := range map[string]device{"hid": all[0][1], "evdev": all[1][0]} {
		part(t, name, s, func(s *shop) { s.idle([]device{keyboard, all[0][2], all[0][3]}, wanted.idle) })
	}
}

func (s *shop) idle(devices []device, length time.Duration) {
	for _, d := range devices {
		d.unplug(s)
		d.plug(s)
	}
	s.open(devices)
	before := s.usage()
	require.Eventually(s.t, func() bool { return s.usage().At-before.At > 3*time.Second }, 5*time.Minute, time.Second)
	before = s.usage()
	after := before
	require.Eventually(s.t, func() bool { after = s.usage(); return after.At-before.At >= length }, 10*time.Minute, time.Second)
	passed := after.At - before.At
	share := float64(after.CPU-before.CPU) / float64(passed)
	s.t.Logf("idle for %s of the guest's clock with three scanners open: %.3f %% of a core of %d million instructions a second; %.0f sleeps a second, memory %d MB",
		passed.Round(time.Second), 100*share, InstructionsASecond/1_000_000, float64(after.Switches-before.Switches)/passed.Seconds(), after.Memory>>20)
	assert.Positive(s.t, after.CPU-before.CPU, "a program that never runs is not measured")
	assert.Less(s.t, share, idleShareMax)
	s.closeDaemon()
}

// listens reports that scanner learn has said of each gadget that it reads it.
func listens(output []byte) bool {
	for _, g := range []Gadget{wedge, pos, virtual} {
		if !bytes.Contains(output, []byte("Rig "+g.Title)) {
			return false
		}
	}
	return true
}

// learnTries bounds the scans for one scanner learn, which gives up after two minutes.
const learnTries = 20

// learntAs is how scanner learn calls a kind of scanner.
var learntAs = map[string]string{GadgetKeyboard: "keyboard", GadgetPOS: "HID POS", GadgetACM: "serial"}

// learnScanners runs the command with which an installer finds out which device is the scanner: a scan tells. It writes
// into a configuration that names none yet.
func (s *shop) learnScanners() {
	s.configure(nil)
	for _, g := range []Gadget{pos, wedge, virtual} {
		s.ask("Start", StartArgs{Name: "learn", Args: []string{"/bin/posagent", "scanner", "learn", "--config", configFile}}, &Nothing{})
		var reply ProgramReply
		look := func() bool {
			s.ask("Output", StartArgs{Name: "learn"}, &reply)
			return reply.Ended
		}
		require.Eventually(s.t, func() bool { return look() || listens(reply.Output) }, callWithin, 100*time.Millisecond)
		tries := 0
		for ; tries < learnTries && !reply.Ended; tries++ { // a busy machine may take a code apart
			s.play(g, 0, scanParts(g.Kind, s.code()))
			for range 30 {
				if look() {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		s.t.Logf("posagent scanner learn, and %d scans of %s\n%s", tries, g.Title, reply.Output)
		assert.Zero(s.t, reply.Status)
		assert.Contains(s.t, string(reply.Output), "It is the "+learntAs[g.Kind]+" Rig "+g.Title)
		s.bind("Unplug", g) // with a report that nobody has fetched: the next to open it would take that for a scan
		s.bind("Plug", g)
	}
	var file FileReply
	s.ask("Read", FileArgs{Name: configFile}, &file)
	_, learnt, _ := strings.Cut(string(file.Data), "[[scanner]]")
	s.t.Logf("the configuration then ends\n[[scanner]]%s", learnt)
	assert.Equal(s.t, 3, strings.Count(string(file.Data), "[[scanner]]"))
	s.digitsOnConsole() // a keyboard goes on typing meanwhile
}
