package till

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"posagent/health"
	"posagent/payflow"
)

// lineAnswers are the words that lines to the till begin with. None of them is a word of the till's, so that an echo is known.
var lineAnswers = map[string]bool{
	"WAIT": true, "OK": true, "NO": true, "HOLD": true, "NOTPAID": true, "ERR": true, "PAYMENT": true, "IDLE": true, "ACKED": true,
	"READY": true, "NOTREADY": true, "TEXT": true, "DAY": true, "SUM": true, "END": true,
}

func isLineAnswer(word string) bool { return lineAnswers[word] }

// verdictLine is what a payment comes to for whoever stands at the till. Only OK lets goods go; only NOTPAID and NO let other means in.
func (s *Server) verdictLine(e payflow.Entry) string {
	id := string(e.OutTradeNo)
	switch {
	case e.Status == payflow.Paid:
		return s.paidLine(e)
	case e.Status.Final():
		return "NO " + id + " " + string(reasonOf(e)) + " " + s.said(e)
	case e.SaleMayUseOtherMeans():
		return "NOTPAID " + id + " " + string(reasonOf(e)) + " " + s.said(e)
	case e.Status == payflow.Waiting, e.Status == payflow.Paying:
		return fmt.Sprintf("WAIT %s %d", id, e.Amount.Minor)
	}
	return "HOLD " + id + " " + string(reasonOf(e)) + " " + s.said(e)
}

// paidLine: goods are given for a payment whose money is still here, not for one that was given back. Where its refunds can't be read nobody
// knows which of the two it is.
func (s *Server) paidLine(e payflow.Entry) string {
	id := string(e.OutTradeNo)
	if e.GivenBack() {
		return "NO " + id + " money_given_back " + s.lineText(lineGivenBack)
	}
	whole, err := s.wholeRefunded(e)
	switch {
	case err != nil:
		s.cfg.Log.Error().Str("out_trade_no", id).Str("error", maskDigits(err.Error())).Msg("the refunds of a payment could not be read")
		return "HOLD " + id + " " + string(lineRefundsUnknown) + " " + s.lineText(lineRefundsUnknown)
	case whole:
		return "NO " + id + " refunded " + s.lineText(lineRefunded)
	}
	return "OK " + id + " " + string(e.Trade.TransactionID)
}

// wholeRefunded reports that all of a payment has gone back, or is on its way back. An error means that it is not known.
func (s *Server) wholeRefunded(e payflow.Entry) (bool, error) {
	sums, err := s.refundSums(e)
	return err == nil && sums.going >= e.Amount.Minor, err
}

// stillPaid reports a paid payment whose money is still here, as far as is known.
func (s *Server) stillPaid(e payflow.Entry) bool {
	if e.Status != payflow.Paid || e.GivenBack() {
		return false
	}
	whole, err := s.wholeRefunded(e)
	return err != nil || !whole
}

// reasonOf is the stable code of why a payment stands where it does; what needs a person goes before.
func reasonOf(e payflow.Entry) payflow.Reason {
	for _, reason := range []payflow.Reason{attentionOf(e), e.Reason} {
		if reason != "" {
			return reason
		}
	}
	return "none"
}

// said is what happened and what to do, in the till's language.
func (s *Server) said(e payflow.Entry) string {
	return s.inLanguage(s.cfg.Words.Message(e)) + " - " + s.inLanguage(s.cfg.Words.NextStep(e))
}

func (s *Server) inLanguage(texts map[string]string) string {
	if text := texts[s.cfg.Language]; text != "" {
		return text
	}
	return texts["en"]
}

func (s *Server) wordsInLanguage(w health.Words) string {
	return s.inLanguage(map[string]string{"en": w.EN, "zh-Hans": w.ZhHans, "zh-Hant": w.ZhHant})
}

// paymentLine names a payment; the sale's number is the rest of the line.
func paymentLine(e payflow.Entry) string {
	return fmt.Sprintf("PAYMENT %s %s %d %s %s", e.OutTradeNo, e.Status, e.Amount.Minor, e.Amount.Currency, e.SaleRef)
}

