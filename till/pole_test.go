package till

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// tapped runs a story at a till whose old till's display is read, in fake time. show sends bytes and waits until they have settled.
func tapped(t *testing.T, tell func(a *aTill, p *Pole, show func(string)), with ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t, with...)
		p, err := a.server.NewPole(PoleConfig{})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		line, end := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, line) }()
		go p.Watch(ctx)
		tell(a, p, func(text string) {
			_, err := io.WriteString(end, text)
			require.NoError(t, err)
			time.Sleep(time.Second)
			synctest.Wait()
		})
		stop()
		require.NoError(t, <-done)
		require.NoError(t, end.Close())
	})
}

func (p *Pole) offered() string {
	if o, ok := p.Offer(time.Now()); ok {
		return o.Amount.String()
	}
	return ""
}

func (g answer) into(v any) {
	g.t.Helper()
	require.Equal(g.t, http.StatusOK, g.Status, g.Body)
	require.NoError(g.t, json.Unmarshal([]byte(g.Body), v))
}

func TestATotalIsOfferedOnceItHasSettled(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("CHIPS 5.00\r\n")
		assert.Empty(t, p.offered(), "an item is no total")
		show("TOTAL  HK$ 12.50\r\n")
		assert.Equal(t, "HK$ 12.50", p.offered())
		p.take([]byte("TOTAL  HK$ 1"), time.Now())
		assert.Empty(t, p.offered(), "the first byte of something else withdraws it")
		time.Sleep(time.Second)
		assert.Empty(t, p.offered(), "two totals are none")
		assert.Empty(t, a.desk.payments, "nothing is armed by itself")
	})
}

func TestAStaleTotalIsNeverCharged(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		time.Sleep(poleFresh)
		assert.False(t, p.ArmForScan(t.Context()))
		show("TOTAL 12.50\r\nTOTAL 12.50\r\n")
		assert.False(t, p.ArmForScan(t.Context()), "it stood there all the time")
		show("THANK YOU\r\nWELCOME\r\n")
		show("\fTOTAL 12.50\r\n")
		assert.Equal(t, "HK$ 12.50", p.offered(), "the next customer's")
		assert.Empty(t, a.desk.payments)
	})
}

func TestATotalFromBeforeTheLastPaymentsEndIsNeverCharged(t *testing.T) {
	for name, armed := range map[string]func(*aTill, *Pole) payflow.OutTradeNo{
		"armed by the display": func(a *aTill, p *Pole) payflow.OutTradeNo {
			require.True(t, p.ArmForScan(t.Context()))
			return a.desk.payments[0].OutTradeNo
		},
		"armed by another way": func(a *aTill, _ *Pole) payflow.OutTradeNo { return a.armed("A-1") },
	} {
		t.Run(name, func(t *testing.T) {
			tapped(t, func(a *aTill, p *Pole, show func(string)) {
				show("TOTAL 12.50\r\n")
				id := armed(a, p)
				a.desk.move(id, paid)
				time.Sleep(time.Second)
				assert.Empty(t, p.offered())
				assert.False(t, p.ArmForScan(t.Context()), "a second code is not the same goods again")
				assert.Len(t, a.desk.payments, 1)
				show("THANK YOU\r\nBYE\r\n")
				show("\fTOTAL 12.50\r\n")
				assert.False(t, p.ArmForScan(t.Context()), "the result on the page is not answered yet")
				assert.Len(t, a.desk.payments, 1)
				_, err := a.desk.Acknowledge(t.Context(), id, payflow.Acknowledgement{How: payflow.GoodsGiven, At: time.Now()})
				require.NoError(t, err)
				assert.True(t, p.ArmForScan(t.Context()))
				assert.Len(t, a.desk.payments, 2)
			})
		})
	}
}

func TestWhereACashierMustSignInAScanAloneArmsNoTotal(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		assert.False(t, p.ArmForScan(t.Context()), "whose scan it was nobody knows")
		assert.Empty(t, a.desk.payments)
		offer, ok := p.Offer(time.Now())
		require.True(t, ok)
		seat := seatAt(a)
		body := `{"offer":"` + offer.Key + `"}`
		assert.Equal(t, SignInNeeded, seat.post("/v1/pole/arm", body).problem().Code)
		seat.signIn("P001", pinOfCashier)
		require.Equal(t, http.StatusCreated, seat.post("/v1/pole/arm", body).Status)
		assert.Equal(t, "P001", a.desk.payments[0].Operator)
	}, withOperators(t), pinToSell)
}

