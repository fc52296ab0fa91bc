package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
)

// TestADiskOutOfFiles: no file can be made any more, however many bytes are free. The reserve is given up for the one that a start needs, and is not made
// and taken back at each look; the status says what is out.
func TestADiskOutOfFiles(t *testing.T) {
	disk := mountSmallDisk(t, "40m,nr_inodes=100")
	d := openShopDay(t, disk)
	ctx := t.Context()
	require.NoError(t, d.start(ctx))
	require.NoError(t, d.awaitReady(ctx))
	d.kill()

	free := disk.fillWithFiles(t)
	d.startsOnAFullDisk(ctx)
	d.saysFull("F-files")
	before := d.written()
	time.Sleep(warningsEvery + warningsEvery/4)
	assert.Less(t, d.written()-before, int64(reserveBytes/8), "the reserve was written again and again, or a line at each look")
	d.awaitStatus("it does not say what is out", func(s till.StatusReport) bool { return strings.Contains(detailOf(s, "disk_full"), "no more files") })
	assert.NoFileExists(t, d.reserve())

	free()
	d.sellsAgain(ctx, "F-again")
}

// fillWithFiles makes empty files until no more can be made, and returns what takes them away.
func (d smallDisk) fillWithFiles(t *testing.T) (free func()) {
	t.Helper()
	folder := filepath.Join(d.dir, "many")
	require.NoError(t, os.Mkdir(folder, 0o700))
	for i := 0; ; i++ {
		file, err := os.Create(filepath.Join(folder, strconv.Itoa(i)))
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
		require.NoError(t, file.Close())
	}
	return func() { require.NoError(t, os.RemoveAll(folder)) }
}

// written is how many bytes the running daemon has written so far, wherever to.
func (d *shopDay) written() int64 {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", d.cmd.Process.Pid))
	require.NoError(d.t, err)
	_, rest, _ := strings.Cut(string(text), "wchar: ")
	count, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(count, 10, 64)
	require.NoError(d.t, err)
	return n
}

func detailOf(s till.StatusReport, code string) string {
	for _, w := range s.Warnings {
		if string(w.Code) == code {
			return w.Detail
		}
	}
	return ""
}

// TestAFirstStartOnAFullDisk: no journal can be made yet. Its end is one after which systemd tries again, and once there is room the till is made and sells.
func TestAFirstStartOnAFullDisk(t *testing.T) {
	disk := mountSmallDisk(t, "20m")
	d := openShopApart(t, disk)
	ctx := t.Context()
	free := disk.fill(t, "filler", 0)
	for range 2 {
		err := d.start(ctx)
		require.ErrorContains(t, err, "exit status 1", "2 is never tried again")
		assert.ErrorContains(t, err, "no space left on device")
		d.forget()
	}
	free()
	require.NoError(t, d.start(ctx))
	d.sellsAgain(ctx, "F-first")
}

