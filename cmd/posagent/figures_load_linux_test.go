package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

const (
	loadRounds      = 6
	loadPayments    = 40     // in each round, idle and under load
	loadConnections = 10_000 // that are held open, or opened again when they were closed
	loadHammers     = 64     // connections on which refused requests follow one another
)

// loadOn names the address that a test binary loads instead of testing: see loadLocalAPI.
const loadOn = "POSAGENT_LOAD_ON"

// BenchmarkPaymentUnderLoad prints the time from arming to paid while strangers do to the local API what they can, as a ratio to the same
// without them, in turns. The strangers are a process of their own, which stands still in the idle turns. The aim is at most 1.5.
func BenchmarkPaymentUnderLoad(b *testing.B) {
	dir := b.TempDir()
	sim := startSimulator(b, dir)
	putAside(b, sim.cmd.Process.Pid)
	require.NoError(b, writeTrialConfig(dir, trialConfig{StoreID: "SZTX001", TillID: "L1", Account: sim.account, Listen: "127.0.0.1:0"}))
	cfg, err := LoadConfig(filepath.Join(dir, "posagent.toml"))
	require.NoError(b, err)
	o := runOpenAgent(b, cfg, nil)
	strangers := startLoad(b, o.address)
	sales := 0
	for b.Loop() {
		var idle, loaded samples
		for n := range loadRounds {
			require.NoError(b, strangers.Signal(syscall.SIGSTOP))
			time.Sleep(300 * time.Millisecond)
			quiet := o.sellSome(b, &sales)
			require.NoError(b, strangers.Signal(syscall.SIGCONT))
			time.Sleep(300 * time.Millisecond)
			busy := o.sellSome(b, &sales)
			b.Logf("round %d of %d: µs at p10/median/p90: idle %v, under load %v; load %s", n+1, loadRounds, quiet, busy, load(b))
			idle, loaded = append(idle, quiet...), append(loaded, busy...)
		}
		b.ReportMetric(ratio(loaded.at(0.9), idle.at(0.9)), "p90-ratio")
		b.ReportMetric(float64(idle.at(0.5).Microseconds()), "idle-µs")
		atMost(b, "armed to paid under load ÷ idle, median", "median-ratio", ratio(loaded.at(0.5), idle.at(0.5)), 1.5)
		b.ReportMetric(0, "ns/op")
	}
}

// sellSome sells and returns how long each payment took from arming to paid.
func (o *openAgent) sellSome(b *testing.B, sales *int) samples {
	var took samples
	for range loadPayments {
		*sales++
		sale := fmt.Sprintf("L-%d", *sales)
		began := time.Now()
		e, err := o.engine.Arm(b.Context(), payflow.ArmRequest{IdempotencyKey: sale, SaleRef: payflow.SaleRef(sale), Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}})
		require.NoError(b, err)
		_, err = o.engine.Scan(b.Context(), wxsim.CodeFor("pays-at-once", *sales), "", "bench")
		require.NoError(b, err)
		for e.Open() {
			e, err = o.engine.WaitFor(b.Context(), e.OutTradeNo, e.Version)
			require.NoError(b, err)
		}
		require.Equal(b, payflow.Paid, e.Status)
		took = append(took, time.Since(began))
		time.Sleep(figureQuiet)
	}
	return took
}

// startLoad begins the strangers, as a process that works only where nobody else wants to: in a shop they are elsewhere.
func startLoad(b *testing.B, address string) *os.Process {
	binary, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.Command(binary, "-test.run=^TestStrangersLoadTheLocalAPI$", "-test.timeout=20m", "-test.v")
	cmd.Env = append(os.Environ(), loadOn+"="+address)
	cmd.Stdout = os.Stderr
	exited, err := startChild(cmd)
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-exited
	})
	time.Sleep(time.Second)
	putAside(b, cmd.Process.Pid)
	return cmd.Process
}

// TestStrangersLoadTheLocalAPI is no test: the benchmark runs it as the process of the strangers.
func TestStrangersLoadTheLocalAPI(t *testing.T) {
	address := os.Getenv(loadOn)
	if address == "" {
		t.Skip("the load of BenchmarkPaymentUnderLoad, which runs it by " + loadOn)
	}
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Minute)
	defer stop()
	var opened, refused atomic.Int64
	for i := range loadConnections {
		go func() {
			for ctx.Err() == nil {
				holdOne(address, i)
				opened.Add(1)
				time.Sleep(time.Second)
			}
		}()
	}
	for i := range loadHammers {
		go func() {
			for ctx.Err() == nil {
				hammerOne(address, i, &refused)
			}
		}()
	}
	for ctx.Err() == nil {
		time.Sleep(5 * time.Second)
		fmt.Printf("strangers: %d connections opened and closed again, %d requests answered\n", opened.Load(), refused.Load())
	}
}

// holdOne opens a connection, says nothing or half of something, and waits until it is closed.
func holdOne(address string, i int) {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, []string{"", "GET /v1/st", "POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "}[i%3])
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = io.Copy(io.Discard, c)
}

// hammerOne makes a request that is refused, with a body of 100 MB for as long as it is taken.
func hammerOne(address string, i int, refused *atomic.Int64) {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	host, headers := address, ""
	switch i % 5 {
	case 0:
		host = "attacker.example"
	case 1:
		headers = "Origin: https://attacker.example\r\nSec-Fetch-Site: cross-site\r\n"
	case 2:
		headers = "Authorization: Bearer posagent_" + strings.Repeat("x", 43) + "\r\n"
	case 3:
		headers = "Transfer-Encoding: chunked\r\n"
	}
	if i%5 != 3 {
		headers += "Content-Length: 104857600\r\n"
	}
	_, _ = io.WriteString(c, "POST /v1/payments?token=x HTTP/1.1\r\nHost: "+host+"\r\nContent-Type: application/json\r\n"+headers+"\r\n")
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if n, _ := c.Read(make([]byte, 512)); n > 0 {
		refused.Add(1)
	}
	part := []byte(strings.Repeat("w", 32<<10))
	for {
		if _, err := c.Write(part); err != nil {
			return
		}
	}
}