func TestATotalThatChangesIsArmedAnewWhileNothingWasScanned(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		require.True(t, p.ArmForScan(t.Context()))
		show("\fTOTAL 15.00\r\n")
		require.Len(t, a.desk.payments, 2)
		assert.Equal(t, payflow.Cancelled, a.desk.payments[0].Status)
		assert.Equal(t, payflow.Waiting, a.desk.payments[1].Status)
		assert.EqualValues(t, 1500, a.desk.payments[1].Amount.Minor)
		show("CHANGE 5.00\r\n")
		assert.Equal(t, payflow.Cancelled, a.desk.payments[1].Status, "the customer has paid cash")
		show("\fTOTAL 15.00\r\n")
		require.True(t, p.ArmForScan(t.Context()))
		id := a.desk.payments[2].OutTradeNo
		a.desk.move(id, confirming)
		show("\fTOTAL 99.00\r\n")
		assert.Equal(t, payflow.Confirming, a.desk.payments[2].Status, "once a code was scanned nothing is touched")
		assert.False(t, a.desk.payments[2].CancelAsked)
		assert.Len(t, a.desk.payments, 3)
	})
}

// From the display's first new byte on, the old total is charged to nobody: not in the moments before the new one has settled either.
func TestACodeThatComesWhileTheDisplayChangesPaysNothing(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		require.True(t, p.Stands(), "nothing is armed by it")
		require.True(t, p.ArmForScan(t.Context()))
		require.True(t, p.Stands())
		p.take([]byte("\fTOTAL 12.50\r\n"), time.Now())
		assert.True(t, p.Stands(), "it was only drawn again")
		p.take([]byte("\fTOTAL 15.00\r\n"), time.Now())
		assert.False(t, p.Stands(), "the code was shown for 12.50")
		time.Sleep(time.Second)
		assert.True(t, p.Stands(), "the new total waits")
		assert.EqualValues(t, 1500, a.desk.payments[1].Amount.Minor)
		p.take([]byte("\fTHANK YOU\r\n"), time.Now())
		id := string(a.desk.payments[1].OutTradeNo)
		assert.Equal(t, NothingArmed, a.post("/v1/payments/"+id+"/code", `{"code":"`+lineCodeScanned+`"}`).problem().Code)
		assert.Empty(t, a.desk.codes)
	}, func(cfg *Config) { cfg.AllowCodeInAPI = true })
}

func TestAReceiptThatWasNotPaidCanBeTriedAgainAndAtAnotherTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		p, err := a.server.NewPole(PoleConfig{Rule: PoleRule{Pattern: `R(?P<receipt>\d+) =(?P<amount>[0-9.]+)`}})
		require.NoError(t, err)
		for _, c := range []struct{ shown, status string }{{"R7 =12.50\n", "cancelled"}, {"R7 =15.00\n", "cancelled"}, {"R7 =15.00\n", "paid"}} {
			p.take([]byte("WELCOME\nHELLO\n"), time.Now())
			time.Sleep(time.Second)
			p.settle(time.Now())
			p.take([]byte(c.shown), time.Now())
			time.Sleep(time.Second)
			p.settle(time.Now())
			offer, ok := p.Offer(time.Now())
			require.True(t, ok)
			e, err := p.Arm(t.Context(), offer.Key, "")
			require.NoError(t, err)
			require.Equal(t, payflow.Waiting, e.Status)
			assert.Contains(t, string(e.SaleRef), "-7")
			if c.status == "paid" {
				a.desk.move(e.OutTradeNo, paid)
				continue
			}
			_, err = a.desk.Cancel(t.Context(), e.OutTradeNo, "")
			require.NoError(t, err)
		}
		p.spent = payflow.Amount{}
		p.take([]byte("BYE\nR7 =15.00\n"), time.Now())
		time.Sleep(time.Second)
		p.settle(time.Now())
		offer, ok := p.Offer(time.Now())
		require.True(t, ok)
		_, err = p.Arm(t.Context(), offer.Key, "")
		var already *payflow.AlreadyPaidError
		require.ErrorAs(t, err, &already, "one receipt is paid once")
	})
}

