package wxclient

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// testdata/error_codes.txt holds every error code that WeChat Pay's documents list, under the HTTP status that it comes with,
// and what each call takes it for. It was read against the documents and not written from outcome.go: a change of a row there
// turns a test red here. -update-codes rewrites it; the difference is then reviewed line by line.

var updateCodes = flag.Bool("update-codes", false, "write testdata/error_codes.txt again")

const codesFile = "testdata/error_codes.txt"

// codeLine is one line: a code as the documents spell it with all its underscores, a status, and a class for each call.
type codeLine struct {
	code    string
	status  int
	classes []string
}

// codeCalls are the calls, in the order of the file's columns. Each returns what it took the answer for, in a word.
var codeCalls = []struct {
	name string
	make func(t *testing.T, c *Client) (class string, err error)
}{
	{"pay", func(t *testing.T, c *Client) (string, error) {
		return codeClass(c.Pay(t.Context(), testOrder(), testAuthCode(t), gone()))
	}},
	{"query", func(t *testing.T, c *Client) (string, error) { return codeClass(c.Query(t.Context(), testOrder())) }},
	{"reverse", func(t *testing.T, c *Client) (string, error) { return codeClass(c.Reverse(t.Context(), testOrder())) }},
	{"refund", func(t *testing.T, c *Client) (string, error) {
		return codeRefundClass(c.Refund(t.Context(), codeRefund()))
	}},
	{"query refund", func(t *testing.T, c *Client) (string, error) {
		return codeRefundClass(c.QueryRefund(t.Context(), codeRefund()))
	}},
}

func codeRefund() payflow.RefundOrder {
	o := testOrder()
	return payflow.RefundOrder{OutRefundNo: "R1", OutTradeNo: o.OutTradeNo, Merchant: o.Merchant, API: o.API, Amount: o.Amount, Total: o.Amount}
}

func readCodes(t *testing.T) (lines []codeLine) {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(codesFile))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		require.Lenf(t, fields, 2+len(codeCalls), "%s: %q", codesFile, line)
		status, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		lines = append(lines, codeLine{fields[0], status, fields[2:]})
	}
	return lines
}

// codeClass says in one word what a call took an answer for.
func codeClass(outcome payflow.Outcome, err error) (string, error) {
	switch {
	case err != nil:
		return "unknown", err
	case outcome.Kind == payflow.Found:
		return string(outcome.Kind) + ":" + string(outcome.Trade.State), nil
	case outcome.Reason != "":
		return string(outcome.Kind) + ":" + string(outcome.Reason), nil
	}
	return string(outcome.Kind), nil
}

func codeRefundClass(outcome payflow.RefundOutcome, err error) (string, error) {
	if err != nil {
		return "unknown", err
	}
	return string(outcome.Kind), nil
}

// codeDesk drives codes through the whole client, over TLS.
type codeDesk struct {
	t *testing.T
	g *gateway
	c *Client
}

func atCodeDesk(t *testing.T, work func(d codeDesk)) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		work(codeDesk{t, g, c})
	})
}

// spellings are those in which the English and the Chinese pages write a code.
func spellings(code string) []string {
	if short := strings.ReplaceAll(code, "_", ""); short != code {
		return []string{code, short}
	}
	return []string{code}
}

// differences drives one line's code in every spelling, signed, and returns where the client does not agree with the line.
// What is not signed, or forged, must be unknown whatever the line says.
func (d codeDesk) differences(line codeLine) (all []string) {
	d.t.Helper()
	for i, call := range codeCalls {
		for _, code := range spellings(line.code) {
			for seal, want := range map[string]string{"": line.classes[i], "none": "unknown", "forged": "unknown"} {
				d.g.always(reply{status: line.status, body: `{"code":"` + code + `","message":"why"}`, seal: seal})
				got, err := call.make(d.t, d.c)
				if got != want {
					all = append(all, fmt.Sprintf("%s %d %s%s: %s, not %s", code, line.status, call.name, seal, got, want))
				}
				if err != nil {
					assert.Emptyf(d.t, d.wrongClaim(err, seal, line.classes[i]), "%s %d %s", code, line.status, call.name)
				}
			}
		}
	}
	return all
}

