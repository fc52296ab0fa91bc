package till

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

const lineCodeScanned = "134567890123456789" // what a customer's phone shows

// oldTill is a till program at one end of a line.
type oldTill struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// lined runs a story with the line protocol of a till, in fake time.
func lined(t *testing.T, tell func(a *aTill, dial func() *oldTill), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t, change...)
		l := a.server.NewLine(LineConfig{BySale: a.desk.bySale, Receipt: func(e payflow.Entry) (string, error) {
			if e.Status != payflow.Paid {
				return "", errors.New("no slip")
			}
			return "PAID\n" + e.Amount.String() + "\n", nil
		}})
		p := newPipes()
		served := make(chan error, 1)
		go func() { served <- l.Serve(p) }()
		dial := func() *oldTill {
			conn, err := p.dial(t.Context())
			require.NoError(t, err)
			return &oldTill{t: t, conn: conn, in: bufio.NewReader(conn)}
		}
		tell(a, dial)
		p.cut()
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		require.NoError(t, a.server.Shutdown(ctx))
		require.NoError(t, <-served)
	})
}

func (d *fakeDesk) bySale(sale payflow.SaleRef) (found []payflow.Entry, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.payments {
		if e.SaleRef == sale {
			found = append(found, e)
		}
	}
	return found, d.fail
}

func (o *oldTill) says(line string) {
	o.t.Helper()
	_, err := io.WriteString(o.conn, line)
	require.NoError(o.t, err)
}

func (o *oldTill) reads() string {
	o.t.Helper()
	require.NoError(o.t, o.conn.SetReadDeadline(time.Now().Add(time.Minute)))
	line, err := o.in.ReadString('\n')
	require.NoError(o.t, err, line)
	require.True(o.t, strings.HasSuffix(line, "\r\n"), "%q", line)
	return strings.TrimSuffix(line, "\r\n")
}

func (o *oldTill) asks(line string) string {
	o.t.Helper()
	o.says(line + "\r\n")
	return o.reads()
}

// silent fails when the till is told something within a minute.
func (o *oldTill) silent() {
	o.t.Helper()
	require.NoError(o.t, o.conn.SetReadDeadline(time.Now().Add(time.Minute)))
	line, err := o.in.ReadString('\n')
	require.ErrorIs(o.t, err, os.ErrDeadlineExceeded, line)
}

func idIn(line string) payflow.OutTradeNo { return payflow.OutTradeNo(strings.Fields(line)[1]) }

func TestALineArmsWaitsAndIsToldThatItIsPaid(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		wait := till.asks("PAY A-1001 1250")
		id := idIn(wait)
		assert.Equal(t, "WAIT "+string(id)+" 1250", wait)
		a.desk.move(id, func(e *payflow.Entry) { e.Status, e.Reason = payflow.Paying, payflow.ReasonSending })
		a.desk.move(id, confirming)
		assert.Equal(t, "HOLD "+string(id)+" customer_enters_password is customer_enters_password - after confirming", till.reads(), "sending is told by nothing: it takes a moment")
		a.desk.move(id, func(e *payflow.Entry) { e.WakeAt = e.WakeAt.Add(time.Second) })
		time.Sleep(time.Second)
		a.desk.move(id, paid)
		assert.Equal(t, "OK "+string(id)+" 4200000000202611240000000001", till.reads(), "what says nothing new is not sent twice")
		assert.Equal(t, "IDLE 1", till.asks("STATE"), "a line that reached the till is no word that the goods were given")
		assert.Equal(t, "ACKED "+string(id)+" goods_given", till.asks("ACK "+string(id)))
		assert.Equal(t, "IDLE 0", till.asks("STATE"))
		till.silent()
	})
}

