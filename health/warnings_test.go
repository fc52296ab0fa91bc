package health

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryWarningIsWholeInEveryLanguage(t *testing.T) {
	for _, w := range All() {
		t.Run(string(w.Code), func(t *testing.T) {
			assert.Regexp(t, `^[a-z0-9]+(_[a-z0-9]+)*$`, string(w.Code))
			assert.Contains(t, []Severity{Info, Warn, Red}, w.Severity)
			assert.NotEmpty(t, w.Readers, "who sees it")
			for _, words := range []Words{w.Title, w.NextStep} {
				assert.NotEmpty(t, words.EN)
				assert.True(t, hasHan(words.ZhHans), "zh-Hans: %q", words.ZhHans)
				assert.True(t, hasHan(words.ZhHant), "zh-Hant: %q", words.ZhHant)
				assert.NotEqual(t, words.ZhHans, words.ZhHant)
			}
			assert.LessOrEqual(t, len(w.Title.EN), 110, "a title is one line")
			assert.False(t, strings.HasSuffix(w.Title.EN, "."), "a title is no sentence of several")
			assert.LessOrEqual(t, w.VisibleAfter, 10*time.Second)
		})
	}
}

func TestCommandsInANextStepAreTheSameInEveryLanguage(t *testing.T) {
	for _, w := range All() {
		for _, command := range []string{"posagent check", "posagent journal verify", "timedatectl set-ntp true", "systemctl restart posagent", "merchant_id", "chmod 600 FILE"} {
			in := strings.Contains(w.NextStep.EN, command)
			assert.Equal(t, in, strings.Contains(w.NextStep.ZhHans, command), "%s: %s", w.Code, command)
			assert.Equal(t, in, strings.Contains(w.NextStep.ZhHant, command), "%s: %s", w.Code, command)
		}
	}
}

// What a cashier reads is for cashiers: no command, no path, no setting, and whom to call.
func TestWhatACashierDoesNamesNoCommandAndWhomToCall(t *testing.T) {
	for _, w := range All() {
		step := w.CashierStep()
		assert.Regexp(t, `the manager \(M\)\.$`, step.EN, w.Code)
		assert.Regexp(t, `店长（M）。$`, step.ZhHans, w.Code)
		assert.Regexp(t, `經理（M）。$`, step.ZhHant, w.Code)
		for _, text := range []string{step.EN, step.ZhHans, step.ZhHant} {
			assert.NotRegexp(t, `posagent|ctl |chmod|chown|udev|/dev/|\.pem|\.rules|_id|=`, text, w.Code)
		}
		if w.For(Cashier) {
			assert.NotContains(t, step.EN, "If payments still go through", "%s is shown to cashiers: say what they do", w.Code)
		}
		if strings.HasPrefix(w.NextStep.EN, "Take cash.") {
			assert.Regexp(t, `take cash|Take cash`, step.EN, w.Code)
		}
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// A character of the other script in a text means that it was copied and not written.
func TestScriptsAreNotMixed(t *testing.T) {
	const hansOnly, hantOnly = "网络应断检单证时钟误书码枪请开还户账销页这种从现据达钥显",
		"網絡應斷檢單證時鐘誤書碼槍請開還戶帳銷頁這種從現據達鑰顯"
	for _, w := range All() {
		for _, words := range []Words{w.Title, w.NextStep} {
			assert.False(t, strings.ContainsAny(words.ZhHans, hantOnly), words.ZhHans)
			assert.False(t, strings.ContainsAny(words.ZhHant, hansOnly), words.ZhHant)
		}
	}
}

// Every constant of codes.go must be on the list, once, and nothing else.
func TestCodesAndListAgree(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	require.NoError(t, err)
	constants := map[Code]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			text, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			constants[Code(text)] = true
		}
		return true
	})
	listed := map[Code]bool{}
	for _, w := range All() {
		assert.False(t, listed[w.Code], "%s stands twice", w.Code)
		listed[w.Code] = true
	}
	assert.Equal(t, constants, listed)
}

func TestWhoSeesWhat(t *testing.T) {
	noNetwork, _ := Find(GatewayUnreachable)
	assert.True(t, noNetwork.For(Cashier))
	keyWrong, _ := Find(KeyMismatch)
	assert.False(t, keyWrong.For(Cashier), "a cashier can do nothing about a key")
	for _, w := range All() {
		if w.Severity == Red && strings.HasPrefix(w.NextStep.EN, "Take cash.") {
			assert.True(t, w.For(Cashier), "%s tells to take cash, so the cashier must see it", w.Code)
		}
	}
}

func TestExpiryNotices(t *testing.T) {
	for days, want := range map[int]Code{
		61: "", 60: Certificate60Days, 31: Certificate60Days, 30: Certificate30Days, 15: Certificate30Days, 14: Certificate14Days,
		8: Certificate14Days, 7: Certificate7Days, 2: Certificate7Days, 1: Certificate1Day, 0: Certificate1Day, -1: CertificateExpired,
	} {
		code, due := ExpiryCode(days)
		assert.Equal(t, want, code, "%d days left", days)
		assert.Equal(t, want != "", due)
	}
}

func TestWordsInALanguage(t *testing.T) {
	w := Words{"a", "b", "c"}
	assert.Equal(t, []string{"a", "b", "c", "a"}, []string{w.In("en"), w.In("zh-Hans"), w.In("zh-Hant"), w.In("fr")})
}
