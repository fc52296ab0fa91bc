package till

import (
	"regexp"
	"strings"

	"posagent/payflow"
)

var (
	digitRuns = regexp.MustCompile(`[0-9]+`)
	tokenText = regexp.MustCompile(`(?i)` + tokenStart + `[0-9a-z_-]{43}`)
)

// holdsCode reports whether a text holds what may be a customer's payment code: a run of exactly 18 digits that begins as one of
// prefixes (nil: the default list). Such a text is refused wherever no code belongs, because a sale's reference, a note or a key is
// journaled, shown and printed.
func holdsCode(text string, prefixes []string) bool {
	for _, run := range digitRuns.FindAllString(text, -1) {
		if payflow.KindOfCode(run, "", prefixes) == payflow.CodeWeChat {
			return true
		}
	}
	return false
}

// holdsToken reports whether a text holds a token of a till, this one's or another's.
func holdsToken(text string) bool { return tokenText.MatchString(text) }

// maskDigits hides every run of 18 digits, for texts of others that go to the log.
func maskDigits(text string) string {
	return digitRuns.ReplaceAllStringFunc(text, func(run string) string {
		if len(run) != payflow.AuthCodeDigits {
			return run
		}
		return strings.Repeat("*", payflow.AuthCodeDigits)
	})
}