func TestALineIsToldThatOtherMeansAreAllowedBeforeTheEnd(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("pay A-1 500"))
		a.desk.move(id, confirming)
		assert.Contains(t, till.reads(), "HOLD ")
		a.desk.move(id, reversing)
		assert.Equal(t, "NOTPAID "+string(id)+" taking_back is taking_back - after reversing", till.reads())
		a.desk.move(id, func(e *payflow.Entry) {
			e.Status, e.Reason, e.FinalAt = payflow.Reversed, payflow.ReasonClosed, time.Now()
		})
		assert.Equal(t, "NO "+string(id)+" closed_unpaid is closed_unpaid - after reversed", till.reads())
	})
}

func TestTheSamePayIsTheSamePaymentInAnyState(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		first, second := dial(), dial()
		id := idIn(first.asks("PAY A-1 500"))
		assert.Equal(t, id, idIn(second.asks("PAY A-1 500")), "from another connection")
		first.conn.Close()
		a.desk.move(id, paid)
		assert.Contains(t, second.reads(), "OK ")
		third := dial()
		assert.Equal(t, "OK "+string(id)+" 4200000000202611240000000001", third.asks("PAY A-1 500"), "a result that came while nobody listened")
		assert.Equal(t, "PAYMENT "+string(id)+" paid 500 HKD A-1", third.asks("LAST"))
		assert.Contains(t, third.reads(), "OK ")
		assert.Contains(t, third.asks("PAY A-1 600"), "ERR already_paid "+string(id))
		assert.Len(t, a.desk.payments, 1)
	})
}

func TestAPaymentThatAnotherWayArmedIsKnownByItsSale(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		id := a.armed("A-9")
		assert.Equal(t, "WAIT "+string(id)+" 1250", dial().asks("PAY A-9 1250"))
		assert.Len(t, a.desk.payments, 1)
	})
}

func TestASaleNumberThatIsUsedAnewIsNotThePaidSaleOfYesterday(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY 0001 500"))
		a.desk.move(id, func(e *payflow.Entry) { paid(e); e.FinalAt = time.Now() })
		till.reads()
		time.Sleep(lineSaleAge)
		assert.Contains(t, till.asks("PAY 0001 500"), "OK ")
		time.Sleep(time.Second)
		assert.Contains(t, till.asks("PAY 0001 500"), "ERR sale_ref_used ", "the goods of today's sale would go for yesterday's money")
		assert.Len(t, a.desk.payments, 1)
		assert.Contains(t, till.asks("STATE "+string(id)), "PAYMENT ")
	})
}

func TestAgainIsOneMoreTryHoweverOftenItIsSent(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		assert.Equal(t, id, idIn(till.asks("AGAIN "+string(id))), "while it is open it is the same one")
		assert.Contains(t, till.asks("CANCEL"), "NO "+string(id)+" cancelled_by_cashier")
		assert.Contains(t, till.asks("PAY A-1 500"), "NO "+string(id), "in whatever state")
		next := idIn(till.asks("AGAIN " + string(id)))
		assert.NotEqual(t, id, next)
		time.Sleep(time.Second)
		assert.Equal(t, next, idIn(till.asks("AGAIN "+string(id))))
		assert.Equal(t, next, idIn(till.asks("PAY A-1 500")), "the newest of the sale")
		a.desk.move(next, paid)
		assert.Contains(t, till.reads(), "OK "+string(next))
		assert.Contains(t, till.asks("AGAIN "+string(next)), "OK "+string(next), "a paid sale is not charged again")
		assert.Len(t, a.desk.payments, 2)
	})
}

func TestGoodsAreNotHandedOverForMoneyThatWentBack(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, paid)
		till.reads()
		_, err := a.back.Refund(t.Context(), payflow.RefundRequest{OutTradeNo: id, Amount: payflow.Amount{Minor: 200, Currency: "HKD"}, IdempotencyKey: "a"})
		require.NoError(t, err)
		assert.Contains(t, till.asks("PAY A-1 500"), "OK ", "a part was brought back")
		_, err = a.back.Refund(t.Context(), payflow.RefundRequest{OutTradeNo: id, Amount: payflow.Amount{Minor: 300, Currency: "HKD"}, IdempotencyKey: "b"})
		require.NoError(t, err)
		assert.Contains(t, till.asks("PAY A-1 500"), "NO "+string(id)+" refunded ")
		assert.Equal(t, "ACKED "+string(id)+" money_given_back", till.asks("ACK "+string(id)+" back"))
		assert.Contains(t, till.asks("PAY A-1 500"), "NO "+string(id)+" money_given_back ")
	})
}