// openShopApart is a till whose journal alone lies on the small disk, as log, socket and configuration of an installed one lie elsewhere.
func openShopApart(t *testing.T, disk smallDisk) *shopDay {
	t.Helper()
	dir, err := os.MkdirTemp("", "apart") // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := openShopDay(t, smallDisk{dir})
	d.journal = filepath.Join(disk.dir, "state", "journal.db")
	require.NoError(t, os.Mkdir(filepath.Dir(d.journal), 0o700))
	file := filepath.Join(d.dir, "posagent.toml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	moved := strings.Replace(string(text), `file = "journal.db"`, fmt.Sprintf("file = %q", d.journal), 1)
	require.NoError(t, os.WriteFile(file, []byte(moved), 0o600))
	return d
}

func needsFastTime(t *testing.T) {
	t.Helper()
	if payflow.Pace == 1 {
		t.Skip("not run: it waits for the rules' times, and go test -tags fasttime runs it")
	}
}

// TestADiskWithRoomForLessThanAStart: the till that only shows its journal starts over when a start would find room, and not before: else it would leave its
// clients every ten seconds, for nothing, and fill the log.
func TestADiskWithRoomForLessThanAStart(t *testing.T) {
	needsFastTime(t)
	disk := mountSmallDisk(t, "20m")
	d := openShopApart(t, disk)
	ctx := t.Context()
	require.NoError(t, d.start(ctx))
	require.NoError(t, d.awaitReady(ctx))
	p, err := d.arm(ctx, "F-waiting", 1200)
	require.NoError(t, err)
	d.kill()
	require.NoError(t, os.Remove(d.reserve()))
	free := disk.fill(t, "filler", 30) // 120 KiB
	d.startsOnAFullDisk(ctx)
	first := d.awaitStatus("it does not say that the journal cannot be written", func(s till.StatusReport) bool { return warns(s, "journal_unwritable") })
	assert.Contains(t, detailOf(first, "journal_unwritable"), "journal.db: no space left on device")
	require.NoError(t, d.scan(d.gateway.code("pays-at-once")))
	shown, err := d.client.Payment(ctx, p.ID)
	require.NoError(t, err)
	assert.Contains(t, shown.Message.EN, "NOT PAID", "it was never sent, and no scan sends it now")
	time.Sleep(5 * writableEvery)
	later := d.awaitStatus("it does not say so any more", func(s till.StatusReport) bool { return warns(s, "journal_unwritable") })
	assert.Equal(t, first.StartedAt, later.StartedAt, "it started over for nothing")
	assert.Empty(t, d.gateway.books(), "a code that was scanned meanwhile went out")
	free()
	d.sellsAgain(ctx, "F-again")
}

// TestADiskThatTurnsReadOnly: ext4 does so by itself after an error of the disk, under an open payment. The till ends, comes back to show what it has and what
// WeChat Pay says, and finishes the payment when the disk was mounted anew.
func TestADiskThatTurnsReadOnly(t *testing.T) {
	needsFastTime(t)
	disk, again := mountLoopDisk(t)
	d := openShopApart(t, disk)
	ctx := t.Context()
	require.NoError(t, d.start(ctx))
	require.NoError(t, d.awaitReady(ctx))
	p, err := d.arm(ctx, "R-open", 1300)
	require.NoError(t, err)
	require.NoError(t, d.scan(d.gateway.code("answer-late")))
	require.NoError(t, d.gateway.awaitArrival(ctx, p.ID))
	command(t, "mount", "-o", "remount,abort", disk.dir)

	status := d.awaitStatus("it does not say that the journal cannot be written", func(s till.StatusReport) bool { return !s.Ready && warns(s, "journal_unwritable") })
	assert.Contains(t, detailOf(status, "journal_unwritable"), "read-only file system")
	d.mustNotArm("R-full")
	shown, err := d.client.Payment(ctx, p.ID)
	require.NoError(t, err)
	assert.False(t, shown.Final, "nothing is told that is not on disk")
	assert.Contains(t, shown.Message.EN, "can't write its journal", "nobody waits for what can't come")

	d.kill()
	again()
	require.NoError(t, d.start(ctx))
	assert.Equal(t, payflow.Paid, d.endsTruly(ctx, p.ID).Status)
	d.sellsAgain(ctx, "R-again")
	judgeKilled(t, []*trialTill{d.trialTill}, d.gateway.books())
}

// mountLoopDisk mounts an ext4 out of a file; again unmounts it and mounts it anew. Where that cannot be done the test is skipped, or fails with
// POSAGENT_REQUIRE_LOOP=1.
func mountLoopDisk(t *testing.T) (_ smallDisk, again func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "loop")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	image := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 40<<20))
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", "-F", image}, {"mount", "-o", "loop", image, dir}} {
		if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			require.NotEqual(t, "1", os.Getenv("POSAGENT_REQUIRE_LOOP"), "an ext4 in a file is required here: %v %s", err, said)
			t.Skipf("not run: no ext4 in a file can be mounted here (%v); root can, and POSAGENT_REQUIRE_LOOP=1 makes this a failure", err)
		}
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return smallDisk{dir}, func() {
		require.NoError(t, syscall.Unmount(dir, 0))
		command(t, "mount", "-o", "loop", image, dir)
	}
}

func command(t *testing.T, args ...string) {
	t.Helper()
	said, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, string(said))
}

// TestADiskThatAnotherProgramFills has another program take each byte at once that is free or is given up, while payments and refunds are under way. The
// till comes to show its journal as soon as a step does not fit, tells no result that is not on disk, and finishes everything when the other program has ended.
// POSAGENT_GREEDY_DISKS says how many disks, 1 where it does not, and POSAGENT_GREEDY_SEED the first one's seed.
func TestADiskThatAnotherProgramFills(t *testing.T) {
	needsFastTime(t)
	first := asked(t, "POSAGENT_GREEDY_SEED", int(rand.Uint32()))
	for i := range asked(t, "POSAGENT_GREEDY_DISKS", 1) {
		t.Run(fmt.Sprint("POSAGENT_GREEDY_SEED=", first+i), func(t *testing.T) { sellBesideAGreedyProgram(t, uint64(first+i)) })
	}
}

