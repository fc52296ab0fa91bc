package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"posagent/payflow"
	"posagent/till"
)

// recording is what one till's daemon did to the files of its journal: every write, sync and change of a name, with what it told
// the world meanwhile. It begins with the files as they were, all of them on disk.
type recording struct {
	Dir    string            // the till's folder while it was recorded
	Before map[string][]byte // content by path below Dir
	Calls  []diskCall        // in the order in which they began
	Tills  []tillFrom        // whose till it was, from which time on
}

// tillFrom is the till's id in the configuration of the daemon that was started at a time.
type tillFrom struct {
	At int // as in diskCall
	ID string
}

// journalFiles are the files that the journal consists of, below the till's folder. What else the daemon writes is no part of it.
var journalFiles = []string{
	"journal.db", "journal.db.new", "journal.db.room", "journal.db.reserve", "journal.db.reserve.new",
	"keys/journal.key", "keys/journal.key.new", "keys/journal.key.head", "keys/journal.key.head.new", startsName, startsName + ".new",
}

// startsName is the list of starts, whose random characters stand in the order numbers.
const startsName = "keys/journal.key.starts"

// requireStrace skips where there is no strace, unless the environment wants it.
func requireStrace(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command(path, "--seccomp-bpf", "-f", "-o", os.DevNull, "/bin/true").Run()
	}
	if err == nil {
		return path
	}
	if os.Getenv("POSAGENT_REQUIRE_STRACE") == "1" {
		t.Fatalf("POSAGENT_REQUIRE_STRACE=1, but strace does not run here: %v", err)
	}
	t.Skipf("no daemon was recorded: strace does not run here (%v)", err)
	return ""
}

// recordedCalls are the system calls that change files, or tell the world.
const recordedCalls = "openat,pwrite64,write,fdatasync,fsync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"

// recorder runs a till's daemon under strace, again and again, and keeps the logs.
type recorder struct {
	*trialTill
	t       *testing.T
	gateway *trial
	before  map[string][]byte
	tills   []string // of each start
	arms    int
}

// newRecorder makes a till whose every start is recorded. The files that stand in its folder already are the recording's beginning.
func newRecorder(t *testing.T, gateway *trial, dir string) *recorder {
	t.Helper()
	strace := requireStrace(t)
	r := &recorder{t: t, gateway: gateway, before: readJournalFiles(t, dir), arms: 1000} // the journal of testdata holds the sales before
	var err error
	r.trialTill, err = openTrialTill(dir, "R1", r.config("R1"))
	require.NoError(t, err)
	t.Cleanup(func() { r.kill(); _ = r.pty.Close() })
	wrapper := filepath.Join(dir, "recorded-posagent")
	require.NoError(t, os.WriteFile(wrapper, fmt.Appendf(nil, "#!/bin/sh\nexec %s -D -f -y -xx -s 300000 --seccomp-bpf -e signal=none -e trace=%s -o \"$POSAGENT_TEST_LOG\" %s \"$@\"\n",
		strace, recordedCalls, r.binary), 0o700))
	r.binary = wrapper
	return r
}

func (r *recorder) config(tillID string) trialConfig {
	return trialConfig{StoreID: "SZTX001", TillID: tillID, Account: r.gateway.account(), Flow: "reverse_after = \"15s\"\npay_timeout = \"5s\"\n", AllowCode: true}
}

func readJournalFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range journalFiles {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		files[name] = content
	}
	return files
}

// begin starts the daemon as the till of that id, and returns when it takes payments.
func (r *recorder) begin(ctx context.Context, tillID string) {
	r.t.Helper()
	c := r.config(tillID)
	c.Scanner = r.pty.Path()
	require.NoError(r.t, writeTrialConfig(r.dir, c))
	r.tills = append(r.tills, tillID)
	r.extra = []string{asPosagent + "=1", "POSAGENT_TEST_LOG=" + r.logFile(len(r.tills))}
	require.NoError(r.t, r.start(ctx))
	require.NoError(r.t, r.awaitReady(ctx))
}

func (r *recorder) logFile(start int) string {
	return filepath.Join(r.dir, fmt.Sprintf("calls-%d.strace", start))
}