func TestCancelAnswersWithWhatThePaymentIs(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		assert.Equal(t, "IDLE 0", till.asks("CANCEL"))
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, confirming)
		till.reads()
		assert.Contains(t, till.asks("CANCEL "+string(id)), "HOLD "+string(id), "remembered: it may still be paid")
		a.desk.move(id, paid)
		assert.Contains(t, till.reads(), "OK ")
		assert.Contains(t, till.asks("CANCEL "+string(id)), "OK "+string(id), "too late, and what it is now is said")
	})
}

func TestUntoldListsWhatNobodyHasAcknowledged(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		assert.Equal(t, "END 0", till.asks("UNTOLD"))
		for i := range lineListMax + 2 {
			id := idIn(till.asks(fmt.Sprint("PAY A-", i, " 500")))
			a.desk.move(id, paid)
			till.reads()
		}
		till.says("UNTOLD\n")
		var lines []string
		for len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "END ") {
			lines = append(lines, till.reads())
		}
		assert.Len(t, lines, 2*lineListMax+1)
		assert.Contains(t, lines[0], " A-2", "the newest, and their number")
		assert.Equal(t, "END 22", lines[len(lines)-1])
	})
}

func TestAcknowledgingSaysTheTruth(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		assert.Contains(t, till.asks("ACK "+string(id)), "ERR wrong_state ", "there is no result yet")
		till.asks("CANCEL")
		assert.Contains(t, till.asks("ACK "+string(id)+" GOODS"), "ERR bad_handover ", "no goods for what is not paid")
		assert.Equal(t, "ACKED "+string(id)+" seen", till.asks("ACK "+string(id)))
		assert.Contains(t, till.asks("ACK "+string(id)+" PERHAPS"), "ERR bad_line ")
		assert.Contains(t, till.asks("ACK SZTX001T1NOSUCH"), "ERR no_payment ")
	})
}

// The line has no token and no PIN, so that it is like a page on which nobody has signed in.
func TestALineGivesNoMoneyBackWhereThatTakesAManager(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, paid)
		till.reads()
		assert.Contains(t, till.asks("ACK "+string(id)+" BACK"), "ERR manager_needed ")
		assert.Equal(t, "IDLE 1", till.asks("STATE"), "it stays on the list, for a manager")
		assert.Equal(t, "ACKED "+string(id)+" goods_given", till.asks("ACK "+string(id)), "what a cashier may say goes through")
		next := idIn(till.asks("PAY A-2 500"))
		a.desk.move(next, func(e *payflow.Entry) { paid(e); e.Attention = payflow.AttentionLateSuccess })
		till.reads()
		assert.Contains(t, till.asks("ACK "+string(next)+" GOODS"), "ERR manager_needed ")
	}, withOperators(t))
}

// A further tender is made by the API alone, and takes nothing from a sale that has its money.
func TestAPaidSaleIsPaidWhateverBecameOfAFurtherTender(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, func(e *payflow.Entry) { paid(e); e.FinalAt = time.Now() })
		till.reads()
		e, err := a.desk.Arm(t.Context(), payflow.ArmRequest{Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, SaleRef: "A-1", IdempotencyKey: "more", AdditionalTender: true})
		require.NoError(t, err)
		assert.Contains(t, till.asks("PAY A-1 500"), "OK "+string(id), "while it waits too")
		a.desk.move(e.OutTradeNo, func(e *payflow.Entry) {
			e.Status, e.Reason, e.FinalAt = payflow.Declined, payflow.ReasonNotEnough, time.Now()
		})
		assert.Contains(t, till.asks("PAY A-1 500"), "OK "+string(id), "NO would have the cashier take the money once more")
		_, err = a.back.Refund(t.Context(), payflow.RefundRequest{OutTradeNo: id, Amount: payflow.Amount{Minor: 500, Currency: "HKD"}, IdempotencyKey: "b"})
		require.NoError(t, err)
		assert.Contains(t, till.asks("PAY A-1 500"), "NO "+string(e.OutTradeNo), "once its money went back, the newest is what is asked about")
	})
}