// wrongClaim reports a claim where there may be none: a forged answer claims nothing, and an unsigned one no more than the
// line's class would have said.
func (d codeDesk) wrongClaim(err error, seal, class string) string {
	claim := lostOf(d.t, err).Claim
	said := map[string]payflow.OutcomeKind{string(payflow.RefundDeclined): payflow.Refused, string(payflow.RefundLater): payflow.Refused, string(payflow.NoSuchRefund): payflow.NoSuchOrder}
	if claim == "" || seal == "none" && (strings.HasPrefix(class, string(claim)) || said[class] == claim) {
		return ""
	}
	return string(claim)
}

func TestEachErrorCodeOfTheDocumentsIsTakenForWhatTheTableSays(t *testing.T) {
	atCodeDesk(t, func(d codeDesk) {
		if *updateCodes {
			d.rewrite(readCodes(t))
		}
		for _, line := range readCodes(t) {
			assert.Empty(t, d.differences(line))
		}
	})
}

func TestACodeThatNoDocumentListsIsUnknown(t *testing.T) {
	atCodeDesk(t, func(d codeDesk) {
		for _, status := range []int{400, 403, 404, 500, 503} {
			classes := []string{"unknown", "unknown", "reverse_refused", "unknown", "unknown"} // a refused reverse proves nothing, whatever the code
			if status >= 500 {
				classes[2] = "unknown"
			}
			assert.Empty(t, d.differences(codeLine{"NEVER_HEARD_OF", status, classes}))
		}
	})
}

// Each line of the table in outcome.go is given another meaning, one after the other: the file must not agree any more.
func TestEachLineOfTheOutcomeTableIsHeldByTheFile(t *testing.T) {
	atCodeDesk(t, func(d codeDesk) {
		lines := readCodes(t)
		for code, was := range payCodes {
			payCodes[code] = meaning{payflow.NoSuchOrder, "planted"}
			assert.NotEmptyf(t, d.differencesOf(lines, code), "payCodes[%s] may say anything", code)
			delete(payCodes, code)
			assert.NotEmptyf(t, d.differencesOf(lines, code), "payCodes[%s] may go", code)
			payCodes[code] = was
		}
		for code, was := range refundCodes {
			refundCodes[code] = "planted"
			assert.NotEmptyf(t, d.differencesOf(lines, code), "refundCodes[%s] may say anything", code)
			delete(refundCodes, code)
			assert.NotEmptyf(t, d.differencesOf(lines, code), "refundCodes[%s] may go", code)
			refundCodes[code] = was
		}
		for name, set := range map[string]map[string]bool{"absentCodes": absentCodes, "tooLateCodes": tooLateCodes, "absentRefundCodes": absentRefundCodes} {
			for code := range set {
				set[code] = false
				assert.NotEmptyf(t, d.differencesOf(lines, code), "%s[%s] may go", name, code)
				set[code] = true
			}
		}
	})
}

// And each class of the file is changed: the client must not agree with it.
func TestEachClassOfTheFileIsComparedWithTheClient(t *testing.T) {
	atCodeDesk(t, func(d codeDesk) {
		for _, line := range readCodes(t) {
			for i := range line.classes {
				planted := codeLine{line.code, line.status, append([]string(nil), line.classes...)}
				planted.classes[i] = "planted"
				got := d.signed(line, i)
				assert.NotEqual(t, planted.classes[i], got)
				assert.Equal(t, line.classes[i], got)
			}
		}
	})
}

func (d codeDesk) signed(line codeLine, call int) (class string) {
	d.g.always(reply{status: line.status, body: `{"code":"` + line.code + `"}`})
	class, _ = codeCalls[call].make(d.t, d.c)
	return class
}

// differencesOf is differences for the lines of one code, signed and in one spelling.
func (d codeDesk) differencesOf(lines []codeLine, code string) (all []string) {
	for _, line := range lines {
		if normalCode(line.code) != code {
			continue
		}
		for i := range line.classes {
			if d.signed(line, i) != line.classes[i] {
				all = append(all, line.code)
			}
		}
	}
	return all
}

func (d codeDesk) rewrite(lines []codeLine) {
	d.t.Helper()
	text, err := os.ReadFile(codesFile)
	require.NoError(d.t, err)
	head, _, _ := strings.Cut(string(text), "\n\n")
	var b strings.Builder
	b.WriteString(head + "\n\n")
	for _, line := range lines {
		fmt.Fprintf(&b, "%-30s %d", line.code, line.status)
		for i := range codeCalls {
			fmt.Fprintf(&b, "  %s", d.signed(line, i))
		}
		b.WriteString("\n")
	}
	require.NoError(d.t, os.WriteFile(codesFile, []byte(b.String()), 0o644))
}