// problemLine is an error of the desk as code and text. Neither holds what the till has sent.
func (s *Server) problemLine(ctx context.Context, err error) string {
	var p *Problem
	if !errors.As(s.problemOf(ctx, err), &p) {
		p = newProblem(Internal, "")
	}
	code, text := string(p.Code), s.wordsInLanguage(p.NextStep)
	switch {
	case p.Code == NotTaken && p.Reason != "":
		text = s.noticeText(p.Reason)
	case p.PaymentID != "":
		text = p.PaymentID + ": " + text
	}
	return code + " " + text
}

// noticeText is why no payment is taken, and what to do.
func (s *Server) noticeText(kind string) string {
	message, next := s.cfg.Words.Notice(kind)
	return s.inLanguage(message) + " - " + s.inLanguage(next)
}

// cutLine cuts a line to what a till must be able to take, between two characters, and makes one line of it.
func cutLine(line string) string {
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, line)
	if len(line) <= lineBytesMax {
		return line
	}
	cut := lineBytesMax
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut]
}

// reprint gives a slip as lines of text: a payment's, or that of the newest one that has one.
func (c *lineSession) reprint(ctx context.Context, fields []string) {
	if c.l.cfg.Receipt == nil {
		c.write(c.l.s.lineError(lineNoSlip))
		return
	}
	slip, ok := c.slip(ctx, fields)
	if !ok {
		return
	}
	for line := range strings.Lines(slip) {
		c.write("TEXT " + strings.TrimRight(line, "\r\n"))
	}
	c.write("END")
}

func (c *lineSession) slip(ctx context.Context, fields []string) (string, bool) {
	if len(fields) == 1 {
		e, ok := c.named(ctx, fields[0])
		if !ok {
			return "", false
		}
		return c.slipOf([]payflow.Entry{e})
	}
	newest, err := c.l.s.cfg.Desk.Recent(lineListMax)
	if err != nil {
		c.fail(ctx, err)
		return "", false
	}
	return c.slipOf(newest)
}

func (c *lineSession) slipOf(entries []payflow.Entry) (string, bool) {
	for _, e := range entries {
		if slip, err := c.l.cfg.Receipt(e); err == nil {
			return slip, true
		}
	}
	c.write(c.l.s.lineError(lineNoSlip))
	return "", false
}

// lineSums adds up a day for DAYEND.
type lineSums struct {
	paid, refunded, notPaid, open struct {
		count int
		minor int64
	}
	whole bool // every payment of the day was looked at
}

// dayEnd gives the totals of the store's day so far. Nothing is closed by it.
func (c *lineSession) dayEnd(ctx context.Context, _ []string) {
	s := c.l.s
	location := s.cfg.Location
	if location == nil {
		location = time.Local
	}
	day := s.now().In(location).Format(dayStyle)
	sums, err := s.lineSums(day)
	if err != nil {
		c.fail(ctx, err)
		return
	}
	c.write("DAY " + day + " " + string(s.cfg.Currency))
	for _, sum := range []struct {
		name string
		of   struct {
			count int
			minor int64
		}
	}{{"PAID", sums.paid}, {"REFUNDED", sums.refunded}, {"NOTPAID", sums.notPaid}, {"OPEN", sums.open}} {
		c.write(fmt.Sprintf("SUM %s %d %d", sum.name, sum.of.count, sum.of.minor))
	}
	text := lineDaySoFar
	if !sums.whole {
		text = lineDayTooLong
	}
	c.write("TEXT " + s.lineText(text))
	c.write("END")
}

func (s *Server) lineSums(day string) (lineSums, error) {
	var sums lineSums
	after := payflow.OutTradeNo("")
	for range lineDayPages {
		page, err := s.cfg.Desk.Day(day, after, listMax)
		if err != nil {
			return sums, err
		}
		for _, e := range page {
			after = e.OutTradeNo
			if err := s.addToSums(&sums, e); err != nil {
				return sums, err
			}
		}
		if len(page) < listMax {
			sums.whole = true
			return sums, nil
		}
	}
	return sums, nil
}

// addToSums counts a payment. An error means that what went back of it is not known: a sum without it would be wrong.
func (s *Server) addToSums(sums *lineSums, e payflow.Entry) error {
	of := &sums.notPaid
	switch {
	case e.Status == payflow.Paid:
		of = &sums.paid
	case !e.Status.Final():
		of = &sums.open
	}
	of.count++
	of.minor += e.Amount.Minor
	back, err := s.refundSums(e)
	if err != nil {
		return err
	}
	if back.done > 0 {
		sums.refunded.count++
		sums.refunded.minor += back.done
	}
	return nil
}