func TestAnErrorIsNoWordThatTheMoneyIsStillHere(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, func(e *payflow.Entry) { paid(e); e.StoreDay = time.Now().UTC().Format(dayStyle) })
		till.reads()
		a.back.unreadable = errors.New("the disk does not answer")
		assert.Contains(t, till.asks("PAY A-1 500"), "HOLD "+string(id)+" refunds_unknown ")
		assert.Contains(t, till.asks("DAYEND"), "ERR internal ", "a sum without what went back is no sum")
		a.back.unreadable = nil
		assert.Contains(t, till.asks("PAY A-1 500"), "OK "+string(id))
	})
}

func TestReprintGivesTheSlipAndDayEndTheDaysTotals(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		assert.Contains(t, till.asks("REPRINT"), "ERR no_slip ")
		id := idIn(till.asks("PAY A-1 500"))
		a.desk.move(id, func(e *payflow.Entry) { paid(e); e.StoreDay = "2000-01-01" })
		till.reads()
		unpaid := idIn(till.asks("PAY A-2 700"))
		till.asks("CANCEL")
		a.desk.move(unpaid, func(e *payflow.Entry) { e.StoreDay = "2000-01-01" })
		assert.Equal(t, "TEXT PAID", till.asks("REPRINT"), "the newest that has one")
		assert.Equal(t, "TEXT HK$ 5.00", till.reads())
		assert.Equal(t, "END", till.reads())
		assert.Contains(t, till.asks("REPRINT "+string(unpaid)), "ERR no_slip ")
		assert.Equal(t, "DAY 2000-01-01 HKD", till.asks("DAYEND"))
		for _, want := range []string{"SUM PAID 1 500", "SUM REFUNDED 0 0", "SUM NOTPAID 1 700", "SUM OPEN 0 0", "TEXT " + lineTexts[lineDaySoFar].EN, "END"} {
			assert.Equal(t, want, till.reads())
		}
	})
}

func TestALineSaysWhyNothingCanBeTaken(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		assert.Equal(t, "READY", till.asks("TEST"))
		a.desk.notReady = &payflow.NotReadyError{Code: "no_network", Text: "no network"}
		assert.Equal(t, "NOTREADY no_network 因為no_network - 則no_network", till.asks("TEST"))
		assert.Contains(t, till.asks("PAY A-1 500"), "ERR not_ready 因為no_network - 則no_network")
		a.desk.notReady, a.desk.fail = nil, errors.New("disk of "+lineCodeScanned)
		assert.Contains(t, till.asks("PAY A-1 500"), "ERR internal ")
	}, func(cfg *Config) { cfg.Language = "zh-Hant" })
}

