package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/scanner"
)

// BenchmarkIdleScanners reads three scanners on pseudo-terminals with posagent scanner watch, a process of its own, and prints what that
// costs while nothing is scanned: processor time as a share of one core, and how often the process was woken. The aim is less than 0.2 %.
// POSAGENT_IDLE_SECONDS says for how long, default 5.
func BenchmarkIdleScanners(b *testing.B) {
	seconds, err := strconv.Atoi(os.Getenv("POSAGENT_IDLE_SECONDS"))
	if err != nil {
		seconds = 5
	}
	binary := buildStripped(b, "1")
	for b.Loop() {
		before, after := watchIdle(b, binary, time.Duration(seconds)*time.Second)
		atMost(b, "idle with three scanners, % of a core", "%-of-a-core", 100*(after.cpu-before.cpu).Seconds()/float64(seconds), 0.2)
		b.ReportMetric(float64(after.switches-before.switches)/float64(seconds), "wakes/s")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdleDaemonWithScanners is the same for the whole daemon, which also keeps its link to WeChat Pay and its watchdog.
func BenchmarkIdleDaemonWithScanners(b *testing.B) {
	seconds, err := strconv.Atoi(os.Getenv("POSAGENT_IDLE_SECONDS"))
	if err != nil {
		seconds = 5
	}
	binary, sim := buildStripped(b, "1"), startSimulator(b, b.TempDir())
	account, roots := withSystemRoots(b, sim.account)
	tt, err := openTrialTill(b.TempDir(), "I3", trialConfig{StoreID: "SZTX001", TillID: "I3", Account: account})
	require.NoError(b, err)
	defer tt.pty.Close()
	file, err := os.OpenFile(filepath.Join(tt.dir, "posagent.toml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(b, err)
	for range 2 { // beside the one that a trial has
		pty, err := scanner.OpenPTY()
		require.NoError(b, err)
		defer pty.Close()
		_, err = fmt.Fprintf(file, "\n[[scanner]]\nkind = \"serial\"\ndevice = %q\n", pty.Path())
		require.NoError(b, err)
	}
	require.NoError(b, file.Close())
	b.Setenv("SSL_CERT_FILE", roots)
	for b.Loop() {
		d := startDaemon(b, binary, tt.dir)
		require.NoError(b, tt.awaitAPI(b.Context()))
		require.NoError(b, tt.awaitReady(b.Context()))
		time.Sleep(figureIdle)
		before := usageOf(b, d.cmd.Process.Pid)
		time.Sleep(time.Duration(seconds) * time.Second)
		after := usageOf(b, d.cmd.Process.Pid)
		d.stop()
		atMost(b, "idle daemon with three scanners, % of a core", "%-of-a-core", 100*(after.cpu-before.cpu).Seconds()/float64(seconds), 0.2)
		b.ReportMetric(float64(after.switches-before.switches)/float64(seconds), "wakes/s")
	}
	b.ReportMetric(0, "ns/op")
}

// watchIdle returns what the process had used when its scanners had been ready for a while, and what d later.
func watchIdle(b *testing.B, binary string, d time.Duration) (before, after usage) {
	dir := b.TempDir()
	lines := leastConfig
	for range 3 {
		pty, err := scanner.OpenPTY()
		require.NoError(b, err)
		defer pty.Close()
		lines += fmt.Sprintf("[[scanner]]\nkind = \"serial\"\ndevice = %q\n", pty.Path())
	}
	file := filepath.Join(dir, "posagent.toml")
	require.NoError(b, os.WriteFile(file, []byte(lines), 0o600))
	cmd := exec.Command(binary, "scanner", "watch", "--config", file)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	exited, err := startChild(cmd)
	require.NoError(b, err)
	defer func() {
		require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(b, <-exited)
	}()
	said := bufio.NewScanner(out)
	for ready := 0; ready < 3 && said.Scan(); {
		if strings.Contains(said.Text(), "ready") {
			ready++
		}
	}
	time.Sleep(time.Second) // starting up is not idle
	before = usageOf(b, cmd.Process.Pid)
	time.Sleep(d)
	return before, usageOf(b, cmd.Process.Pid)
}

// usage is what a process has used.
type usage struct {
	cpu      time.Duration // in its threads, to the nanosecond
	switches int           // times that a thread went to sleep
}

func usageOf(b *testing.B, pid int) (u usage) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	require.NoError(b, err)
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Join(thread, "schedstat"))
		require.NoError(b, err)
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		require.NoError(b, err)
		u.cpu += time.Duration(ns)
		status, err := os.ReadFile(filepath.Join(thread, "status"))
		require.NoError(b, err)
		for line := range strings.Lines(string(status)) {
			if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, err := strconv.Atoi(strings.TrimSpace(count))
				require.NoError(b, err)
				u.switches += n
			}
		}
	}
	return u
}