func TestInTrainingAScanAloneArmsNoTotal(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		a.server.Train(newTill(t).server)
		assert.False(t, p.ArmForScan(t.Context()), "a beginner scans, and real money would go")
		a.server.Train(nil)
		assert.True(t, p.ArmForScan(t.Context()))
	})
}

func TestALineThatGoesAwayLeavesNoTotalWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		p, err := a.server.NewPole(PoleConfig{Protocol: "escpos"})
		require.NoError(t, err)
		plug := func() (show func(string), unplug func()) {
			line, end := io.Pipe()
			done := make(chan error, 1)
			go func() { done <- p.Serve(t.Context(), line) }()
			return func(text string) {
					_, err := io.WriteString(end, text)
					require.NoError(t, err)
					time.Sleep(time.Second)
				}, func() {
					require.NoError(t, end.CloseWithError(errors.New("unplugged")))
					require.Error(t, <-done)
				}
		}
		show, unplug := plug()
		show("\x1b@TOTAL    12.50")
		require.True(t, p.ArmForScan(t.Context()))
		unplug()
		assert.Equal(t, payflow.Cancelled, a.desk.payments[0].Status, "what the till shows meanwhile nobody knows")
		show, unplug = plug()
		show("\x1b@TOTAL    12.50")
		assert.Empty(t, p.offered(), "it is drawn again, and is the old one")
		show("\x1b@TOTAL    13.50")
		assert.NotEmpty(t, p.offered())
		unplug()
		show, unplug = plug()
		show("\x0b\x1f$\x0a\x01 99.50")
		assert.Empty(t, p.offered(), "half a display is not put together with what stood there")
		unplug()
	})
}

func TestTheTotalOfTheLastPaymentThatIsDrawnAgainAfterAStartIsNotOffered(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		show("TOTAL 12.50\r\n")
		require.True(t, p.ArmForScan(t.Context()))
		a.desk.move(a.desk.payments[0].OutTradeNo, paid)
		a.desk.payments[0].ArmedAt = time.Now()
		next, err := a.server.NewPole(PoleConfig{})
		require.NoError(t, err)
		next.begin(time.Now())
		next.take([]byte("TOTAL 12.50\r\n"), time.Now())
		time.Sleep(time.Second)
		next.settle(time.Now())
		assert.Empty(t, next.offered())
		next.take([]byte("\fTOTAL 13.50\r\n"), time.Now())
		time.Sleep(time.Second)
		next.settle(time.Now())
		assert.NotEmpty(t, next.offered())
	})
}

func TestALineThatIsAwayOffersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		p, err := a.server.NewPole(PoleConfig{})
		require.NoError(t, err)
		line, end := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- p.Serve(t.Context(), line) }()
		_, err = io.WriteString(end, "TOTAL 12.50\n")
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Equal(t, "HK$ 12.50", p.offered())
		require.NoError(t, end.CloseWithError(errors.New("unplugged")))
		require.EqualError(t, <-done, "unplugged")
		assert.Empty(t, p.offered())
	})
}

func TestThePageArmsThatVeryOffer(t *testing.T) {
	tapped(t, func(a *aTill, p *Pole, show func(string)) {
		var state PoleState
		a.get("/v1/pole").into(&state)
		assert.True(t, state.Tapped)
		assert.Nil(t, state.Offer)
		show("TOTAL 12.50\r\n")
		a.get("/v1/pole").into(&state)
		require.NotNil(t, state.Offer)
		assert.Equal(t, "HK$ 12.50", state.Offer.AmountText)
		show("\fTOTAL 13.50\r\n")
		got := a.post("/v1/pole/arm", `{"offer":"`+state.Offer.ID+`"}`)
		assert.Equal(t, http.StatusConflict, got.Status)
		assert.Equal(t, NoTotal, got.problem().Code, "what the cashier saw is gone")
		a.get("/v1/pole").into(&state)
		got = a.post("/v1/pole/arm", `{"offer":"`+state.Offer.ID+`"}`)
		require.Equal(t, http.StatusCreated, got.Status, got.Body)
		assert.EqualValues(t, 1350, got.payment().Amount)
		assert.EqualValues(t, state.Offer.ID, got.payment().SaleRef)
	})
	a := newTill(t)
	assert.JSONEq(t, `{"tapped":false}`, a.get("/v1/pole").Body)
	assert.Equal(t, NoTotal, a.post("/v1/pole/arm", `{"offer":"POLE-1"}`).problem().Code)
}

