package till

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posagent/health"
	"posagent/payflow"
)

// billAskWithin bounds asking WeChat Pay about a number that this till does not know: a customer stands there.
const billAskWithin = 8 * time.Second

// billLookEvery is how often the journal is looked at while the engine asks again about a payment of this till.
const billLookEvery = 50 * time.Millisecond

// BillDesk asks WeChat Pay about a number that this till's journal does not know. It only reads.
type BillDesk interface {
	// AskBill asks about a number of WeChat Pay's or, where that is empty, about an order number of this merchant. Errors are those of a
	// query: the answer is not known.
	AskBill(ctx context.Context, id payflow.TransactionID, no payflow.OutTradeNo) (payflow.Outcome, error)
}

// BillAnswer says what a number on a customer's bill means here.
type BillAnswer string

// The answers. Each has its words in the catalogue, under notices, as bill_ and the answer.
const (
	BillPaid        BillAnswer = "paid"         // this till has it as paid, and nobody has said yet what became of the goods
	BillGoodsGiven  BillAnswer = "goods_given"  // paid, and the goods were given
	BillMoneyBack   BillAnswer = "money_back"   // paid, and given back in whole
	BillUndecided   BillAnswer = "undecided"    // still being asked about
	BillTakingBack  BillAnswer = "taking_back"  // being taken back, whatever the customer's phone says
	BillTakenBack   BillAnswer = "taken_back"   // not paid: what was taken has gone or goes back
	BillNotPaid     BillAnswer = "not_paid"     // not paid, and no money was seen
	BillLate        BillAnswer = "late"         // WeChat Pay took the money after the end; it is being given back
	BillOtherPaid   BillAnswer = "other_paid"   // a paid order of this merchant, not of this till
	BillOtherUnpaid BillAnswer = "other_unpaid" // an order of this merchant, not of this till, that is not paid
	BillNotOurs     BillAnswer = "not_ours"     // WeChat Pay does not know the number for this merchant
	BillNotAsked    BillAnswer = "not_asked"    // not of this till, and WeChat Pay could not be asked
	BillCode        BillAnswer = "payment_code" // what was scanned is a payment code and no bill
	BillNoNumber    BillAnswer = "no_number"    // what was scanned is no number of a bill
)

// BillAnswers returns every answer.
func BillAnswers() []BillAnswer {
	return []BillAnswer{BillPaid, BillGoodsGiven, BillMoneyBack, BillUndecided, BillTakingBack, BillTakenBack, BillNotPaid, BillLate, BillOtherPaid, BillOtherUnpaid,
		BillNotOurs, BillNotAsked, BillCode, BillNoNumber, BillNoScan}
}

// BillBody is the body of POST /v1/bills.
type BillBody struct {
	Number string `json:"number" minLength:"1" maxLength:"64" doc:"What is scanned from the customer's bill: WeChat Pay's transaction number, or the order number. A payment code is refused and never shown again."`
}

// Bill is what a number on a customer's bill means here.
type Bill struct {
	Answer   BillAnswer   `json:"answer" enum:"paid,goods_given,money_back,undecided,taking_back,taken_back,not_paid,late,other_paid,other_unpaid,not_ours,not_asked,payment_code,no_number,no_scan"`
	Message  health.Words `json:"message" doc:"What happened."`
	NextStep health.Words `json:"next_step" doc:"What to do now."`
	Payment  *Payment     `json:"payment,omitempty" doc:"With an answer about a payment of this till."`
	Order    *BillOrder   `json:"order,omitempty" doc:"With other_paid and other_unpaid: the order as WeChat Pay shows it."`
}

// BillOrder is an order of this merchant that is none of this till's.
type BillOrder struct {
	Number        payflow.OutTradeNo    `json:"number"`
	TransactionID payflow.TransactionID `json:"transaction_id,omitempty"`
	State         payflow.TradeState    `json:"state" doc:"WeChat Pay's trade_state."`
	Amount        int64                 `json:"amount"`
	Currency      payflow.Currency      `json:"currency"`
	AmountText    string                `json:"amount_text"`
	PaidAt        time.Time             `json:"paid_at,omitempty,omitzero"`
}

type (
	billInput  struct{ Body BillBody }
	billOutput struct{ Body Bill }
)

func (s *Server) registerBills(api huma.API) {
	huma.Register(api, call{
		id: "find-bill", method: http.MethodPost, path: "/v1/bills", summary: "What a number on a customer's bill means here",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{TooMany},
	}.operation(api), s.bill)
}

