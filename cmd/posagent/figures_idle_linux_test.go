package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	figureStarts = 11
	figureIdle   = 5 * time.Second
)

// BenchmarkIdleDaemon builds the daemon as it is shipped, with cgo and without, and prints the size of the binary, the resident
// memory of the daemon after some idle seconds, and the time from its start as a process to its line "ready", which waits for no
// gateway. The aims are 20 MB, 24 MB and 50 ms.
func BenchmarkIdleDaemon(b *testing.B) {
	sim := startSimulator(b, b.TempDir())
	for _, cgo := range []string{"0", "1"} {
		b.Run("cgo="+cgo, func(b *testing.B) {
			binary := buildStripped(b, cgo)
			for b.Loop() {
				measureDaemon(b, sim, binary)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func buildStripped(b *testing.B, cgo string) string {
	binary := filepath.Join(b.TempDir(), "posagent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	text, err := build.CombinedOutput()
	require.NoError(b, err, string(text))
	return binary
}

func measureDaemon(b *testing.B, sim *simulator, binary string) {
	file, err := os.Stat(binary)
	require.NoError(b, err)
	account, roots := withSystemRoots(b, sim.account)
	tt, err := openTrialTill(b.TempDir(), "I1", trialConfig{StoreID: "SZTX001", TillID: "I1", Account: account})
	require.NoError(b, err)
	b.Cleanup(func() { _ = tt.pty.Close() })
	b.Setenv("SSL_CERT_FILE", roots)
	startDaemon(b, binary, tt.dir).stop() // makes the journal
	var ready, inside samples
	for range figureStarts {
		d := startDaemon(b, binary, tt.dir)
		ready, inside = append(ready, d.ready), append(inside, d.inside)
		d.stop()
	}
	d := startDaemon(b, binary, tt.dir)
	require.NoError(b, tt.awaitAPI(b.Context()))
	require.NoError(b, tt.awaitReady(b.Context()), "WeChat Pay has answered: what that costs in memory is counted")
	tt.client.Close()
	time.Sleep(figureIdle)
	memory := residentMB(b, d.cmd.Process.Pid)
	d.stop()
	b.Logf("µs from the process's start to ready, at p10/median/p90: %v, of that in the daemon's own count: %v", ready, inside)
	atMost(b, "stripped binary, MB", "MB-binary", float64(file.Size())/1e6, 20)
	atMost(b, "resident memory when idle, MB", "MB-resident", memory["VmRSS"], 24)
	b.ReportMetric(memory["RssAnon"], "MB-anonymous")
	atMost(b, "start to ready, median, ms", "ms-to-ready", float64(ready.at(0.5).Microseconds())/1000, 50)
}

// withSystemRoots takes the trial's own ca_file out of an account, because a till in a shop has none: the trial's root is to be one of
// the system's.
func withSystemRoots(b *testing.B, account string) (shop, roots string) {
	line := regexp.MustCompile(`(?m)^ca_file = "(.*)"\n`)
	found := line.FindStringSubmatch(account)
	require.NotNil(b, found)
	return line.ReplaceAllString(account, ""), found[1]
}

// figureDaemon is a daemon that has said that it is ready.
type figureDaemon struct {
	b      *testing.B
	cmd    *exec.Cmd
	exited <-chan error
	stderr *bufio.Scanner
	ready  time.Duration // from before the process was begun
	inside time.Duration // as the daemon counts
}

func startDaemon(b *testing.B, binary, dir string) *figureDaemon {
	d := &figureDaemon{b: b, cmd: exec.Command(binary, "run", "--config", filepath.Join(dir, "posagent.toml"))}
	pipe, err := d.cmd.StderrPipe()
	require.NoError(b, err)
	d.stderr = bufio.NewScanner(pipe)
	began := time.Now()
	d.exited, err = startChild(d.cmd)
	require.NoError(b, err)
	for d.stderr.Scan() {
		var line struct {
			Message   string
			ElapsedMS int64 `json:"elapsed_ms"`
		}
		if json.Unmarshal(d.stderr.Bytes(), &line) == nil && line.Message == "ready" {
			d.ready, d.inside = time.Since(began), time.Duration(line.ElapsedMS)*time.Millisecond
			go io.Copy(io.Discard, pipe)
			return d
		}
	}
	require.Fail(b, "the daemon ended before it was ready", d.stderr.Text())
	return nil
}

func (d *figureDaemon) stop() {
	require.NoError(d.b, d.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(d.b, <-d.exited)
}

// residentMB reads the process's memory in use.
func residentMB(b *testing.B, pid int) map[string]float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	found := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if kB, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64); err == nil {
			found[name] = kB * 1024 / 1e6
		}
	}
	return found
}