// end stops the daemon and waits until its log is whole.
func (r *recorder) end() {
	r.t.Helper()
	require.NoError(r.t, r.stop())
	require.Eventually(r.t, func() bool {
		text, err := os.ReadFile(r.logFile(len(r.tills)))
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		return err == nil && bytes.Contains(lines[len(lines)-1], []byte("+++ exited with 0 +++"))
	}, 20*time.Second, 20*time.Millisecond, "strace finishes its log")
}

// sell takes one payment to its end. An end of "" cancels it before any code is scanned. told says whether the cashier acknowledges it.
func (r *recorder) sell(ctx context.Context, wallet string, told bool) till.Payment {
	r.t.Helper()
	r.arms++
	p, err := r.arm(ctx, fmt.Sprintf("R-%d", r.arms), 100+int64(r.arms))
	require.NoError(r.t, err)
	if wallet == "" {
		p, err = r.client.Cancel(ctx, p.ID, "P001")
	} else {
		_, err = r.client.Code(ctx, p.ID, r.gateway.code(wallet))
		require.NoError(r.t, err)
		p, err = r.client.WaitFinal(ctx, p.ID, nil)
	}
	require.NoError(r.t, err)
	if told {
		p, err = r.client.Acknowledge(ctx, p.ID, till.AcknowledgeBody{Operator: "P001"})
		require.NoError(r.t, err)
	}
	return p
}

// refund gives half of a paid payment back; the daemon asks for its end in its own time.
func (r *recorder) refund(ctx context.Context, p till.Payment) {
	r.t.Helper()
	_, err := r.client.Refund(ctx, p.ID, till.RefundBody{Amount: p.Amount / 2, Reason: "one of two returned", Operator: "M001"}, "refund-"+string(p.ID))
	require.NoError(r.t, err)
}

// lookAgain has WeChat Pay asked once more about a payment that was not paid.
func (r *recorder) lookAgain(ctx context.Context, p till.Payment) {
	r.t.Helper()
	socket := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.dir, "posagent.sock"))
	}}
	defer socket.CloseIdleConnections()
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://posagent/v1/payments/"+string(p.ID)+"/look-again", strings.NewReader(`{"operator":"M001"}`))
	require.NoError(r.t, err)
	ask.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Transport: socket}).Do(ask)
	require.NoError(r.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(r.t, errors.Join(err, answer.Body.Close()))
	require.Equal(r.t, http.StatusOK, answer.StatusCode, string(text))
}

// recordingPlan is how long a till is recorded.
type recordingPlan struct {
	payments int // that end at once
	reversed int // that take some 18 s each
}

// dayOf is how payments end one after the other: mostly paid and acknowledged.
var dayOf = []struct {
	wallet string
	told   bool
	status payflow.Status
}{
	{"pays-at-once", true, payflow.Paid}, {"pays-at-once", true, payflow.Paid}, {"no-money", false, payflow.Declined}, {"pays-at-once", true, payflow.Paid},
	{"", false, payflow.Cancelled}, {"pays-at-once", true, payflow.Paid}, {"pays-at-once", true, payflow.Paid}, {"expired-code", true, payflow.Declined},
	{"pays-at-once", false, payflow.Paid}, {"unsigned", true, payflow.Paid}, {"", true, payflow.Cancelled}, {"pays-at-once", true, payflow.Paid},
}

// recordDay records a till from the first start of its life: the journal is made, grows, is closed and opened again, and moves to a till
// of another id, for which the start writes an entry of its own.
func recordDay(t *testing.T, gateway *trial, dir string, plan recordingPlan) *recording {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	r := newRecorder(t, gateway, dir)
	for start, tillID := range []string{"R1", "R1", "R2"} {
		r.begin(ctx, tillID)
		share := plan.payments / 3
		if start == 0 {
			share = plan.payments - 2*share
		}
		for i := range share {
			day := dayOf[i%len(dayOf)]
			p := r.sell(ctx, day.wallet, day.told)
			require.Equal(t, day.status, p.Status)
			switch i % len(dayOf) {
			case 0:
				r.refund(ctx, p)
			case 2:
				r.lookAgain(ctx, p)
			}
		}
		for i := range plan.reversed {
			if i%3 == start {
				require.Equal(t, payflow.Reversed, r.sell(ctx, "system-error-unpaid", i%2 == 0).Status)
			}
		}
		r.end()
	}
	return r.recording()
}

