package payflow

import (
	"fmt"
	"strconv"
	"strings"
)

// Currency is an ISO 4217 code that WeChat Pay lists for cross-border payments.
type Currency string

// AmountMax is the largest amount that one order may carry, in minor units. It is our own bound, far
// above any till's sale, so that a slip of the hand or a program cannot overflow a total.
const AmountMax int64 = 100_000_000_00

// currencyDecimals says how many decimals each currency's minor unit has (ISO 4217). WeChat Pay publishes no
// such table; see "Minor units" in docs/wechat-pay.md. A currency that is not here is refused.
var currencyDecimals = map[Currency]int{
	"AED": 2, "AUD": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HKD": 2,
	"HUF": 2, "IDR": 2, "ISK": 0, "JPY": 0, "KHR": 2, "KRW": 0, "MNT": 2, "MOP": 2, "MYR": 2, "NOK": 2,
	"NZD": 2, "PHP": 2, "QAR": 2, "RUB": 2, "SEK": 2, "SGD": 2, "THB": 2, "TRY": 2, "TWD": 2, "USD": 2,
}

// currencySign is what stands before an amount on screen and receipt, where it differs from the code.
var currencySign = map[Currency]string{
	"HKD": "HK$", "CNY": "¥", "USD": "US$", "EUR": "€", "GBP": "£", "JPY": "JP¥", "KRW": "₩", "TWD": "NT$",
	"SGD": "S$", "AUD": "A$", "CAD": "C$", "NZD": "NZ$", "THB": "฿", "MOP": "MOP$", "PHP": "₱", "MYR": "RM",
}

// ParseCurrency returns the currency for an ISO 4217 code in capitals, or an error for one that is not in
// the visible table.
func ParseCurrency(code string) (Currency, error) {
	c := Currency(code)
	if _, ok := currencyDecimals[c]; !ok {
		return "", fmt.Errorf("currency %.8q is not one that WeChat Pay lists; write for example \"HKD\"", code)
	}
	return c, nil
}

// Currencies returns the table of currencies that are accepted, each with its number of decimals.
func Currencies() map[Currency]int {
	table := make(map[Currency]int, len(currencyDecimals))
	for c, decimals := range currencyDecimals {
		table[c] = decimals
	}
	return table
}

// Decimals returns the number of decimals of the currency's minor unit: 2 for HKD, 0 for JPY.
func (c Currency) Decimals() int { return currencyDecimals[c] }

// Amount is money: a whole number of minor units (cents, fen, yen) of one currency. No float ever touches it.
type Amount struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// NewAmount returns an amount of 1 to AmountMax minor units, or an error that says which bound was broken.
func NewAmount(minor int64, currency string) (Amount, error) {
	c, err := ParseCurrency(currency)
	if err != nil {
		return Amount{}, err
	}
	if minor < 1 || minor > AmountMax {
		return Amount{}, fmt.Errorf("amount %d is not between 1 and %d minor units; WeChat Pay takes no empty payment", minor, AmountMax)
	}
	return Amount{Minor: minor, Currency: c}, nil
}

// ParseAmount reads what a cashier types in major units, such as "12.50" or "12", exactly: never more decimals
// than the currency has, no sign, no exponent.
func ParseAmount(text, currency string) (Amount, error) {
	c, err := ParseCurrency(currency)
	if err != nil {
		return Amount{}, err
	}
	whole, fraction, dotted := strings.Cut(text, ".")
	if !digitsOnly(whole) || len(whole) > 10 || (dotted && !digitsOnly(fraction)) || len(fraction) > c.Decimals() {
		return Amount{}, fmt.Errorf("%.20q is not an amount of %s; write for example %q", text, c, Amount{1250, c}.Major())
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", c.Decimals()-len(fraction)), 10, 64)
	if err != nil {
		return Amount{}, fmt.Errorf("read amount %.20q: %w", text, err)
	}
	return NewAmount(minor, currency)
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Major returns the amount in major units without the currency: 1250 HKD is "12.50", 1250 JPY is "1250".
func (a Amount) Major() string {
	decimals := a.Currency.Decimals()
	sign, minor := "", a.Minor
	if minor < 0 {
		sign, minor = "-", -minor
	}
	digits := strconv.FormatInt(minor, 10)
	if decimals == 0 {
		return sign + digits
	}
	if len(digits) <= decimals {
		digits = strings.Repeat("0", decimals+1-len(digits)) + digits
	}
	return sign + digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
}

// String returns the amount as a person reads it: "HK$ 12.50", "CHF 3.00".
func (a Amount) String() string {
	sign, ok := currencySign[a.Currency]
	if !ok {
		sign = string(a.Currency)
	}
	return sign + " " + a.Major()
}
