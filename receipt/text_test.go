package receipt

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

var update = flag.Bool("update", false, "write the golden slips anew")

// hongKong is a fixed zone: the test needs no zone files.
var hongKong = time.FixedZone("HKT", 8*3600)

func languages() []string { return []string{"en", "zh-Hans", "zh-Hant"} }

func saturday() time.Time { return time.Date(2026, 11, 28, 9, 30, 5, 0, time.UTC) }

// aSale is HK$ 12.50 at the till T1, sent and not decided.
func aSale() payflow.Entry {
	e := payflow.Entry{StoreDay: "2026-11-28"}
	e.Order = payflow.Order{OutTradeNo: "SZTX001T1261128000042AB12C9", Amount: payflow.Amount{Minor: 1250, Currency: "HKD"},
		SaleRef: "A-1001", Attempt: 1, Description: "Milk tea 奶茶 x2", Operator: "P001",
		Store: payflow.Store{ID: "SZTX001", Name: "Tencent Building Branch 騰訊大廈店", Address: "Nanshan District, Shenzhen", Till: "T1"}}
	e.Status, e.Reason, e.CodeTail = payflow.Confirming, payflow.ReasonUnknown, "6789"
	return e
}

func ended(status payflow.Status, reason payflow.Reason) payflow.Entry {
	e := aSale()
	e.Status, e.Reason, e.FinalAt = status, reason, saturday().Add(3*time.Second)
	return e
}

func paid() payflow.Entry {
	e := ended(payflow.Paid, payflow.ReasonPaid)
	e.Trade = payflow.Trade{State: payflow.TradeSuccess, TransactionID: "4200000000202611280000000001", SuccessTime: saturday(),
		PayerAmount: payflow.Amount{Minor: 1150, Currency: "CNY"}, RateType: "SETTLEMENT_RATE", Rate: 92_000_000}
	return e
}

func reversing() payflow.Entry {
	e := aSale()
	e.Status, e.Reason, e.ReversingAt = payflow.Reversing, payflow.ReasonTakingBack, saturday()
	return e
}

func refunded() payflow.Entry {
	e := ended(payflow.Reversed, payflow.ReasonRefunded)
	e.MoneySeen, e.Trade = true, payflow.Trade{State: payflow.TradeRevoked, TransactionID: "4200000000202611280000000002"}
	return e
}

func paidLate() payflow.Entry {
	e := ended(payflow.Reversed, payflow.ReasonNeverArrived)
	e.Links = []payflow.Link{{Kind: "late_success", At: saturday()}}
	return e
}

func needsManager() payflow.Entry {
	e := reversing()
	e.Attention = payflow.AttentionReverseRefused
	return e
}

// slips are the cases that a person has looked at on paper.
func slips() map[string]payflow.Entry {
	return map[string]payflow.Entry{
		"paid": paid(), "declined": ended(payflow.Declined, payflow.ReasonCodeExpired), "reversing": reversing(),
		"reversed": ended(payflow.Reversed, payflow.ReasonClosed), "refunded": refunded(), "never-arrived": ended(payflow.Reversed, payflow.ReasonNeverArrived), "paid-late": paidLate(),
		"needs-manager": needsManager(),
	}
}

func text(t *testing.T, e payflow.Entry, o Options) string {
	t.Helper()
	slip, err := Text(e, o)
	require.NoError(t, err)
	return slip
}

func TestSlipsLookAsApproved(t *testing.T) {
	for name, e := range slips() {
		for _, language := range languages() {
			for file, o := range map[string]Options{
				name + "." + language + ".48":         {Location: hongKong, Language: language},
				name + "." + language + ".32.reprint": {Location: hongKong, Language: language, Width: WidthNarrow, Copy: Store, Reprint: true},
			} {
				assertGolden(t, file+".txt", text(t, e, o))
			}
		}
	}
}

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update, and look at what it writes")
	assert.Equal(t, string(want), got, name)
}

func TestOnlyAPaidPaymentSaysPaid(t *testing.T) {
	not := map[string]string{"en": "NOT PAID", "zh-Hans": "未付款", "zh-Hant": "未付款"}
	for name, e := range slips() {
		for _, language := range languages() {
			slip := text(t, e, Options{Language: language})
			says := strings.Contains(slip, " "+labelsOf[language].paid+"\n")
			assert.Equal(t, name == "paid", says, "%s in %s", name, language)
			assert.Equal(t, name != "paid", strings.Contains(slip, not[language]), "%s in %s", name, language)
		}
	}
}

func TestAReversedSlipSaysWhenMoneyReturns(t *testing.T) {
	for _, e := range []payflow.Entry{reversing(), refunded(), ended(payflow.Reversed, payflow.ReasonClosed), ended(payflow.Reversed, payflow.ReasonNeverArrived)} {
		for _, language := range languages() {
			slip := strings.ReplaceAll(text(t, e, Options{Language: language}), "\n", "")
			assert.Contains(t, slip, "20 ", "the wallet")
			assert.Contains(t, slip, "5 ", "the bank")
		}
	}
	assert.Contains(t, text(t, refunded(), Options{}), "4200000000202611280000000002", "the customer's bill shows it")
}

func TestASlipPromisesNothingThatAPersonMustDecide(t *testing.T) {
	for _, e := range []payflow.Entry{needsManager(), paidLate()} {
		slip := text(t, e, Options{})
		assert.Contains(t, slip, "manager must look")
		assert.NotContains(t, slip, "20 minutes")
		assert.NotContains(t, slip, "othing was charged")
	}
	declined := ended(payflow.Declined, payflow.ReasonRefused)
	declined.Attention = payflow.AttentionLateSuccess
	assert.NotContains(t, text(t, declined, Options{}), "othing was charged")
}

