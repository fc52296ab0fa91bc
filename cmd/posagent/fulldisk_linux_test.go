package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// smallDisk is a file system of a few MiB of its own, for a till's folder.
type smallDisk struct{ dir string }

// mountSmallDisk mounts one; where that is not allowed the test is skipped, or fails with POSAGENT_REQUIRE_MOUNT=1.
func mountSmallDisk(t *testing.T, size string) smallDisk {
	t.Helper()
	dir, err := os.MkdirTemp("", "full")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("posagent-test", dir, "tmpfs", 0, "size="+size); err != nil {
		require.NotEqual(t, "1", os.Getenv("POSAGENT_REQUIRE_MOUNT"), "a small file system is required here, and none can be mounted: %v", err)
		t.Skipf("not run: no small file system can be mounted here (%v); root can, and POSAGENT_REQUIRE_MOUNT=1 makes this a failure", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return smallDisk{dir}
}

// fill writes until nothing more fits but so many pages, and returns what takes the filler away again.
func (d smallDisk) fill(t *testing.T, name string, pagesLeft int64) (free func()) {
	t.Helper()
	path := filepath.Join(d.dir, name)
	file, err := os.Create(path)
	require.NoError(t, err)
	for size := 64 << 10; size > 0; {
		n, err := file.Write(make([]byte, size))
		if n < size || err != nil {
			size /= 2
		}
	}
	info, err := file.Stat()
	require.NoError(t, err)
	require.NoError(t, file.Truncate(max(0, info.Size()-pagesLeft*int64(os.Getpagesize()))))
	require.NoError(t, file.Close())
	return func() { require.NoError(t, os.Remove(path)) }
}

// shopDay is a till on a small disk, supervised as systemd does: what ends with 1 is started again.
type shopDay struct {
	*trialTill
	t       *testing.T
	gateway *trial
	journal string
}

func openShopDay(t *testing.T, disk smallDisk) *shopDay {
	t.Helper()
	gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), payflow.APIv3)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	config := trialConfig{StoreID: "SZTX001", TillID: "F1", Account: gateway.account(), Flow: "reverse_after = \"15s\"\npay_timeout = \"5s\"\n"}
	tt, err := openTrialTill(filepath.Join(disk.dir, "F1"), "F1", config)
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	d := &shopDay{tt, t, gateway, filepath.Join(tt.dir, "journal.db")}
	t.Cleanup(func() { d.kill(); _ = d.pty.Close() })
	return d
}

// restartsMax is how often a till may be started again before it says what holds.
const restartsMax = 2

// awaitStatus waits until the till says what ok wants. A daemon that ends because a step did not fit is started again, as systemd does.
func (d *shopDay) awaitStatus(what string, ok func(till.StatusReport) bool) till.StatusReport {
	d.t.Helper()
	var last till.StatusReport
	restarts := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case how := <-d.exited: // a step did not fit
			require.ErrorContains(d.t, how, "exit status 1", "systemd starts it again")
			restarts++
			require.LessOrEqual(d.t, restarts, restartsMax, "%s: it only ends and starts: %s", what, d.lastLines())
			d.forget()
			d.startsOnAFullDisk(d.t.Context())
		default:
		}
		status, err := d.client.Status(d.t.Context())
		if err == nil && ok(status) {
			return status
		}
		last = status
	}
	require.Fail(d.t, what, "%+v %+v: %s", last.NotReady, last.Warnings, d.lastLines())
	return last
}

func warns(s till.StatusReport, code string) bool {
	for _, w := range s.Warnings {
		if string(w.Code) == code {
			return true
		}
	}
	return false
}

// mustNotArm sees that no new payment is taken, and why.
func (d *shopDay) mustNotArm(sale string) string {
	d.t.Helper()
	_, err := d.arm(d.t.Context(), sale, 100)
	said := (*till.Problem)(nil)
	require.ErrorAs(d.t, err, &said, "a payment was armed on a full disk")
	return said.Detail
}

// sellUntilItEnds sells until the daemon ends, and returns the last payment as it was told last.
func (d *shopDay) sellUntilItEnds(ctx context.Context) (last till.Payment) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func(exited <-chan error) {
		how := <-exited
		over <- how
		cancel()
	}(d.exited)
	for sale := 0; ctx.Err() == nil && sale < salesMax; sale++ {
		p, err := d.arm(ctx, fmt.Sprintf("F-%d", sale), 1000+int64(sale))
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		last = p
		if err := d.scan(d.gateway.code("pays-at-once")); err != nil {
			break
		}
		p, err = d.client.WaitFinal(ctx, p.ID, func(p till.Payment) { last = p })
		if err != nil {
			break
		}
		last = p
		if p, err = d.client.Acknowledge(ctx, p.ID, till.AcknowledgeBody{Operator: "P001"}); err == nil {
			last = p
		}
	}
	select {
	case how := <-over:
		d.forget()
		require.Error(d.t, how)
		assert.Contains(d.t, how.Error(), "exit status 1", "systemd starts it again")
	case <-time.After(time.Minute):
		require.Fail(d.t, "the daemon goes on though the disk is full")
	}
	return last
}

// salesMax is more than the pages that are left can take.
const salesMax = 2000

// TestAFullDisk fills a real disk and sells on until a step does not fit, and then fills it under an open payment while the power is off.
// The till stops, says so at every stage, finishes the open payment out of the reserve, takes no new one, shows what it has when
// the reserve's room is used up too, and sells again once there is room. POSAGENT_FULL_DISK says how many disks are filled, 1 where it does not, and
// POSAGENT_DISK_SEED the first one's seed.
func TestAFullDisk(t *testing.T) {
	first := asked(t, "POSAGENT_DISK_SEED", int(rand.Uint32()))
	for i := range asked(t, "POSAGENT_FULL_DISK", 1) {
		t.Run(fmt.Sprint("POSAGENT_DISK_SEED=", first+i), func(t *testing.T) { fillADisk(t, uint64(first+i)) })
	}
}