func TestTheRuleFindsTheTotalAndNothingElse(t *testing.T) {
	for display, want := range map[string]string{
		"TOTAL 12.50":                "HK$ 12.50",
		"Total:   $12.5":             "HK$ 12.50",
		"TOTAL HK$1,234.50":          "HK$ 1234.50",
		"TOTAL\n        12.50":       "HK$ 12.50",
		"2 ITEMS\nAMOUNT DUE 8":      "HK$ 8.00",
		"總計 12.50":                   "HK$ 12.50",
		"應付 HK$ 88.00":               "HK$ 88.00",
		"TOTAL 12.50\nTOTAL 12.50":   "HK$ 12.50",
		"TOTAL 12.50\nTOTAL 13.50":   "",
		"TOTAL -12.50":               "",
		"TOTAL 12.50-":               "",
		"TOTAL 12.500":               "",
		"TOTAL 12,50":                "",
		"TOTAL 1,23.50":              "",
		"TOTAL 1.2.3":                "",
		"TOTAL 0.00":                 "",
		"TOTAL 10%":                  "",
		"TOTAL 999999999999":         "",
		"TOTAL 10000.01":             "", // above most
		"SUBTOTAL 12.50":             "",
		"SUB-TOTAL 12.50":            "",
		"GRANDTOTAL 12.50":           "",
		"TOTAL ITEMS 3":              "",
		"TOTAL 12.50\nCHANGE 7.50":   "",
		"CHIPS 5.00":                 "",
		"TOTAL":                      "",
		"TOTAL 134567890123456789":   "",
		"找續 7.50":                    "",
		"TOTAL \ufffd12.50 REFUNDED": "",
		"TOTAL 12.50 HKD":            "HK$ 12.50",
		"TOTAL 12.50 元\nTHANK YOU":   "HK$ 12.50",
		"TOTAL HKD 12.50 *":          "HK$ 12.50",
		"TOTAL 3 ITEMS":              "",
		"TOTAL 3 ITEMS\n12.50":       "",
		"TOTAL 3\n12.50":             "",
		"TOTAL 2 12.50":              "",
		"TOTAL 1 250.00":             "",
		"TOTAL 1'250.00":             "",
		"TOTAL (12.50)":              "",
		"TOTAL \u221212.50":          "",
		"TOTAL 12.50CR":              "",
		"TOTAL １2.50":                "",
		"TOTAL US$ 12.50":            "",
		"TOTAL NT$12.50":             "",
		"TOTAL MOP 12.50":            "",
		"TOTAL ¥12.50":               "",
		"TOTAL €12.50":               "",
		"TOTAL 12.50 €":              "",
		"TOTAL 12.50 RMB":            "",
	} {
		f, err := newPoleFinder(PoleRule{Currency: "HKD", Most: 1_000_000})
		require.NoError(t, err)
		total, ok := f.find(display)
		got := ""
		if ok {
			got = total.amount.String()
		}
		assert.Equal(t, want, got, "%q", display)
	}
}

