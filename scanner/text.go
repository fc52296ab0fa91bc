package scanner

import (
	"fmt"
	"unicode/utf8"
)

// Text is what was scanned. It may be a payment code, so it is a secret: however it is printed, logged or marshalled,
// only its length shows. Reveal gives the characters to the one who decides what they are.
type Text struct {
	secret *string // behind a pointer, so that a struct printed by reflection shows an address and no character
}

// NewText returns text as a secret.
func NewText(text string) Text { return Text{secret: &text} }

// Reveal returns the characters, to be judged as a code and never to be printed or kept.
func (t Text) Reveal() string {
	if t.secret == nil {
		return ""
	}
	return *t.secret
}

// Characters returns how many characters there are.
func (t Text) Characters() int { return utf8.RuneCountInString(t.Reveal()) }

// String says how long the text is.
func (t Text) String() string { return fmt.Sprintf("(%d characters)", t.Characters()) }

// GoString says how long the text is, for %#v.
func (t Text) GoString() string { return "scanner.Text" + t.String() }

// Format says how long the text is, under every verb and flag.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// MarshalText says how long the text is, in JSON too, so that a log line or an answer that holds a scan stays harmless.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