func fillADisk(t *testing.T, seed uint64) {
	t.Helper()
	pagesLeft := rand.New(rand.NewPCG(seed, 0)).Int64N(60)
	disk := mountSmallDisk(t, "20m")
	d := openShopDay(t, disk)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(t, d.start(ctx))
	require.NoError(t, d.awaitReady(ctx))

	makeRoom := disk.fill(t, "filler", pagesLeft)
	last := d.sellUntilItEnds(ctx)
	assert.NoFileExists(t, d.reserve(), "the reserve is given up for what is open")
	d.startsOnAFullDisk(ctx)
	d.saysFull("F-full")
	if last.ID != "" {
		end := d.endsTruly(ctx, last.ID)
		t.Logf("with %d pages left the disk was full when %s was %s; it ended %s", pagesLeft, last.ID, last.Status, end.Status)
		assert.True(t, !last.Final || end.Status == last.Status, "what was told stays")
	}
	makeRoom()
	d.sellsAgain(ctx, "F-again")

	open := d.openAndCutPower(ctx)
	makeRoom = disk.fill(t, "filler", 0)
	d.startsOnAFullDisk(ctx)
	d.standsFull()
	d.mustNotArm("G-full") // because of the disk, or of the payment while it is open
	assert.NoFileExists(t, d.reserve(), "the reserve is given up for the open payment")
	end := d.endsTruly(ctx, open)
	assert.Equal(t, payflow.Paid, end.Status, "the open payment is finished out of the reserve")
	_, err := d.client.Acknowledge(ctx, open, till.AcknowledgeBody{Operator: "P001"})
	require.NoError(t, err, "what is finished can be acknowledged")
	d.saysFull("G-still-full")

	d.kill()
	makeMoreRoom := disk.fill(t, "filler2", 0)
	d.startsOnAFullDisk(ctx)
	d.awaitStatus("it does not say that the journal cannot be written", func(s till.StatusReport) bool { return !s.Ready && warns(s, "journal_unwritable") })
	d.mustNotArm("H-unwritable")
	shown, err := d.client.Payment(ctx, open)
	require.NoError(t, err)
	assert.Equal(t, end.Status, shown.Status, "what was decided is shown as it was")
	makeRoom()
	makeMoreRoom()
	d.sellsAgain(ctx, "H-again")
	judgeKilled(t, []*trialTill{d.trialTill}, d.gateway.books())
}

// startsOnAFullDisk starts the till as systemd does: a start that finds the disk full in the middle of a step ends, with the reserve given up, and
// the next one has its room. More than two such ends are a loop.
func (d *shopDay) startsOnAFullDisk(ctx context.Context) {
	d.t.Helper()
	for again := range 3 {
		err := d.start(ctx)
		if err == nil {
			return
		}
		require.ErrorContains(d.t, err, "no space left on device")
		require.Less(d.t, again, 2, "the till does not come up: %s", err)
		d.t.Logf("a start ended on the full disk, and systemd starts it again: %s", err)
		d.forget()
	}
}

func (d *shopDay) reserve() string { return d.journal + ".reserve" }

// saysFull sees that the till says that its disk is full, and takes no new payment for that reason.
func (d *shopDay) saysFull(sale string) {
	d.t.Helper()
	d.standsFull()
	assert.Contains(d.t, d.mustNotArm(sale), "disk is full")
}

// standsFull sees that the status says that the disk is full.
func (d *shopDay) standsFull() {
	d.t.Helper()
	status := d.awaitStatus("it does not say that the disk is full", func(s till.StatusReport) bool {
		return !s.Ready && warns(s, "disk_full") && s.NotReady != nil && s.NotReady.Reason == "journal"
	})
	assert.Contains(d.t, status.NotReady.Message, "disk is full")
}

// endsTruly follows a payment to its end, and holds it against WeChat Pay's books.
func (d *shopDay) endsTruly(ctx context.Context, no payflow.OutTradeNo) till.Payment {
	d.t.Helper()
	p, err := d.client.WaitFinal(ctx, no, nil)
	require.NoError(d.t, err)
	order, _ := d.gateway.sim.Books().Order(string(no))
	assert.Equal(d.t, p.Status == payflow.Paid, order.Held > 0, "%s is %s, and WeChat Pay holds %d", no, p.Status, order.Held)
	return p
}

// sellsAgain waits until the till is whole by itself, and sells.
func (d *shopDay) sellsAgain(ctx context.Context, sale string) {
	d.t.Helper()
	d.awaitStatus("it does not sell again", func(s till.StatusReport) bool {
		return s.Ready && scannersReady(s) && !warns(s, "disk_full") && !warns(s, "journal_unwritable")
	})
	assert.FileExists(d.t, d.reserve(), "the reserve is back")
	p, err := d.arm(ctx, sale, 1400)
	require.NoError(d.t, err)
	require.NoError(d.t, d.scan(d.gateway.code("pays-at-once")))
	assert.Equal(d.t, payflow.Paid, d.endsTruly(ctx, p.ID).Status)
}

// openAndCutPower leaves a payment open whose customer pays meanwhile.
func (d *shopDay) openAndCutPower(ctx context.Context) payflow.OutTradeNo {
	d.t.Helper()
	p, err := d.arm(ctx, "G-open", 1300)
	require.NoError(d.t, err)
	require.NoError(d.t, d.scan(d.gateway.code("answer-late")))
	require.NoError(d.t, d.gateway.awaitArrival(ctx, p.ID))
	d.kill()
	return p.ID
}
