package queue

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// childFolder tells the test binary that it is the child which writes until it is killed.
const childFolder = "POSAGENT_TEST_JOURNAL_FOLDER"

// TestChildWritesUntilKilled is no test of its own: it is the process that the tests below kill. It says what was committed.
func TestChildWritesUntilKilled(t *testing.T) {
	folder := os.Getenv(childFolder)
	if folder == "" {
		t.Skip("only as a child of another test")
	}
	fmt.Println("begin")
	b := bookIn(t, folder)
	b.open()
	for i := 0; ; i++ {
		entry := b.arm(b.freshKey(), fmt.Sprint("A-", i))
		fmt.Println("committed", entry.OutTradeNo, entry.Status, b.Head())
		for _, next := range []payflow.Status{payflow.Paying, payflow.Confirming, payflow.Paid} {
			entry = b.become(entry, next)
			fmt.Println("committed", entry.OutTradeNo, entry.Status, b.Head())
		}
	}
}

// killAfter runs the child, kills it some time after it has begun, and returns what it said.
func killAfter(t *testing.T, folder string, wait time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChildWritesUntilKilled$")
	child.Env = append(os.Environ(), childFolder+"="+folder)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var said []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if lines.Text() == "begin" {
			time.AfterFunc(wait, func() { _ = child.Process.Kill() })
		}
		said = append(said, lines.Text())
	}
	_ = child.Wait()
	require.Equal(t, "signal: killed", child.ProcessState.String(), strings.Join(said, "\n"))
	return said
}

func TestWhatWasCommittedIsThereAfterAKillAtAnyMoment(t *testing.T) {
	folder := t.TempDir()
	for range 10 {
		said := killAfter(t, folder, 20*time.Millisecond+rand.N(60*time.Millisecond))
		b := bookIn(t, folder)
		b.open()
		var heads []Head
		last := map[payflow.OutTradeNo]payflow.Status{}
		for _, line := range said {
			f := strings.Fields(line)
			if len(f) != 4 {
				continue // begun, or cut short by the kill
			}
			head, err := ParseHead(f[3])
			require.NoError(t, err, line)
			heads = append(heads, head)
			last[payflow.OutTradeNo(f[1])] = payflow.Status(f[2])
		}
		for no, status := range last {
			entry, err := b.Payment(no)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, step(entry.Status), step(status), "%s was %s", no, status)
		}
		report, err := b.Verify(t.Context(), heads)
		require.NoError(t, err)
		assert.True(t, report.Clean(), report.String())
		for _, entry := range mustList(b.OpenPayments()) {
			b.become(entry, payflow.Cancelled)
		}
		require.NoError(t, b.Close())
	}
}

func TestAJournalIsMadeThoughItsMakerIsKilledAtAnyMoment(t *testing.T) {
	for range 10 {
		folder := t.TempDir()
		killAfter(t, folder, rand.N(10*time.Millisecond))
		b := bookIn(t, folder)
		b.open()
		b.mustBeClean()
	}
}

func step(s payflow.Status) int {
	for i, status := range payflow.Statuses() {
		if s == status {
			return i
		}
	}
	return -1
}

func mustList(entries []payflow.Entry, err error) []payflow.Entry {
	if err != nil {
		panic(err)
	}
	return entries
}
