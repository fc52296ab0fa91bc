package wxclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"posagent/payflow"
)

const settlementsPath = "/v3/global/settle/settlements"

// The bounds of a settlement query.
const (
	settlementsPage = 20   // limit, where the query gives none
	settlementsMax  = 5000 // lines of one query: more than ten years of days
)

// SettlementQuery says which payouts to ask for (settlement query).
type SettlementQuery struct {
	Settled  bool   // what was paid out; false: what will be
	From, To string // settlement dates YYYYMMDD, both or neither; neither: WeChat Pay's choice
	Offset   int    // where to begin, 0 at first
	Limit    int    // lines of one answer, 1 to 20; 0: 20
}

// Settlements returns the payouts from q.Offset on, page after page until there are no more, and how many there are in all
// (settlement query). Every error is a *payflow.LostError.
func (c *Client) Settlements(ctx context.Context, q SettlementQuery) ([]payflow.Settlement, int, error) {
	q.Limit = orElse(q.Limit, settlementsPage)
	if err := q.check(); err != nil {
		return nil, 0, lost(payflow.ReasonConfiguration, fmt.Errorf("query settlements: nothing was sent: %w", err))
	}
	var all []payflow.Settlement
	for {
		page, err := c.settlementsFrom(ctx, q, q.Offset+len(all))
		if err != nil {
			return nil, 0, about("query settlements", payflow.Order{}, err)
		}
		all = append(all, page.settlements(q.Settled)...)
		if q.Offset+len(all) >= page.TotalCount {
			return all, page.TotalCount, nil
		}
		if len(page.Data) == 0 {
			return nil, 0, lost(payflow.ReasonUnverified, fmt.Errorf("query settlements: an empty page after %d of %d", q.Offset+len(all), page.TotalCount))
		}
	}
}

func (q SettlementQuery) check() error {
	if (q.From == "") != (q.To == "") {
		return errors.New("give both settlement dates, or neither")
	}
	for _, day := range []string{q.From, q.To} {
		if _, err := time.Parse(dayFormat, day); day != "" && err != nil {
			return fmt.Errorf("settlement date %.20q is not YYYYMMDD", day)
		}
	}
	if q.Offset < 0 || q.Offset > settlementsMax || q.Limit < 1 || q.Limit > settlementsPage {
		return fmt.Errorf("offset %d or limit %d is out of range", q.Offset, q.Limit)
	}
	return nil
}

// dayFormat is how a day is written: YYYYMMDD, in GMT+8.
const dayFormat = "20060102"

func (c *Client) settlementsFrom(ctx context.Context, q SettlementQuery, offset int) (settlementsAnswer, error) {
	a, err := c.call(ctx, request{call: "query settlements", method: http.MethodGet, target: c.settlementsTarget(q, offset)})
	if err != nil {
		return settlementsAnswer{}, lostCall("query settlements", payflow.Order{}, err)
	}
	page, said := readSettlements(a)
	trust := c.verify(ctx, a)
	c.noteAnswer(a, payflow.Outcome{}, trust)
	if err := believed(payflow.Outcome{}, said, trust); err != nil {
		return settlementsAnswer{}, err
	}
	c.noteBelieved("")
	return page, nil
}

// settlementsTarget writes the query in the order of the published example. Whose money it is follows from the signature, and in
// institution mode from the shop's number.
func (c *Client) settlementsTarget(q SettlementQuery, offset int) string {
	target := settlementsPath + "?"
	if c.merchant.Mode == payflow.Institution {
		target += "sub_mchid=" + url.QueryEscape(c.merchant.SubMerchantID) + "&"
	}
	if q.Settled {
		target += "settle_state=SETTLED"
	} else {
		target += "settle_state=UNSETTLE"
	}
	if q.From != "" {
		target += "&settle_start_date=" + q.From + "&settle_end_date=" + q.To
	}
	return target + "&offset=" + strconv.Itoa(offset) + "&limit=" + strconv.Itoa(q.Limit)
}

// settlementsAnswer is one page of payouts.
type settlementsAnswer struct {
	Data       []settlementAnswer `json:"data"`
	TotalCount int                `json:"total_count"`
}

type settlementAnswer struct {
	BatchID        shown `json:"batch_id"`
	SettlementDate shown `json:"settlement_date"`
	TradeStartDate shown `json:"trade_start_date"`
	TradeEndDate   shown `json:"trade_end_date"`
	WalletRegion   shown `json:"wallet_region"`
	Amount         struct {
		Settled  int64  `json:"settled"`
		Unsettle int64  `json:"unsettle"`
		Currency string `json:"currency"`
		Pay      int64  `json:"pay"`
		Refund   int64  `json:"refund"`
		Net      int64  `json:"net"`
		Fee      int64  `json:"fee"`
	} `json:"amount"`
}

// readSettlements reads an answer to a settlement query as if it were verified.
func readSettlements(a answer) (settlementsAnswer, error) {
	if a.status != http.StatusOK {
		return settlementsAnswer{}, unlisted(a, readTrouble(a))
	}
	var page settlementsAnswer
	if err := json.Unmarshal(a.body, &page); err != nil {
		return settlementsAnswer{}, lost(payflow.ReasonUnverified, errNoSettlements)
	}
	if page.TotalCount < len(page.Data) || page.TotalCount > settlementsMax {
		return settlementsAnswer{}, lost(payflow.ReasonUnverified, fmt.Errorf("it says that there are %d settlements", page.TotalCount))
	}
	for _, line := range page.Data {
		if _, err := payflow.ParseCurrency(line.Amount.Currency); err != nil {
			return settlementsAnswer{}, lost(payflow.ReasonUnverified, fmt.Errorf("settlement %.40q: %w", maskText(string(line.BatchID), 40), err))
		}
	}
	return page, nil
}

var errNoSettlements = errors.New("it is no list of settlements")

func (page settlementsAnswer) settlements(settled bool) []payflow.Settlement {
	lines := make([]payflow.Settlement, 0, len(page.Data))
	for _, line := range page.Data {
		lines = append(lines, line.settlement(settled))
	}
	return lines
}

func (line settlementAnswer) settlement(settled bool) payflow.Settlement {
	amount := func(minor int64) payflow.Amount {
		return payflow.Amount{Minor: minor, Currency: payflow.Currency(line.Amount.Currency)}
	}
	s := payflow.Settlement{
		BatchID:      maskID(string(line.BatchID), 64),
		Settled:      settled,
		Date:         maskText(string(line.SettlementDate), 10),
		TradesFrom:   maskText(string(line.TradeStartDate), 10),
		TradesTo:     maskText(string(line.TradeEndDate), 10),
		WalletRegion: maskText(string(line.WalletRegion), 32),
		Payout:       amount(line.Amount.Unsettle),
		Pay:          amount(line.Amount.Pay),
		Refund:       amount(line.Amount.Refund),
		Net:          amount(line.Amount.Net),
		Fee:          amount(line.Amount.Fee),
	}
	if settled {
		s.Payout = amount(line.Amount.Settled)
	}
	return s
}