func TestTheRuleReadsOtherMoneyToo(t *testing.T) {
	for _, c := range []struct {
		rule    PoleRule
		display string
		want    string
	}{
		{PoleRule{Currency: "EUR", Decimal: ","}, "TOTAL 1.234,50", "€ 1234.50"},
		{PoleRule{Currency: "JPY"}, "合計 1,250", "JP¥ 1250"},
		{PoleRule{Currency: "JPY"}, "合計 1.250", "JP¥ 1250"},
		{PoleRule{Currency: "HKD", Minor: true}, "TOTAL 1250", "HK$ 12.50"},
		{PoleRule{Currency: "HKD", Minor: true}, "TOTAL 12.50", ""},
		{PoleRule{Currency: "HKD", Pattern: `^R(?P<receipt>\d+) .*=(?P<amount>[0-9.]+)$`}, "R0042 3 PCS =12.50", "HK$ 12.50"},
	} {
		f, err := newPoleFinder(c.rule)
		require.NoError(t, err)
		total, ok := f.find(c.display)
		assert.Equal(t, c.want != "", ok, c.display)
		if ok {
			assert.Equal(t, c.want, total.amount.String())
		}
		if strings.Contains(c.rule.Pattern, "receipt") {
			assert.Equal(t, "0042", total.receipt)
			assert.Equal(t, "POLE-20261124-0042", poleKey(noon(), total.receipt))
		}
	}
	require.Error(t, CheckPoleRule(`TOTAL ([0-9]+)`), "no group amount")
	require.Error(t, CheckPoleRule(`(`))
	require.Error(t, CheckPoleRule(strings.Repeat("a", poleRuleMax)+`(?P<amount>1)`))
}

func TestADisplayIsFollowedByItsProtocol(t *testing.T) {
	for _, c := range []struct{ protocol, sent, want string }{
		{"text", "HELLO\r\nTOTAL 1\r\n", "HELLO\nTOTAL 1"},
		{"text", "A\nB\nC", "B\nC"},
		{"text", "A\n\fB", "B"},
		{"escpos", "\x1b@APPLE\x1f$\x01\x02TOTAL 12.50", "APPLE\nTOTAL 12.50"},
		{"escpos", "\x0c12345678901234567890TOTAL 1.00", "12345678901234567890\nTOTAL 1.00"},
		{"escpos", "OLD\x0b\x18NEW", "NEW"},
		{"escpos", "\x1fX\x04TOTAL\r\n\x1bR\x0312.50", "TOTAL\n12.50"},
		{"cd5220", "\x1bQATOTAL\r\x1bQB       12.50\r", "TOTAL\n12.50"},
		{"cd5220", "\x1bl\x03\x02TOTAL", "TOTAL"},
		{"cd5220", "\x1bs2\x1bQA12.50\r", "TOTAL\n12.50"},
		{"cd5220", "\x1bs4\x1bQA7.50\r", "CHANGE\n7.50"},
	} {
		s := newPoleScreen(c.protocol, 20)
		for i := range len(c.sent) {
			s.feed([]byte{c.sent[i]})
		}
		assert.Equal(t, c.want, s.text(poleDecoder("utf-8")), "%s %q", c.protocol, c.sent)
	}
	assert.Equal(t, "總計", poleDecoder("big5")([]byte{0xc1, 0x60, 0xad, 0x70}))
	assert.Equal(t, "合计", poleDecoder("gbk")([]byte{0xba, 0xcf, 0xbc, 0xc6}))
}

func FuzzPole(f *testing.F) {
	f.Add([]byte("TOTAL 12.50\r\n"), 0)
	f.Add([]byte("\x1bQATOTAL\r\x1bQB12.50\r"), 2)
	f.Add([]byte("\x1f$\x01\x02TOTAL 1,234.50\x1b"), 1)
	finder, err := newPoleFinder(PoleRule{Currency: "HKD", Most: 1_000_000})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, sent []byte, n int) {
		s := newPoleScreen(PoleProtocols()[abs(n)%3], 8+abs(n)%33)
		s.feed(sent)
		for _, row := range s.rows {
			assert.LessOrEqual(t, len(row), poleTextMax)
		}
		text := s.text(poleDecoder([]string{"utf-8", "gbk", "big5"}[abs(n)%3]))
		if total, ok := finder.find(text); ok {
			assert.Positive(t, total.amount.Minor)
			assert.LessOrEqual(t, total.amount.Minor, int64(1_000_000))
			assert.Regexp(t, `(?i)total|due|to pay|合|總|总|應|应`, text)
			again, _ := finder.find(text)
			assert.Equal(t, total, again)
		}
	})
}
