package payflow

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewAmountBounds(t *testing.T) {
	for _, minor := range []int64{1, 1250, AmountMax} {
		a, err := NewAmount(minor, "HKD")
		require.NoError(t, err)
		assert.Equal(t, Amount{Minor: minor, Currency: "HKD"}, a)
	}
	for _, minor := range []int64{0, -1, AmountMax + 1, math.MaxInt64, math.MinInt64} {
		_, err := NewAmount(minor, "HKD")
		assert.ErrorContains(t, err, "not between 1 and", "%d", minor)
	}
}

func TestUnknownCurrencyIsRefusedWithAnExample(t *testing.T) {
	for _, code := range []string{"", "hkd", "HK$", "VND", "XXX", "HKD ", "a very long currency that nobody lists"} {
		_, err := NewAmount(100, code)
		assert.ErrorContains(t, err, `write for example "HKD"`, "%q", code)
		_, err = ParseAmount("1.00", code)
		assert.Error(t, err, "%q", code)
	}
}

// The 30 currencies that WeChat Pay lists for cross-border payments, with ISO 4217's decimals.
func TestCurrencyTable(t *testing.T) {
	table := Currencies()
	assert.Len(t, table, 30)
	for c, decimals := range table {
		want := map[Currency]int{"JPY": 0, "KRW": 0, "ISK": 0}
		if _, zero := want[c]; !zero {
			want[c] = 2
		}
		assert.Equal(t, want[c], decimals, "%s", c)
		parsed, err := ParseCurrency(string(c))
		require.NoError(t, err)
		assert.Equal(t, decimals, parsed.Decimals())
	}
	table["HKD"] = 7
	assert.Equal(t, 2, Currency("HKD").Decimals(), "the table that is handed out is a copy")
}

func TestParseAmountIsExact(t *testing.T) {
	for _, row := range []struct {
		text, currency string
		minor          int64
	}{
		{"12.50", "HKD", 1250}, {"12.5", "HKD", 1250}, {"12", "HKD", 1200}, {"0.01", "HKD", 1}, {"0012.50", "HKD", 1250},
		{"1250", "JPY", 1250}, {"1", "ISK", 1}, {"100000000.00", "HKD", AmountMax}, {"0.29", "USD", 29}, {"1.15", "EUR", 115},
		{"4.35", "GBP", 435}, {"9999999999", "KRW", 9_999_999_999},
	} {
		a, err := ParseAmount(row.text, row.currency)
		require.NoError(t, err, row.text)
		assert.Equal(t, Amount{Minor: row.minor, Currency: Currency(row.currency)}, a, row.text)
	}
}

func TestParseAmountRefuses(t *testing.T) {
	for _, row := range [][2]string{
		{"", "HKD"}, {".", "HKD"}, {"12.", "HKD"}, {".50", "HKD"}, {"12.505", "HKD"}, {"12,50", "HKD"}, {"-1", "HKD"}, {"+1", "HKD"},
		{"1e2", "HKD"}, {" 1", "HKD"}, {"1 ", "HKD"}, {"0", "HKD"}, {"0.00", "HKD"}, {"12.0", "JPY"}, {"12.", "JPY"}, {"1_000", "HKD"},
		{"100000000.01", "HKD"}, {"99999999999", "HKD"}, {"١٢", "HKD"}, {"１２", "HKD"}, {"1.2.3", "HKD"}, {"0x10", "HKD"}, {"NaN", "HKD"},
	} {
		a, err := ParseAmount(row[0], row[1])
		assert.Error(t, err, "%q", row[0])
		assert.Zero(t, a, "%q", row[0])
	}
	_, err := ParseAmount("abc", "JPY")
	assert.ErrorContains(t, err, `write for example "1250"`)
}

func TestAmountAsAPersonReadsIt(t *testing.T) {
	for want, a := range map[string]Amount{
		"HK$ 12.50": {1250, "HKD"}, "CHF 3.00": {300, "CHF"}, "JP¥ 1250": {1250, "JPY"}, "US$ 0.05": {5, "USD"}, "€ 0.00": {0, "EUR"},
		"¥ -0.07": {-7, "CNY"}, "ISK 1": {1, "ISK"}, "HK$ 100000000.00": {AmountMax, "HKD"},
	} {
		assert.Equal(t, want, a.String())
		assert.Equal(t, want, fmt.Sprint(a))
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"12.50", "0.01", "100000000.00", "1e9", "", "."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range []string{"HKD", "JPY"} {
			a, err := ParseAmount(text, c)
			if err != nil {
				continue
			}
			require.True(t, a.Minor >= 1 && a.Minor <= AmountMax)
			again, err := ParseAmount(a.Major(), c)
			require.NoError(t, err)
			require.Equal(t, a, again)
		}
	})
}
