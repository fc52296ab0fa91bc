package payflow

import (
	"errors"
	"fmt"
	"strings"
)

// AuthCodeDigits is the length of a WeChat Pay payment code ("a number of 18 digits", Quick Pay guide).
const AuthCodeDigits = 18

// DefaultCodePrefixes are the first digits of WeChat Pay payment codes: 10 to 14 in the mainland wallet, 15 in
// the Hong Kong one. A store where fusion-wallet codes are seen adds "160".
func DefaultCodePrefixes() []string { return []string{"10", "11", "12", "13", "14", "15"} }

// AuthCode is a customer's payment code: one minute of spending power, so it is a secret. It prints masked, never
// marshals, and is never written down. Only a *wxclient* puts its digits on the wire, by Reveal.
type AuthCode struct{ digits string }

// CodeKind names what a scanned text is, so that the cashier is told "this is an Alipay code" and not "invalid".
type CodeKind string

// The kinds of code that a till's scanner meets.
const (
	CodeWeChat      CodeKind = "wechat"
	CodeAlipay      CodeKind = "alipay"       // 16 to 24 digits beginning 25 to 30
	CodeUnionPay    CodeKind = "unionpay"     // 19 digits beginning 62
	CodeGoods       CodeKind = "goods"        // EAN-8, EAN-13, UPC-A with a good check digit, or a GS1 label
	CodeMerchantOwn CodeKind = "merchant_own" // the merchant's static collection code (a wxp:// or https address)
	CodeWrongLength CodeKind = "wrong_length" // digits only, but no code we know of
	CodeNotDigits   CodeKind = "not_digits"   // anything else
	CodeWrongPrefix CodeKind = "wrong_prefix" // 18 digits that begin otherwise than a WeChat Pay code
	CodeNothing     CodeKind = "nothing"      // an empty scan
	scanTextMax              = 512            // bytes that are looked at to name a wrong code
)

// WrongCodeError says what a scanned text is when it is no WeChat Pay payment code. It holds no digit of it.
type WrongCodeError struct{ Kind CodeKind }

func (e *WrongCodeError) Error() string {
	return "not a WeChat Pay payment code (" + string(e.Kind) + "); ask the customer to open WeChat, Me, Pay, and scan that code"
}

// ParseAuthCode returns the payment code in text: exactly 18 ASCII digits beginning with one of prefixes (nil: the
// default list). aim is the scanner's AIM identifier without its bracket ("Q1", "C0"), or empty; a goods label's
// identifier refuses even 18 digits. Any error is a *WrongCodeError that names what was scanned instead.
func ParseAuthCode(text, aim string, prefixes []string) (AuthCode, error) {
	if kind := KindOfCode(text, aim, prefixes); kind != CodeWeChat {
		return AuthCode{}, &WrongCodeError{Kind: kind}
	}
	return AuthCode{digits: text}, nil
}

// KindOfCode names what a scanned text is. It looks at no more than the first 512 bytes.
func KindOfCode(text, aim string, prefixes []string) CodeKind {
	if len(text) > scanTextMax {
		text = text[:scanTextMax]
	}
	if prefixes == nil {
		prefixes = DefaultCodePrefixes()
	}
	switch {
	case text == "":
		return CodeNothing
	case merchantOwn(text):
		return CodeMerchantOwn
	case !digitsOnly(text):
		return CodeNotDigits
	case goodsLabel(aim):
		return CodeGoods
	case len(text) == AuthCodeDigits && hasPrefixOf(text, prefixes):
		return CodeWeChat
	case len(text) >= 16 && len(text) <= 24 && text[:2] >= "25" && text[:2] <= "30":
		return CodeAlipay
	case len(text) == 19 && text[:2] == "62":
		return CodeUnionPay
	case (len(text) == 8 || len(text) == 12 || len(text) == 13) && goodsCheckDigit(text):
		return CodeGoods
	case len(text) == AuthCodeDigits:
		return CodeWrongPrefix
	}
	return CodeWrongLength
}

// goodsLabel reports AIM identifiers that no wallet shows: EAN and UPC, GS1-128 (its SSCC has 18 digits).
func goodsLabel(aim string) bool {
	return strings.HasPrefix(aim, "E") || aim == "C1" || aim == "e0"
}

func merchantOwn(text string) bool {
	lower := strings.ToLower(text)
	return strings.HasPrefix(lower, "wxp://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://")
}

func hasPrefixOf(text string, prefixes []string) bool {
	for _, p := range prefixes {
		if p != "" && strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

func goodsCheckDigit(text string) bool {
	sum := 0
	for i := range len(text) {
		digit := int(text[len(text)-1-i] - '0')
		if i%2 == 1 {
			digit *= 3
		}
		sum += digit
	}
	return sum%10 == 0
}

// Reveal returns the 18 digits, to be put on the wire or hashed and nowhere else.
func (c AuthCode) Reveal() string { return c.digits }

// IsZero reports that there is no code.
func (c AuthCode) IsZero() bool { return c.digits == "" }

// Tail returns the last four digits, which journal, page and receipt may show.
func (c AuthCode) Tail() string {
	if len(c.digits) < 4 {
		return ""
	}
	return c.digits[len(c.digits)-4:]
}

// String masks the code: only its last four digits are shown.
func (c AuthCode) String() string {
	if c.IsZero() {
		return "(no code)"
	}
	return "**************" + c.Tail()
}

// GoString masks the code as String does, so that %#v shows no digit more.
func (c AuthCode) GoString() string { return "payflow.AuthCode(" + c.String() + ")" }

// Format masks the code under every verb, as String does.
func (c AuthCode) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

var errAuthCodeMarshals = errors.New("payflow: a payment code is never written down")

// MarshalJSON refuses: a payment code never leaves by a record, a log or an answer.
func (c AuthCode) MarshalJSON() ([]byte, error) { return nil, errAuthCodeMarshals }

// MarshalText refuses, as MarshalJSON does.
func (c AuthCode) MarshalText() ([]byte, error) { return nil, errAuthCodeMarshals }

// MarshalBinary refuses, as MarshalJSON does.
func (c AuthCode) MarshalBinary() ([]byte, error) { return nil, errAuthCodeMarshals }
