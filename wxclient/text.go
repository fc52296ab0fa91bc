package wxclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"posagent/payflow"
)

// textMax is how much of WeChat Pay's own words is kept: an error's message has at most 256 characters.
const textMax = 256

// plain makes a text fit for the wire: WeChat Pay takes UTF-8 characters of one to three bytes only, so one of four
// (emoji, rare Han) becomes "?", as do bytes that are no UTF-8; control characters become blanks. The result has at
// most limit bytes, and so at most limit characters.
func plain(text string, limit int) string {
	if isPlain(text) {
		return cut(text, limit)
	}
	return cut(strings.Map(plainRune, strings.ToValidUTF8(text, "?")), limit)
}

func isPlain(text string) bool {
	for _, r := range text {
		if plainRune(r) != r || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func plainRune(r rune) rune {
	switch {
	case r > 0xFFFF:
		return '?'
	case unicode.IsControl(r):
		return ' '
	}
	return r
}

// cut shortens a text to at most limit bytes, between two characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

var errNoObject = errors.New("not one JSON object")

// plainJSON makes every text within one JSON object plain, and returns it. Numbers stay as they are written.
func plainJSON(text string) (json.RawMessage, error) {
	if isPlainObject(text) {
		return json.RawMessage(text), nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, errNoObject
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errNoObject
	}
	return json.Marshal(plainValue(object))
}

// isPlainObject reports that a text is one JSON object in which there is nothing to change: no character that may not be
// sent, not even by an escape, and no null. It saves reading the ordinary goods detail into values and back.
func isPlainObject(text string) bool {
	return strings.HasPrefix(text, "{") && !strings.Contains(text, `\`) && !strings.Contains(text, "null") && isPlain(text) && json.Valid([]byte(text))
}

func plainValue(value any) any {
	switch v := value.(type) {
	case string:
		return plain(v, len(v))
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case map[string]any:
		for key, inner := range v {
			if delete(v, key); inner != nil { // no null is sent
				v[plain(key, len(key))] = plainValue(inner)
			}
		}
	}
	return value
}

// maskText returns a text from outside as it may be kept: plain, at most limit bytes, and with the digits of what may
// be a payment code hidden. An answer may repeat what we sent, and a payment code is never written down.
func maskText(text string, limit int) string {
	return cut(maskDigits(plain(text, len(text)), len(text)), limit)
}

// maskID does the same for numbers: only a run of exactly 18 digits may be a payment code there.
func maskID(text string, limit int) string {
	return cut(maskDigits(plain(text, len(text)), payflow.AuthCodeDigits), limit)
}

// tailShown is how many digits of a hidden code stay.
const tailShown = 4

// maskDigits hides all but the last four digits of every run of 18 to most digits.
func maskDigits(text string, most int) string {
	if len(text) < payflow.AuthCodeDigits {
		return text
	}
	out := []byte(text)
	for from := 0; from < len(out); {
		to := from
		for to < len(out) && out[to] >= '0' && out[to] <= '9' {
			to++
		}
		if n := to - from; n >= payflow.AuthCodeDigits && n <= most {
			copy(out[from:to-tailShown], bytes.Repeat([]byte{'*'}, n-tailShown))
		}
		from = max(to, from+1)
	}
	return string(out)
}
