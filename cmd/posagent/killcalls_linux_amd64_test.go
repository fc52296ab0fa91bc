package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// killedAt counts where daemons were killed, or their disks failed.
type killedAt struct {
	mu    sync.Mutex // guards calls and sessions
	calls map[string]int
	last  int // the largest number of calls that a session was killed at
}

func (k *killedAt) note(n int, c stoppedCall) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.calls == nil {
		k.calls = map[string]int{}
	}
	k.calls[c.String()]++
	k.last = max(k.last, n)
}

func (k *killedAt) tell() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lines []string
	total := 0
	for _, call := range slices.SortedFunc(maps.Keys(k.calls), func(a, b string) int { return cmp.Compare(k.calls[b], k.calls[a]) }) {
		lines = append(lines, fmt.Sprintf("%d at %s", k.calls[call], call))
		total += k.calls[call]
	}
	return fmt.Sprintf("%d calls struck, up to the %dth: %s", total, k.last, strings.Join(lines, ", "))
}

// TestADaemonKilledAtEachCallLosesNothing kills the daemon before the 1st, 2nd, 3rd … storage or socket call of a scripted session,
// counted over all its threads and its restart, until a session ends before that call is reached. After each kill it is started
// again and must come to rest before the next session begins on the same journal. POSAGENT_KILL_SESSIONS says how many of the
// scripts are told so; without it every 40th call of the first is one, and only in a build under the tag fasttime.
func TestADaemonKilledAtEachCallLosesNothing(t *testing.T) {
	sessions := asked(t, "POSAGENT_KILL_SESSIONS", 0)
	step := 1
	if sessions == 0 {
		sessions, step = 1, 40
	}
	if payflow.Pace == 1 {
		t.Skip("not run: a session takes a minute in real time; go test -tags fasttime runs it")
	}
	canIntercept(t)
	for _, script := range heldScripts[:min(sessions, len(heldScripts))] {
		t.Run(script.name, func(t *testing.T) { killAtEachCall(t, script, step) })
	}
}

func killAtEachCall(t *testing.T, script heldScript, step int) {
	dir := shortDir(t)
	gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), script.api)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	workers := asked(t, "POSAGENT_KILL_DAEMONS", 4*runtime.NumCPU())
	if step > 1 {
		workers = 2
	}
	var where killedAt
	tills := make([]*heldTill, workers)
	errs := make([]error, workers)
	var running sync.WaitGroup
	for i := range tills {
		tills[i] = openHeldTill(t, dir, fmt.Sprintf("K%02d", i), gateway)
		running.Go(func() { errs[i] = tills[i].killAtEvery(t.Context(), script, 1+i*step, workers*step, &where) })
	}
	running.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	judgeHeld(t, tills, gateway.books())
	t.Log(where.tell())
	assert.NotEmpty(t, where.calls)
}

// killAtEvery tells the script again and again, and kills the daemon at the first, the first plus step, … of its calls.
func (h *heldTill) killAtEvery(ctx context.Context, script heldScript, first, step int, where *killedAt) error {
	if err := h.startHeld(ctx); err != nil {
		return err
	}
	for n := first; ; n += step {
		if err := h.awaitRest(ctx); err != nil {
			return fmt.Errorf("before call %d: %w", n, err)
		}
		killed := h.killAtCall(n, where)
		err := h.tellWithin(ctx, script)
		h.on(nil)
		if !killed() {
			if err != nil {
				return fmt.Errorf("%s ended wrong without a kill: %w: %s", script.name, err, h.lastLines())
			}
			return nil
		}
		if _, gone := h.ended(20 * time.Second); !gone {
			return fmt.Errorf("%s was killed at call %d, and is still there", h.name, n)
		}
		if err := h.startHeld(ctx); err != nil {
			return fmt.Errorf("after a kill at call %d: %w", n, err)
		}
	}
}

// killAtCall has the daemon killed at the nth storage or socket call from now on, and returns what tells whether it was.
func (h *heldTill) killAtCall(n int, where *killedAt) (killed func() bool) {
	return h.treatCall(n, treatment{kill: true}, func(c stoppedCall) bool { return c.onSocket() || c.onDisk(h.dir) }, where)
}