// bill answers out of the journal where it knows the number, and asks WeChat Pay where it does not.
func (s *Server) bill(ctx context.Context, in *billInput) (*billOutput, error) {
	number := strings.TrimSpace(in.Body.Number)
	if refused := s.notABill(number); refused != "" {
		return s.billSays(refused, nil, nil), nil
	}
	e, known, err := s.findByNumber(number)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	if known {
		if _, err := s.wholeRefunded(e); err != nil {
			return nil, s.problemOf(ctx, err) // nobody knows whether its money is still here
		}
		return s.billOf(e), nil
	}
	if s.cfg.Bills == nil {
		return s.billSays(BillNotAsked, nil, nil), nil
	}
	if !s.bills.enter() {
		return nil, newProblem(TooMany, "")
	}
	defer s.bills.leave()
	return s.askBill(ctx, number)
}

// transactionNumber is the form of WeChat Pay's own numbers: 28 digits, of which the 11th to 18th are its day in GMT+8.
var transactionNumber = regexp.MustCompile(`^[0-9]{28}$`)

// orderNumber is the form of a merchant's order number (out_trade_no: 6 to 32 characters).
var orderNumber = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

// notABill says why a text can be no bill's number; "" where it can.
func (s *Server) notABill(number string) BillAnswer {
	switch payflow.KindOfCode(number, "", s.cfg.CodePrefixes) {
	case payflow.CodeWeChat, payflow.CodeAlipay, payflow.CodeUnionPay, payflow.CodeWrongPrefix:
		return BillCode
	}
	switch {
	case transactionNumber.MatchString(number):
		return ""
	case holdsCode(number, s.cfg.CodePrefixes):
		return BillCode // what is asked of WeChat Pay and written in the log holds none
	case !orderNumber.MatchString(number), holdsToken(number), s.cfg.Secret != nil && s.cfg.Secret(number):
		return BillNoNumber
	}
	return ""
}

// findByNumber looks a payment up in the journal, by its order number or by WeChat Pay's.
func (s *Server) findByNumber(number string) (payflow.Entry, bool, error) {
	if id, err := payflow.ParseOutTradeNo(strings.ToUpper(number)); err == nil {
		e, err := s.cfg.Desk.Payment(id)
		if err == nil {
			return e, true, nil
		}
		if !errors.Is(err, payflow.ErrNoPayment) {
			return payflow.Entry{}, false, err
		}
	}
	if !transactionNumber.MatchString(number) {
		return payflow.Entry{}, false, nil
	}
	return s.findByTransaction(payflow.TransactionID(number))
}

// findByTransaction looks through the newest payments, then through the store days around the day that stands in WeChat Pay's number.
func (s *Server) findByTransaction(id payflow.TransactionID) (payflow.Entry, bool, error) {
	newest, err := s.cfg.Desk.Recent(listMax)
	if err != nil {
		return payflow.Entry{}, false, err
	}
	for _, e := range newest {
		if e.Trade.TransactionID == id {
			return e, true, nil
		}
	}
	day, err := time.Parse("20060102", string(id[10:18]))
	if err != nil {
		return payflow.Entry{}, false, nil
	}
	for _, shift := range []int{0, -1, 1} { // its day ends at another hour than the store's
		e, found, err := s.findInDayByTransaction(day.AddDate(0, 0, shift).Format(dayStyle), id)
		if found || err != nil {
			return e, found, err
		}
	}
	return payflow.Entry{}, false, nil
}

func (s *Server) findInDayByTransaction(day string, id payflow.TransactionID) (payflow.Entry, bool, error) {
	after := payflow.OutTradeNo("")
	for looked := 0; looked < scanMax; looked += listMax {
		page, err := s.cfg.Desk.Day(day, after, listMax)
		if err != nil {
			return payflow.Entry{}, false, err
		}
		for _, e := range page {
			if after = e.OutTradeNo; e.Trade.TransactionID == id {
				return e, true, nil
			}
		}
		if len(page) < listMax {
			break
		}
	}
	return payflow.Entry{}, false, nil
}

// billOf is what a payment of this till means to a customer who shows its bill.
func (s *Server) billOf(e payflow.Entry) *billOutput {
	return s.billOfView(e, s.view(e, s.now()))
}

func (s *Server) billOfView(e payflow.Entry, p Payment) *billOutput {
	answer := billAnswer(e, p)
	out := s.billSays(answer, &p, nil)
	message, next := s.cfg.Words.Notice("bill_" + billCase(answer, e, p))
	out.Body.Message, out.Body.NextStep = inAll(message), inAll(next)
	if p.Attention != "" && out.Body.Answer != BillLate {
		out.Body.NextStep = p.NextStep // a person must look, and that binds more
	}
	return out
}

