package till

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"posagent/payflow"
)

// PoleRule says where on a pole display the total stands, and what number it is.
type PoleRule struct {
	Words    []string // what stands before a total; a letter before the word makes it another (SUBTOTAL). nil: PoleWords
	NotWords []string // where one of these stands too, there is no total to be paid. nil: PoleNotWords
	Pattern  string   // a regular expression with the group amount, and perhaps receipt, in place of Words; "": Words
	Decimal  string   // "." or ","; "": "."
	Minor    bool     // the display shows minor units, without a point
	Most     int64    // the largest total, in minor units; 0: payflow.AmountMax
	Currency payflow.Currency
}

// PoleWords are the words that stand before a total where nothing else is configured.
func PoleWords() []string {
	return []string{"TOTAL", "AMOUNT DUE", "BALANCE DUE", "TO PAY", "合計", "合计", "總計", "总计", "應付", "应付", "應收", "应收"}
}

// PoleNotWords are the words of a display that shows no total to be paid: the sale is over, or is not one, or is not added up yet.
func PoleNotWords() []string {
	return []string{"CHANGE", "REFUND", "VOID", "SUBTOTAL", "SUB-TOTAL", "SUB TOTAL", "找續", "找续", "找零", "退款", "小計", "小计"}
}

// poleTotal is a total that was found.
type poleTotal struct {
	amount  payflow.Amount
	receipt string // the till's own number of the sale, where the rule finds one; "": none
}

// poleFinder is a rule that is ready for use.
type poleFinder struct {
	rule    PoleRule
	pattern *regexp.Regexp
	sign    *regexp.Regexp // of the till's money, at the end of a row
}

const (
	poleRuleMax   = 512 // bytes of a rule
	poleGroup     = "amount"
	poleReceipt   = "receipt"
	poleNumber    = `[0-9][0-9.,]*`
	poleBetween   = `[^\pN\pL\p{Sc}\p{Pd}−(-]{0,40}?` // between word and number: blanks, a colon, the end of the line
	poleLetter    = `(?:^|[^\pL-])`
	poleDigitsMax = 12
)

// CheckPoleRule says whether a regular expression serves as a rule.
func CheckPoleRule(pattern string) error {
	_, err := compilePoleRule(pattern)
	return err
}

func compilePoleRule(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > poleRuleMax {
		return nil, fmt.Errorf("a rule has at most %d bytes", poleRuleMax)
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("read the rule: %w", err)
	}
	if compiled.SubexpIndex(poleGroup) < 0 {
		return nil, errors.New("the rule has no group named amount, (?P<amount>…)")
	}
	return compiled, nil
}

func newPoleFinder(r PoleRule) (*poleFinder, error) {
	if r.Words == nil {
		r.Words = PoleWords()
	}
	if r.NotWords == nil {
		r.NotWords = PoleNotWords()
	}
	if r.Decimal == "" {
		r.Decimal = "."
	}
	if r.Most == 0 {
		r.Most = payflow.AmountMax
	}
	pattern := r.Pattern
	if pattern == "" {
		words := make([]string, len(r.Words))
		for i, w := range r.Words {
			words[i] = regexp.QuoteMeta(w)
		}
		pattern = `(?i)` + poleLetter + `(?:` + strings.Join(words, "|") + `)` + poleBetween + `(?:` + poleSign(r.Currency) + `)?` + poleBetween + `(?P<amount>` + poleNumber + `)`
	}
	compiled, err := compilePoleRule(pattern)
	if r.Pattern == "" && err != nil { // many words make a long rule
		compiled, err = regexp.Compile(pattern)
	}
	return &poleFinder{r, compiled, regexp.MustCompile(`(?i)^\s*(?:` + poleSign(r.Currency) + `|元|圓|円|원)\s*$`)}, err
}

// find returns the total on a display. Two different ones are none: nobody could say which is meant.
func (f *poleFinder) find(text string) (poleTotal, bool) {
	upper := strings.ToUpper(text)
	for _, not := range f.rule.NotWords {
		if strings.Contains(upper, strings.ToUpper(not)) {
			return poleTotal{}, false
		}
	}
	group, receipt := f.pattern.SubexpIndex(poleGroup), f.pattern.SubexpIndex(poleReceipt)
	var found poleTotal
	some := false
	for _, at := range f.pattern.FindAllStringSubmatchIndex(text, -1) {
		from, to := at[2*group], at[2*group+1]
		if from < 0 || partOfMore(text, from, to) || f.rule.Pattern == "" && (f.goesOn(text[to:]) || f.bareBeside(text, from, to)) {
			return poleTotal{}, false
		}
		amount, ok := f.amount(text[from:to])
		if !ok || some && amount != found.amount {
			return poleTotal{}, false
		}
		found.amount, some = amount, true
		if receipt >= 0 && at[2*receipt] >= 0 {
			found.receipt = poleReceiptOf(text[at[2*receipt]:at[2*receipt+1]])
		}
	}
	return found, some
}