// treatCall has the nth of the calls that count treated so, from now on, and returns what tells whether it was.
func (h *heldTill) treatCall(n int, treat treatment, counts func(stoppedCall) bool, where *killedAt) (struck func() bool) {
	count, done := 0, false
	h.on(func(c stoppedCall) treatment {
		if done || !counts(c) {
			return treatment{}
		}
		if count++; count < n {
			return treatment{}
		}
		done = true
		where.note(n, c)
		return treat
	})
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return done
	}
}

// awaitRest returns when every payment is decided and the till could take the next: liveness, within 150 s of the rules' time, and
// never sooner than a slow machine needs.
func (h *heldTill) awaitRest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(150*time.Second/payflow.Pace, 30*time.Second))
	defer cancel()
	for {
		status, err := h.client.Status(ctx)
		if err == nil && status.HoldingID == "" && status.Ready && scannersReady(status) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not come to rest: %w: holding %q, %v: %s", h.name, ctx.Err(), status.HoldingID, status.NotReady, h.lastLines())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// firstStarts are what befalls a till's very first start, in which the journal is made.
var firstStarts = []struct {
	name  string
	treat treatment
}{
	{"killed", treatment{kill: true}},
	{"EIO", treatment{errno: syscall.EIO}},
	{"ENOSPC", treatment{errno: syscall.ENOSPC}},
}

// TestAFirstStartThatIsCutOffIsMadeGood kills a till's very first start, or lets its disk fail, at the 1st, 2nd, 3rd … call, until it
// answers before that call is reached. The next start must make a whole till of what is there, and sell. POSAGENT_FIRST_STARTS=1 asks for
// each call; without it each 15th is one.
func TestAFirstStartThatIsCutOffIsMadeGood(t *testing.T) {
	canIntercept(t)
	step := 15
	if asked(t, "POSAGENT_FIRST_STARTS", 0) > 0 {
		step = 1
	}
	for _, kind := range firstStarts {
		t.Run(kind.name, func(t *testing.T) {
			if step > 1 && payflow.Pace == 1 && !kind.treat.kill {
				t.Skip("not run: a till that cannot write looks again each ten seconds; go test -tags fasttime runs it")
			}
			dir := shortDir(t)
			gateway, err := openTrial(filepath.Join(dir, "wechat-pay"), payflow.APIv3)
			require.NoError(t, err)
			t.Cleanup(gateway.close)
			var where killedAt
			var tills []*heldTill
			for n, more := 1, true; more; n += step {
				h := openHeldTill(t, dir, fmt.Sprintf("B%03d", n), gateway)
				more, err = h.beginCutOff(t.Context(), n, kind.treat, &where)
				require.NoError(t, err, "call %d", n)
				require.NoError(t, h.stop())
				tills = append(tills, h)
			}
			judgeHeld(t, tills, gateway.books())
			t.Log(where.tell())
		})
	}
}

// beginCutOff is one first start, and the next. It reports whether the nth call was reached.
func (h *heldTill) beginCutOff(ctx context.Context, n int, treat treatment, where *killedAt) (reached bool, err error) {
	counts := func(c stoppedCall) bool { return c.onDisk(h.dir) || treat.kill && c.onSocket() }
	struck := h.treatCall(n, treat, counts, where)
	err = h.startHeld(ctx)
	h.on(nil)
	switch {
	case !struck() && err != nil:
		return false, err
	case struck() && (err != nil || treat.kill):
		how, gone := h.ended(20 * time.Second)
		if status := exitStatusError(0); !gone || !treat.kill && (!errors.As(how, &status) || status != ExitFailed && status != ExitUsage) {
			return true, fmt.Errorf("it ended %t, with %v", gone, how)
		}
		if err := h.startHeld(ctx); err != nil {
			return true, fmt.Errorf("the next start: %w", err)
		}
	}
	if err := h.awaitRest(ctx); err != nil {
		return struck(), err
	}
	return struck(), h.sell(ctx, "pays-at-once")
}