func billAnswer(e payflow.Entry, p Payment) BillAnswer {
	switch {
	case heldLate(e.Late):
		return BillLate
	case e.Status == payflow.Paid && (wholeBack(p) || e.Acknowledged.How == payflow.MoneyGivenBack):
		return BillMoneyBack
	case e.Status == payflow.Paid && e.Acknowledged.How == payflow.GoodsGiven:
		return BillGoodsGiven
	case e.Status == payflow.Paid:
		return BillPaid
	case e.Status == payflow.Reversing:
		return BillTakingBack
	case e.Status == payflow.Paying || e.Status == payflow.Confirming:
		return BillUndecided
	case e.Status == payflow.Reversed && e.Reason != payflow.ReasonNeverArrived, e.Late.MoneySeen:
		return BillTakenBack
	}
	return BillNotPaid
}

// billCase names the words of an answer: money is said to go back only where it may have been taken, a refund is never left out, and to check
// again is advised only where WeChat Pay was asked for money at all.
func billCase(answer BillAnswer, e payflow.Entry, p Payment) string {
	seen := e.MoneySeen || e.Late.MoneySeen
	switch {
	case answer == BillMoneyBack && p.Refunded < p.Amount && e.Acknowledged.How == payflow.MoneyGivenBack:
		return "money_back_by_hand"
	case answer == BillMoneyBack && p.Refunded < p.Amount:
		return "money_going_back"
	case (answer == BillPaid || answer == BillGoodsGiven) && len(p.Refunds) > 0:
		return string(answer) + "_refund"
	case answer == BillTakenBack && seen:
		return "taken_back_money"
	case answer == BillNotPaid && e.FirstPayAt.IsZero():
		return "not_sent"
	}
	return string(answer)
}

// askBill asks WeChat Pay. What it says decides nothing here: no payment of this till is touched, but that WeChat Pay is asked again about one.
func (s *Server) askBill(ctx context.Context, number string) (*billOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, billAskWithin)
	defer cancel()
	id, no := payflow.TransactionID(""), payflow.OutTradeNo(number)
	if transactionNumber.MatchString(number) {
		id, no = payflow.TransactionID(number), ""
	}
	outcome, err := s.cfg.Bills.AskBill(ctx, id, no)
	switch {
	case err != nil:
		return s.billSays(BillNotAsked, nil, nil), nil
	case outcome.Kind != payflow.Found:
		return s.billSays(BillNotOurs, nil, nil), nil
	}
	t := outcome.Trade
	own, err := s.cfg.Desk.Payment(t.OutTradeNo)
	switch {
	case err == nil:
		return s.ownBill(ctx, own, t), nil
	case !errors.Is(err, payflow.ErrNoPayment):
		return nil, s.problemOf(ctx, err)
	}
	order := &BillOrder{Number: t.OutTradeNo, TransactionID: t.TransactionID, State: t.State, Amount: t.Amount.Minor, Currency: t.Amount.Currency,
		AmountText: t.Amount.String(), PaidAt: t.SuccessTime}
	if t.State == payflow.TradeSuccess {
		return s.billSays(BillOtherPaid, nil, order), nil
	}
	return s.billSays(BillOtherUnpaid, nil, order), nil
}

// ownBill is about a payment of this till whose number at WeChat Pay the journal has not learnt: it is still open, or it ended unpaid. Where
// WeChat Pay shows the money of one that is over, the engine is told to ask again, as by look-again, and takes the money back.
func (s *Server) ownBill(ctx context.Context, e payflow.Entry, t payflow.Trade) *billOutput {
	if t.State != payflow.TradeSuccess || e.Open() || e.Status == payflow.Paid || e.Late.MoneySeen || s.cfg.Late == nil {
		return s.billOf(e)
	}
	if _, err := s.cfg.Late.LookAgain(via(ctx), e.OutTradeNo, callerOf(ctx).who("")); err == nil {
		e = s.moneySeen(ctx, e)
	}
	if e.Late.MoneySeen {
		return s.billOf(e)
	}
	p := s.view(e, s.now())
	return s.billSays(BillUndecided, &p, nil) // "nothing was taken" is not true of it
}

func (s *Server) billSays(answer BillAnswer, p *Payment, o *BillOrder) *billOutput {
	message, next := s.cfg.Words.Notice("bill_" + string(answer))
	return &billOutput{Body: Bill{Answer: answer, Message: inAll(message), NextStep: inAll(next), Payment: p, Order: o}}
}

// moneySeen waits until the engine has seen the money of a payment that it asks about once more, or ctx ends: no version counts that.
func (s *Server) moneySeen(ctx context.Context, e payflow.Entry) payflow.Entry {
	tick := time.NewTicker(billLookEvery)
	defer tick.Stop()
	for !e.Late.MoneySeen {
		select {
		case <-ctx.Done():
			return e
		case <-tick.C:
		}
		if now, err := s.cfg.Desk.Payment(e.OutTradeNo); err == nil {
			e = now
		}
	}
	return e
}
