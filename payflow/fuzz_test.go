package payflow

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fuzzPhrases is what can be told in a story; a fuzz input is a list of pairs of bytes, a phrase and how long before it.
var fuzzPhrases = []string{
	"scan", "scan of nothing", "no scan", "woken", "power back", "power back, the order is 8 days old", "power back, the clock is not known",
	"cancel by Amy", "set aside by Bo: x", "pay not sent", "pay refused NOTENOUGH", "pay collides ORDERPAID", "pay lost: unsigned refusal NOTENOUGH",
	"pay lost: no answer", "pay lost: server error", "pay answered SUCCESS", "pay answered USERPAYING", "pay answered PAYERROR", "pay answered SUCCESS, wrong amount",
	"pay says no such order", "query answered SUCCESS", "query answered NOTPAY", "query answered USERPAYING", "query answered PAYERROR", "query answered CLOSED",
	"query answered REVOKED", "query answered REFUND", "query answered REFUND, all back", "query answered REFUND, on its way", "query answered REFUND, a part",
	"query answered REFUND, a part, on its way", "query answered REFUND, one failed", "query answered REFUND, one failed, all back by another",
	"query answered REFUND, no refund listed", "query answered REFUND, more than was paid", "query answered REFUND, all back, no order number",
	"query answered REFUND, all back, without attach", "query answered REFUND, all back, wrong amount", "query answered REFUND, wrong amount, back what we asked",
	"pay answered REFUND, all back", "query answered SOMETHING_NEW", "query answered SUCCESS, another till's order",
	"query answered NOTPAY, another till's order", "query answered REFUND, another till's order", "query answered SUCCESS, wrong amount",
	"query answered SUCCESS, wrong currency", "query answered SUCCESS, another merchant", "query answered SUCCESS, without attach",
	"query answered NOTPAY, without attach", "query answered SUCCESS, without attach, wrong amount", "query answered SUCCESS, another order number",
	"query answered SUCCESS, no order number", "query says no such order", "query lost: no answer", "query lost: too many calls",
	"query lost: unsigned no such order", "query lost: answer not verified", "query not sent", "reverse answered 204", "reverse refused TRADEERROR", "reverse comes too late",
	"reverse lost: no answer", "reverse says no such order", "too late: query answered REVOKED", "too late: pay answered SUCCESS", "too late: reverse answered 204",
	"too late: query lost: unsigned no such order",
}

// fuzzPauses lead to, before and past what the flow waits for; "until woken" goes to the payment's own time.
var fuzzPauses = []time.Duration{0, 0, 0, 0, time.Second, 3 * time.Second, 14 * time.Second, 15 * time.Second, 40 * time.Second, 75 * time.Second, 10 * time.Minute, -5 * time.Second}

const untilWoken = 255

// Whatever happens, in whatever order: no panic, I3, I5, I6 and I13, and of I4 what refunds prove.
func FuzzStep(f *testing.F) {
	for _, path := range storyFiles(f) {
		text, err := os.ReadFile(path)
		require.NoError(f, err)
		for _, scene := range strings.Split(string(text), "---\n") {
			f.Add(seedOf(scene))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		p, _ := anArmed(DefaultTiming())
		w := world{now: beginning, reverseAfter: DefaultTiming().ReverseAfter}
		for i := 0; i+1 < len(input) && i < 400; i += 2 {
			if input[i+1] == untilWoken {
				w.now = later(w.now, p.WakeAt)
			} else {
				w.now = w.now.Add(fuzzPauses[int(input[i+1])%len(fuzzPauses)])
			}
			e, err := hear(p, fuzzPhrases[int(input[i])%len(fuzzPhrases)], w.now)
			require.NoError(t, err)
			p = fuzzStep(t, p, e, &w)
		}
	})
}

func fuzzStep(t *testing.T, p Payment, e Event, w *world) Payment {
	after, commands := Step(p, e)
	if e.Kind == Restarted || p.Call == PayCall && after.Call != PayCall {
		w.payEnds()
	}
	for _, c := range commands {
		if c.Kind == SendReverse {
			require.False(t, w.now.Before(w.guard()), "I3: a reverse %s after the pay attempt's end", w.now.Sub(w.payEnded))
			w.reverseLeft = true
		}
	}
	if p.Status.Final() {
		require.Equal(t, p, after, "I5")
		require.Empty(t, commands, "I5")
	}
	require.True(t, after.Status.Final() || after.Call != NoCall || !after.WakeAt.IsZero(), "I6")
	require.False(t, after.Status == Paid && w.reverseLeft, "I13")
	require.False(t, p.Open() && after.Status.Final() && e.Outcome.Trade.State == TradeRefund && !addsUp(e.Outcome.Trade), "I4: ended by refunds that do not add up")
	require.False(t, after.Status.Final() && after.Reason == "", "a final payment has a reason")
	return after
}

// seedOf turns a story into bytes, as far as its phrases are known here.
func seedOf(story string) []byte {
	var seed []byte
	for line := range strings.Lines(story) {
		_, words, ok := strings.Cut(strings.TrimSpace(line), " ")
		i := place(strings.TrimSpace(words), fuzzPhrases...)
		if !ok || !strings.HasPrefix(line, "+") || i == len(fuzzPhrases) {
			continue
		}
		pause := byte(0)
		if words == "woken" {
			pause = untilWoken
		}
		seed = append(seed, byte(i), pause)
	}
	return seed
}