func TestAnUndecidedOrUnsentPaymentHasNoSlip(t *testing.T) {
	for _, status := range []payflow.Status{payflow.Waiting, payflow.Paying, payflow.Confirming, payflow.Cancelled, "new"} {
		e := paid()
		e.Status = status
		slip, err := Text(e, Options{})
		assert.ErrorIs(t, err, ErrNoSlip, status)
		assert.Empty(t, slip)
	}
}

func TestOptionsOutOfBoundsAreNamed(t *testing.T) {
	for wrong, o := range map[string]Options{"width 23": {Width: 23}, "width 81": {Width: 81}, "copy": {Copy: "tax"}, "language": {Language: "fr"}} {
		_, err := Text(paid(), o)
		assert.ErrorContains(t, err, wrong)
	}
}

func TestOptionsGoBeforeWhatThePaymentKnows(t *testing.T) {
	slip := text(t, paid(), Options{Store: "Harbour Shop", Address: "1 Pier Road", Till: "T9"})
	for _, want := range []string{"Harbour Shop", "1 Pier Road", "T9", "CUSTOMER COPY"} {
		assert.Contains(t, slip, want)
	}
	assert.NotContains(t, slip, "Tencent")
}

func TestTheTimeIsTheStores(t *testing.T) {
	assert.Contains(t, text(t, paid(), Options{Location: hongKong}), "2026-11-28 17:30:05 +08:00")
	assert.Contains(t, text(t, paid(), Options{}), "2026-11-28 09:30:05 +00:00")
}

func TestAReprintSaysSo(t *testing.T) {
	assert.Equal(t, 2, strings.Count(text(t, paid(), Options{Reprint: true}), "*** REPRINT ***"))
	assert.NotContains(t, text(t, paid(), Options{}), "REPRINT")
}

func TestTheRateIsShownAsItCame(t *testing.T) {
	for scaled, shown := range map[int64]string{92_000_000: "0.92", 8_000_000: "0.08", 100_000_000: "1", 123_456_789_012: "1234.56789012", 1: "0.00000001"} {
		e := paid()
		e.Trade.Rate, e.Trade.RateType = scaled, "USERPAYMENT_RATE"
		assert.Contains(t, text(t, e, Options{}), " "+shown+" USERPAYMENT_RATE\n")
	}
	same := paid()
	same.Trade.PayerAmount = payflow.Amount{Minor: 1250, Currency: "HKD"}
	assert.NotContains(t, text(t, same, Options{}), "Rate")
}

func TestACurrencyThatIsNotKnownIsNotGuessedAt(t *testing.T) {
	e := paid()
	e.Trade.PayerAmount = payflow.Amount{Minor: 1150, Currency: "XXX"}
	slip := text(t, e, Options{})
	assert.NotContains(t, slip, "Customer paid")
	assert.NotContains(t, slip, "XXX")
}

func TestAnothersTransactionIsNotOnTheSlip(t *testing.T) {
	e := refunded()
	e.Stranger = payflow.Another
	assert.NotContains(t, text(t, e, Options{}), string(e.Trade.TransactionID))
}

// Every text from outside is hostile here: it commands the printer, turns the direction about, and holds a payment code.
func TestTextFromOutsideCommandsNothingAndShowsNoCode(t *testing.T) {
	const code = "134567890123456789"
	evil := "\x1b@\x1dV\x00a\u202e\u200bb\r\n\xff" + code + "\u2028PAID"
	e := paid()
	e.SaleRef, e.Description, e.Operator = payflow.SaleRef(evil), evil, evil
	e.OutTradeNo, e.Trade.TransactionID, e.Trade.RateType = payflow.OutTradeNo(evil), payflow.TransactionID(evil), evil
	for _, width := range []int{WidthMin, WidthNarrow, WidthMiddle, WidthWide, WidthMax} {
		slip := text(t, e, Options{Store: evil, Address: evil, Till: evil, Width: width})
		assertFitsPaper(t, slip, width)
		flat := strings.Join(strings.Fields(slip), "")
		assert.NotContains(t, flat, code)
		assert.NotContains(t, slip, "6789", "the code's tail is for the screen")
	}
}

func assertFitsPaper(t *testing.T, slip string, width int) {
	t.Helper()
	require.True(t, utf8.ValidString(slip))
	for line := range strings.Lines(slip) {
		line = strings.TrimSuffix(line, "\n")
		assert.LessOrEqual(t, cells(line), width, "%q", line)
		assert.Equal(t, -1, strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", line)
	}
}

func TestEverySlipFitsItsPaper(t *testing.T) {
	for _, e := range slips() {
		for _, language := range languages() {
			for _, width := range []int{WidthMin, WidthNarrow, WidthMiddle, WidthWide, WidthMax} {
				assertFitsPaper(t, text(t, e, Options{Language: language, Width: width, Location: hongKong}), width)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("Milk tea 奶茶", "\x1b@", 0)
	f.Add(strings.Repeat("茶", 200), "e\u0301"+strings.Repeat("\u0301", 40), 1)
	f.Fuzz(func(t *testing.T, one, two string, n int) {
		widths := []int{WidthNarrow, WidthMiddle, WidthWide}
		width := widths[((n%3)+3)%3]
		e := paid()
		e.Description, e.Operator, e.SaleRef, e.Trade.RateType = one, two, payflow.SaleRef(one+two), two
		assertFitsPaper(t, text(t, e, Options{Store: two, Address: one, Width: width}), width)
	})
}