func sellBesideAGreedyProgram(t *testing.T, seed uint64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 0))
	disk := mountSmallDisk(t, "20m")
	d := openShopApart(t, disk)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	require.NoError(t, d.start(ctx))
	d.sellsAgain(ctx, "G-first")

	greedy := make(chan func(), 1)
	after := time.Duration(chance.Int64N(int64(500 * time.Millisecond)))
	time.AfterFunc(after, func() { greedy <- disk.takeEachByte() })
	told := d.sellAnythingUntilItEnds(ctx, chance)
	stop := <-greedy
	d.startsOnAFullDisk(ctx)
	status := d.awaitStatus("it does not say that the journal cannot be written", func(s till.StatusReport) bool {
		// where the start was quicker than the other program, and nothing is open that has to be written, it says only that the disk is full
		nothingToWrite := warns(s, "disk_full") && s.Journal.Open == 0 && s.OpenRefunds == 0
		return !s.Ready && (warns(s, "journal_unwritable") || nothingToWrite)
	})
	t.Logf("full after %v: %d results told, %d payments open, %d refunds open", after, len(told), status.Journal.Open, status.OpenRefunds)
	d.mustNotArm("G-full")
	d.holdsTo(ctx, told)

	stop()
	d.awaitStatus("what is open does not end", func(s till.StatusReport) bool { return s.Ready && s.Journal.Open == 0 && s.OpenRefunds == 0 })
	d.sellsAgain(ctx, "G-again")
	d.holdsTo(ctx, told)
	judgeKilled(t, []*trialTill{d.trialTill}, d.gateway.books())
}

// takeEachByte writes what the disk takes, all the time, and returns what ends it and takes it away.
func (d smallDisk) takeEachByte() (stop func()) {
	path := filepath.Join(d.dir, "greedy")
	file, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	ended := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		for {
			for size := 64 << 10; size > 0; {
				if n, err := file.Write(make([]byte, size)); n < size || err != nil {
					size /= 2
				}
			}
			select {
			case <-ended:
				_ = file.Close()
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return func() {
		close(ended)
		over.Wait()
		_ = os.Remove(path)
	}
}

// greedyCustomers are those that keep a payment open for a while, in each of its states.
func greedyCustomers() []string {
	return []string{"pays-at-once", "answer-late", "password-pays", "password-never", "password-late", "system-error-unpaid", "system-error-no-order", "hidden-deduction", "read-late"}
}

// sellAnythingUntilItEnds sells, and refunds, until the daemon ends, and returns each result that was told.
func (d *shopDay) sellAnythingUntilItEnds(ctx context.Context, chance *rand.Rand) map[payflow.OutTradeNo]payflow.Status {
	d.t.Helper()
	told, customers, paid := map[payflow.OutTradeNo]payflow.Status{}, greedyCustomers(), payflow.OutTradeNo("")
	for sale := 0; ctx.Err() == nil; sale++ {
		select {
		case how := <-d.exited:
			d.forget()
			require.ErrorContains(d.t, how, "exit status 1", "systemd starts it again")
			return told
		default:
		}
		p, err := d.arm(ctx, fmt.Sprintf("G-%d", sale), 1000+int64(sale))
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_ = d.scan(d.gateway.code(customers[chance.IntN(len(customers))]))
		if paid != "" {
			_, _ = d.client.Refund(ctx, paid, till.RefundBody{Amount: 10, Reason: "one of the goods", Operator: "P001"}, fmt.Sprintf("refund-%d", sale))
		}
		within, stop := context.WithTimeout(ctx, 5*time.Second)
		p, err = d.client.WaitFinal(within, p.ID, nil)
		stop()
		if err != nil {
			continue // it is asked about when it is next told of
		}
		told[p.ID] = p.Status
		if p.Status == payflow.Paid {
			paid = p.ID
		}
		_, _ = d.client.Acknowledge(ctx, p.ID, till.AcknowledgeBody{Operator: "P001"})
	}
	require.Fail(d.t, "the daemon goes on though the disk is full")
	return nil
}

// holdsTo sees that each result that was told is told again.
func (d *shopDay) holdsTo(ctx context.Context, told map[payflow.OutTradeNo]payflow.Status) {
	d.t.Helper()
	for no, status := range told {
		p, err := d.client.Payment(ctx, no)
		if assert.NoError(d.t, err, no) {
			assert.Equal(d.t, status, p.Status, no)
		}
	}
}