func TestLinesThatMeanNothingAreRefusedByName(t *testing.T) {
	for line, want := range map[string]string{
		"HELLO":                                 "unknown_word",
		lineCodeScanned:                         "holds_payment_code",
		"PAY":                                   "bad_line",
		"PAY A-1":                               "bad_line",
		"PAY A-1 12 50":                         "bad_line",
		"PAY A-1 12.50":                         "bad_amount",
		"PAY A-1 012":                           "bad_amount",
		"PAY A-1 0":                             "bad_amount",
		"PAY A-1 -5":                            "bad_amount",
		"PAY A-1 +5":                            "bad_amount",
		"PAY A-1 10000000001":                   "bad_amount",
		"PAY A-1 99999999999999999999":          "bad_amount",
		"PAY Kasse\u00e9 500":                   "bad_sale_ref",
		"PAY " + strings.Repeat("A", 65) + " 5": "bad_sale_ref",
		"PAY " + lineCodeScanned + " 500":       "holds_payment_code",
		"PAY A-" + lineCodeScanned + " 500":     "holds_payment_code",
		"AGAIN":                                 "bad_line",
		"AGAIN no-such":                         "no_payment",
		"STATE " + lineCodeScanned:              "no_payment",
		"PAY A-1 500*00":                        "bad_checksum",
		"PAY A-1 500*ZZ":                        "bad_checksum",
		"PAY \x01 500":                          "not_text",
		"\xff\xfe\x00garbage":                   "not_text",
		strings.Repeat("P", lineBytesMax+1):     "too_long",
	} {
		t.Run(want, func(t *testing.T) {
			lined(t, func(a *aTill, dial func() *oldTill) {
				till := dial()
				require.Equal(t, "READY", till.asks("TEST"))
				got := till.asks(line)
				assert.True(t, strings.HasPrefix(got, "ERR "+want+" "), "%q was answered %q", line, got)
				assert.NotContains(t, got, lineCodeScanned)
				assert.NotContains(t, a.log.String(), lineCodeScanned)
				assert.Empty(t, a.desk.payments)
				assert.Equal(t, "READY", till.asks("TEST"), "the next line is read as ever")
			})
		})
	}
}

func TestAnyLineEndServesAndAnEchoIsNotAnswered(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		till.says("\r\n\n\rOK X 1\rERR unknown_word hm\nWAIT X 5\r\nTEST\rTEST\nTEST\r\n  test  \r\n")
		for range 4 {
			assert.Equal(t, "READY", till.reads())
		}
		till.silent()
	})
}

func TestARestOfALineThatNeverComesIsNotTheBeginningOfAnother(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		require.Equal(t, "READY", till.asks("TEST"))
		till.says("PAY A-1 1")
		time.Sleep(lineLostMax + time.Second)
		till.says("250\r\n")
		assert.Contains(t, till.reads(), "ERR cut_off ")
		assert.Contains(t, till.reads(), "ERR unknown_word ")
		assert.Empty(t, a.desk.payments)
	})
}

func TestAChecksumIsAnsweredByAChecksum(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		assert.Equal(t, summed("READY"), till.asks(summed("TEST")))
		id := idIn(till.asks(summed("PAY A-1 500")))
		a.desk.move(id, paid)
		assert.Equal(t, summed("OK "+string(id)+" 4200000000202611240000000001"), till.reads())
		assert.Equal(t, "READY", till.asks("TEST"))
	})
}