// partOfMore reports a number with a sign, or one that goes on.
func partOfMore(text string, from, to int) bool {
	return from > 0 && strings.ContainsRune("-0123456789.,", rune(text[from-1])) || to < len(text) && strings.ContainsRune("-0123456789%", rune(text[to]))
}

// poleSigns are the signs of money that stand at an amount, beside each currency's code. Another currency's amount is no total here.
var poleSigns = map[payflow.Currency]string{
	"HKD": `HK\$?|\$`, "USD": `US\$?|\$`, "MOP": `MOP\$?|\$`, "TWD": `NT\$?|\$`, "SGD": `S\$?|\$`, "AUD": `AU?\$?|\$`, "CAD": `CA?\$?|\$`, "NZD": `NZ\$?|\$`,
	"CNY": `RMB|¥|￥`, "JPY": `JP¥|¥|￥`, "EUR": `€`, "GBP": `£`, "KRW": `₩`, "THB": `฿`,
}

func poleSign(c payflow.Currency) string {
	sign := regexp.QuoteMeta(string(c)) + `\$?`
	if more := poleSigns[c]; more != "" {
		sign += "|" + more
	}
	return sign
}

// poleAfter is what may stand behind a total on its row: nothing, or the sign of its money.
var poleAfter = regexp.MustCompile(`^[^\pN\pL\p{Sc}\p{Pd}−)]*$`)

// goesOn reports a row that goes on behind the number: "3 ITEMS", "1 250.00", "1'250.00", "(12.50)", "12.50 CR" are no totals.
func (f *poleFinder) goesOn(rest string) bool {
	row, _, _ := strings.Cut(rest, "\n")
	return !poleAfter.MatchString(f.sign.ReplaceAllString(row, ""))
}

// bareBeside reports a number without decimals on a display that shows another one with them: it counts something.
func (f *poleFinder) bareBeside(text string, from, to int) bool {
	mark := f.rule.Decimal
	if f.rule.Minor || f.rule.Currency.Decimals() == 0 || strings.Contains(text[from:to], mark) {
		return false
	}
	return regexp.MustCompile(`[0-9]` + regexp.QuoteMeta(mark) + `[0-9]`).MatchString(text[:from] + "\n" + text[to:])
}

// amount reads a number exactly. With more than one reading it is none.
func (f *poleFinder) amount(text string) (payflow.Amount, bool) {
	decimals, group := f.rule.Currency.Decimals(), ","
	if f.rule.Decimal == "," {
		group = "."
	}
	whole, fraction, pointed := strings.Cut(text, f.rule.Decimal)
	if decimals == 0 { // any point groups
		whole, fraction, pointed = strings.ReplaceAll(text, f.rule.Decimal, group), "", false
	}
	whole, ok := ungrouped(whole, group)
	if !ok || pointed && (fraction == "" || len(fraction) > decimals || strings.Trim(fraction, "0123456789") != "") || f.rule.Minor && pointed {
		return payflow.Amount{}, false
	}
	if f.rule.Minor {
		decimals = 0
	}
	digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", decimals-len(fraction)), "0")
	if digits == "" || len(digits) > poleDigitsMax {
		return payflow.Amount{}, false
	}
	minor := int64(0)
	for _, d := range digits {
		minor = minor*10 + int64(d-'0')
	}
	amount, err := payflow.NewAmount(minor, string(f.rule.Currency))
	return amount, err == nil && minor <= f.rule.Most
}

// ungrouped takes the marks between thousands out, which must stand between each three digits or nowhere.
func ungrouped(whole, mark string) (string, bool) {
	parts := strings.Split(whole, mark)
	for i, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" || i > 0 && len(part) != 3 || i == 0 && len(parts) > 1 && len(part) > 3 {
			return "", false
		}
	}
	return strings.Join(parts, ""), true
}

// poleReceiptOf is a till's number of a sale, if it can stand in a sale's number here.
func poleReceiptOf(text string) string {
	if len(text) > 20 || !printable(text) {
		return ""
	}
	return text
}
