package receipt

import (
	"strings"
	"unicode"

	"posagent/payflow"
)

// outsideMax is how many characters of one text from outside are printed; WeChat Pay's own longest field (attach) has 128 bytes.
const outsideMax = 256

// clean makes text from outside fit for paper: no control or formatting character (an escape would command a printer, a direction
// mark would turn an amount about), no blank but the plain one, nothing that may be a payment code.
func clean(text string) string {
	var b strings.Builder
	kept := 0
	for _, r := range text {
		if kept++; kept > outsideMax {
			break
		}
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		}
	}
	return maskCodes(strings.Join(strings.Fields(b.String()), " "))
}

// maskCodes blots out each run of digits as long as a payment code. The code's own prefixes are not asked: a till may know more of
// them than the default list.
func maskCodes(text string) string {
	var b strings.Builder
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		if digits == payflow.AuthCodeDigits {
			b.WriteString(strings.Repeat("*", digits))
		} else {
			b.WriteString(text[:digits])
		}
		text = text[digits:]
		next := strings.IndexAny(text, "0123456789")
		if next < 0 {
			next = len(text)
		}
		b.WriteString(text[:next])
		text = text[next:]
	}
	return b.String()
}