func TestAConnectionOfNothingButNoiseEnds(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		till := dial()
		require.Equal(t, "READY", till.asks("TEST"))
		for range lineBadMax {
			assert.Contains(t, till.asks("noise"), "ERR unknown_word ")
		}
		till.says("noise\n")
		_, err := till.in.ReadString('\n')
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A web page can have the browser of this PC send a request to any port of it, without asking anybody: its body must be no line of a till's.
func TestAWebPagesRequestIsNoTill(t *testing.T) {
	body := "PAY A-1 1250\r\nCANCEL\r\n"
	for name, sent := range map[string]string{
		"fetch":        "POST / HTTP/1.1\r\nHost: 127.0.0.1:7081\r\nContent-Type: text/plain\r\n\r\n" + body,
		"a form":       "POST /PAY HTTP/1.1\r\nHost: 127.0.0.1:7081\r\n\r\nx=1\r\n" + body,
		"TLS":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n" + body,
		"STUN":         "\x00\x03\x00\x20\x21\x12\xa4\x42\r\n" + body,
		"a long first": strings.Repeat("G", lineBytesMax+1) + "\r\n" + body,
		// Where the page's own name was made to point here, its requests have any method and ask nobody first.
		"a word of ours as the method": "PAY /A-1 HTTP/1.1\r\nHost: rebound.example:7081\r\nContent-Type: text/plain\r\n\r\n" + body,
		"another word as the method":   "ACK /A-1 HTTP/1.1\r\nHost: rebound.example:7081\r\n\r\n" + body,
		"a word that takes no fields":  "TEST /A-1 HTTP/1.1\r\nHost: rebound.example:7081\r\n\r\n" + body,
	} {
		t.Run(name, func(t *testing.T) {
			lined(t, func(a *aTill, dial func() *oldTill) {
				page := dial()
				go func() { _, _ = io.WriteString(page.conn, sent) }()
				heard, err := io.ReadAll(page.in)
				require.NoError(t, err, "the connection is ended")
				assert.Equal(t, 1, strings.Count(string(heard), "\r\n"), "%q", heard)
				assert.Empty(t, a.desk.payments)
			})
		})
	}
}

// A change that waits to be told is older than the answer to a question that came meanwhile.
func TestALineIsNotToldAnOlderStateAfterANewerOne(t *testing.T) {
	a := newTill(t)
	var said strings.Builder
	c := newLineSession(a.server.NewLine(LineConfig{}), writtenPort{&said}, false)
	e := payflow.Entry{Payment: payflow.Payment{Status: payflow.Confirming, Version: 2}}
	e.OutTradeNo = "SZTX001T1261124000001AB12C9"
	c.follows[e.OutTradeNo] = &lineFollow{stop: func() {}, as: 3}
	c.tell(e)
	assert.Empty(t, said.String())
	e.Version = 4
	c.tell(e)
	assert.Contains(t, said.String(), "HOLD ")
}

// writtenPort is a port that nobody reads from.
type writtenPort struct{ io.Writer }

func (writtenPort) Read([]byte) (int, error)         { return 0, io.EOF }
func (writtenPort) SetWriteDeadline(time.Time) error { return nil }
func (writtenPort) Close() error                     { return nil }

func TestAReaderThatTakesNothingIsCutOffAndMissesNothing(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		slow := dial()
		id := idIn(slow.asks("PAY A-1 500"))
		a.desk.move(id, paid) // nobody reads the line
		time.Sleep(lineWriteMax + time.Second)
		_, err := slow.in.ReadString('\n')
		assert.ErrorIs(t, err, io.EOF)
		assert.Contains(t, dial().asks("PAY A-1 500"), "OK ")
	})
}

func TestOf64TillsOneArmsAndTheOthersAreToldWhichPaymentHoldsTheTill(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		var tills []*oldTill
		for i := range lineClientsMax {
			till := dial()
			tills = append(tills, till)
			go func() { _, _ = fmt.Fprintf(till.conn, "PAY S-%d 500\n", i) }()
		}
		armed, busy := 0, 0
		for _, till := range tills {
			switch line := till.reads(); {
			case strings.HasPrefix(line, "WAIT "):
				armed++
			case strings.HasPrefix(line, "ERR till_busy "+string(a.desk.payments[0].OutTradeNo)):
				busy++
			default:
				t.Error(line)
			}
		}
		assert.Equal(t, 1, armed)
		assert.Equal(t, lineClientsMax-1, busy)
		assert.Contains(t, dial().reads(), "ERR too_many_clients ")
		time.Sleep(lineQuietClose + time.Second)
		assert.Equal(t, "READY", dial().asks("TEST"), "one that is silent and waits for nothing makes way")
	})
}