// recording reads the logs of all starts.
func (r *recorder) recording() *recording {
	r.t.Helper()
	rec := &recording{Dir: r.dir, Before: r.before}
	reader := &straceReader{dir: r.dir}
	for i, tillID := range r.tills {
		rec.Tills = append(rec.Tills, tillFrom{At: reader.line + 1, ID: tillID})
		file, err := os.Open(r.logFile(i + 1))
		require.NoError(r.t, err)
		require.NoError(r.t, reader.read(file))
		require.NoError(r.t, file.Close())
		require.NoError(r.t, os.Remove(r.logFile(i+1)))
	}
	rec.Calls = reader.finish()
	return rec
}

// journalFile reports whether a path is one of the journal's, and gives it below the till's folder.
func journalFile(dir, path string) (string, bool) {
	name, below := strings.CutPrefix(path, dir+"/")
	if !below {
		return "", false
	}
	for _, known := range journalFiles {
		if name == known {
			return name, true
		}
	}
	return name, name == "keys"
}

// recordUpgrade records the opening of a journal that an earlier version made and closed as the till R1, with a payment that still waited, and a few
// sales after it. Where the till is another now, the start writes an entry of its own before the journal grows.
func recordUpgrade(t *testing.T, gateway *trial, dir, tillID string) *recording {
	t.Helper()
	layOldJournal(t, dir)
	return recordSales(t, gateway, dir, tillID, 3)
}

// recordGrowth records a journal that fills what bbolt has set aside for it, so that its file is made longer: steps times 16 MiB are in use.
func recordGrowth(t *testing.T, gateway *trial, dir string, steps int) *recording {
	t.Helper()
	layOldJournal(t, dir)
	fillToGrowth(t, filepath.Join(dir, "journal.db"), steps)
	rec := recordSales(t, gateway, dir, fmt.Sprint("G", steps), 12) // of another till: a second copy would draw the numbers of the first
	grown := 0
	for _, c := range rec.Calls {
		if c.Kind == callTruncate {
			grown++
		}
	}
	require.Positive(t, grown, "the file grew")
	return rec
}

// layOldJournal puts the journal of testdata in place. It was made by the first version, and its daemon was killed while a payment waited for its scan.
func layOldJournal(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "journal-format-1"))))
	packed, err := os.Open(filepath.Join(dir, "journal.db.gz"))
	require.NoError(t, err)
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	require.NoError(t, err)
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, writeSparse(filepath.Join(dir, "journal.db"), content, int64(len(content))))
}

func recordSales(t *testing.T, gateway *trial, dir, tillID string, sales int) *recording {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := newRecorder(t, gateway, dir)
	r.begin(ctx, tillID)
	for i := range sales {
		require.Equal(t, dayOf[i].status, r.sell(ctx, dayOf[i].wallet, dayOf[i].told).Status)
	}
	r.end()
	return r.recording()
}

// ballastBytes is the length of most lines that fill a file: a few long ones, so that bbolt's check and the comparison of lines have little to do with them.
const ballastBytes = 256 << 10

// fillToGrowth fills a closed journal with ballast until a few pages are left of the room that its file has.
func fillToGrowth(t *testing.T, path string, steps int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	require.NoError(t, err)
	room := int64(steps) * 16 << 20
	for i := 0; ; i++ {
		info, err := os.Stat(path)
		require.NoError(t, err)
		var used int64
		require.NoError(t, db.View(func(tx *bbolt.Tx) error { used = tx.Size(); return nil }))
		left := max(room, info.Size()) - used
		if room <= info.Size() && left < 8*4096 {
			break
		}
		lines, size := max(1, left/4096/2), 3<<10 // which use up what the long ones freed
		if left > 4<<20 {
			lines, size = (left-1<<20)/(ballastBytes+8<<10), ballastBytes
		}
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(ballast))
			if err != nil {
				return err
			}
			b.FillPercent = 1
			for k := range lines {
				value := make([]byte, size)
				value[0] = byte(i)
				if err := b.Put(fmt.Appendf(nil, "%06d-%06d", i, k), value); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	require.NoError(t, db.Close())
}