func Test64TimesTheSamePayIsOnePayment(t *testing.T) {
	lined(t, func(a *aTill, dial func() *oldTill) {
		var tills []*oldTill
		for range lineClientsMax {
			till := dial()
			tills = append(tills, till)
			go func() { _, _ = io.WriteString(till.conn, "PAY S-1 500\n") }()
		}
		for _, till := range tills {
			assert.Equal(t, "WAIT", strings.Fields(till.reads())[0])
		}
		require.Len(t, a.desk.payments, 1)
		a.desk.move(a.desk.payments[0].OutTradeNo, paid)
		for _, till := range tills {
			assert.Equal(t, "OK", strings.Fields(till.reads())[0])
		}
	})
}

func TestASerialLineIsServedUntilItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		l := a.server.NewLine(LineConfig{})
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- l.ServePort(t.Context(), there) }()
		till := &oldTill{t: t, conn: here, in: bufio.NewReader(here)}
		for range lineBadMax {
			assert.Contains(t, till.asks("noise"), "ERR unknown_word ")
		}
		till.says("noise\n")
		assert.Equal(t, "READY", till.asks("TEST"), "noise is answered by nothing in the end, and does not end the only line there is")
		id := idIn(till.asks("PAY A-1 500"))
		assert.Equal(t, id, idIn(till.asks("PAY A-1 500")), "without an index by sale, the line's own key knows it")
		require.NoError(t, here.Close())
		assert.ErrorIs(t, <-done, io.EOF)
	})
}

func TestEveryLineIsShortEnoughInEveryLanguage(t *testing.T) {
	for code, w := range lineTexts {
		for _, text := range []string{w.EN, w.ZhHans, w.ZhHant} {
			assert.NotEmpty(t, text, code)
			assert.LessOrEqual(t, len("ERR "+string(code)+" "+text), lineBytesMax, code)
		}
		assert.Equal(t, -1, strings.IndexFunc(w.EN, func(r rune) bool { return r > 0x7e }), "an old till shows only ASCII: %s", code)
	}
	assert.Equal(t, lineBytesMax-1, len(cutLine(strings.Repeat("收", 100))), "cut between characters")
	assert.Equal(t, "a b", cutLine("a\nb"), "a text of others can't make a second line")
}

func FuzzLineDecoder(f *testing.F) {
	f.Add([]byte("PAY A-1 500\r\nTEST\n"), 3)
	f.Add([]byte("PAY A-1 500*0F\r"), 1)
	f.Add([]byte(strings.Repeat("x", 300)+"\nTEST\n"), 7)
	f.Add([]byte("\xff\x00\r\r\n"), 2)
	f.Fuzz(func(t *testing.T, all []byte, step int) {
		at := time.Unix(0, 0)
		whole, pieces := decodeLines(all, len(all)+1, at), decodeLines(all, 1+abs(step)%40, at)
		assert.Equal(t, whole, pieces, "how the bytes were cut into reads does not matter")
		for _, in := range whole {
			if in.fault != "" {
				assert.Empty(t, in.text)
				continue
			}
			assert.LessOrEqual(t, len(in.text), lineBytesMax)
			assert.NotContains(t, in.text, "\n")
			assert.True(t, lineText(in.text))
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func decodeLines(all []byte, step int, at time.Time) (lines []lineIn) {
	var d lineDecoder
	for len(all) > 0 {
		n := min(step, len(all))
		lines = append(lines, d.feed(all[:n], at)...)
		all = all[n:]
	}
	return lines
}

// shortOfFiles is a listener of a process that has no file left for its first connections.
type shortOfFiles struct {
	net.Listener
	left int
}

func (s *shortOfFiles) Accept() (net.Conn, error) {
	if s.left > 0 {
		s.left--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

func TestALineIsNotGivenUpBecauseNoFileIsLeftForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTill(t)
		p := newPipes()
		done := make(chan error, 1)
		go func() { done <- a.server.NewLine(LineConfig{}).Serve(&shortOfFiles{p, 3}) }()
		conn, err := p.dial(t.Context())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "TEST\r\n")
		require.NoError(t, err)
		answer, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		assert.NotEmpty(t, answer)
		conn.Close()
		a.server.close()
		require.NoError(t, <-done)
	})
}
