package wxsim

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	statementDays = 180 * 24 * time.Hour // not older (downloading reconciliation, tips)
	statementHour = 10                   // of the next day, GMT+8: made from 9:00 on, to be had from 10:00 on
	dayForm       = "20060102"
	statementTime = "2006-01-02 15:04:05" // GMT+8
	feePerMille   = 6                     // of what customers pay: WeChat Pay's own share
	feeRate       = "0.60%"
)

var day = regexp.MustCompile(`^[0-9]{8}$`)

// statement is the file of one day of WeChat Pay's (Global v3, downloading reconciliation): payments, refunds and reverses of paid
// orders, from the same books as everything else. The caller holds s.mu.
func (s *Sim) statement(v *visit) reply {
	rules := idRules(v.account.Mode, false)
	rules["date"] = must(like(texts(8), day))
	if sub, there := rules["sub_mchid"]; there {
		sub.must = false // without it, all sub merchants of the institution
		rules["sub_mchid"] = sub
	}
	if no := checkParameters(v, rules); no != nil {
		return *no
	}
	given := v.request.URL.Query()
	if no := v.account.checkIDs(given.Get("mchid")+given.Get("sp_mchid"), orElse(given.Get("sub_mchid"), v.account.SubMerchantID)); no != nil {
		return *no
	}
	date, err := time.ParseInLocation(dayForm, given.Get("date"), chinaTime(time.Time{}).Location())
	if err != nil {
		return *inQuery(wrong("/date", "there is no such day", errnoParam))
	}
	rows, no := s.statementRows(v.account, date)
	if no != nil {
		return *no
	}
	return s.statementFile(v, rows)
}

// statementRows are the rows of a day, or the reason why there is no statement.
func (s *Sim) statementRows(a *account, date time.Time) ([]statementRow, *reply) {
	now := s.clockNow()
	made := date.AddDate(0, 0, 1).Add(statementHour * time.Hour)
	if s.behaviour.StatementsAtOnce {
		made = date
	}
	switch {
	case now.Sub(date) > statementDays:
		no := refusal(http.StatusBadRequest, "INVALID_REQUEST", "Statements of the last 180 days can be had", 0)
		return nil, &no
	case now.Before(made):
		return nil, noStatement()
	}
	rows := slices.DeleteFunc(s.rowsOf(a, s.settledBy(date)), func(r statementRow) bool { return r.day() != date.Format(dayForm) })
	if len(rows) == 0 {
		return nil, noStatement()
	}
	return rows, nil
}

func noStatement() *reply {
	no := refusal(http.StatusBadRequest, "NO_STATEMENT_EXIST", "There is no statement of that day", 0)
	return &no
}

// settledBy is the moment whose states a statement tells: when it was made, or now where it is made at once.
func (s *Sim) settledBy(date time.Time) time.Time {
	now := time.Now()
	made := date.AddDate(0, 0, 1).Add((statementHour - 1) * time.Hour)
	if s.behaviour.StatementsAtOnce || now.Before(made) {
		return now
	}
	return made
}

// statementRow is one line: a payment, a refund, or a paid order that was taken back.
type statementRow struct {
	at     time.Time
	order  *order
	state  TradeState
	refund *refund     // of a refund
	reads  RefundState // of a refund, and of a reverse
	number string      // out_refund_no; a reverse has the order's own number
	id     string      // of the refund
	amount int64       // paid, or given back
}

func (r statementRow) givesBack() bool { return r.state != Success }

// moves reports whether money goes from one to the other: with a closed refund it does not.
func (r statementRow) moves() bool { return r.reads != RefundClosed }

func (r statementRow) day() string { return chinaTime(r.at).Format(dayForm) }

// rowsOf are a merchant's rows in the order of their times, with the states of a moment. A refund stands at the time when it was
// taken on, a reverse at its own; both beside the payment's row.
func (s *Sim) rowsOf(a *account, by time.Time) []statementRow {
	var rows []statementRow
	add := func(r statementRow) { rows = append(rows, r) }
	for _, k := range s.line {
		o := s.orders[k]
		if o.account != a {
			continue
		}
		o.settle(time.Now())
		if o.charged == 0 {
			continue
		}
		add(statementRow{at: o.paid, order: o, state: Success, amount: o.total})
		if o.state == Revoked {
			add(statementRow{at: o.ended, order: o, state: Revoked, reads: RefundSuccess, number: o.number, id: "5030" + o.id[4:], amount: o.total})
		}
		for _, r := range o.refunded {
			add(statementRow{at: r.created, order: o, state: Refunded, refund: r, reads: r.stateAt(by), number: r.number, id: r.id, amount: r.amount})
		}
	}
	slices.SortStableFunc(rows, func(x, y statementRow) int { return x.at.Compare(y.at) })
	return rows
}

func (r *refund) stateAt(at time.Time) RefundState {
	if r.ended.IsZero() || r.ended.After(at) {
		return RefundProcessing
	}
	return r.state
}

// statementColumns are the columns of the page (downloading reconciliation, returned parameters), in its order.
var statementColumns = []struct{ english, chinese string }{
	{"Transaction time", "交易时间"}, {"Official account ID", "公众账号ID"}, {"Vendor ID", "商户号"}, {"Sub vendor ID", "子商户号"}, {"Device No.", "设备号"},
	{"WeChat order No.", "微信订单号"}, {"Vendor order No.", "商户订单号"}, {"User identifier", "用户标识"}, {"Transaction type", "交易类型"},
	{"Transaction status", "交易状态"}, {"Payment bank", "付款银行"}, {"Top-up voucher currency", "充值券币种"}, {"Top-up voucher amount", "充值券金额"},
	{"Voucher currency", "优惠券币种"}, {"Voucher amount", "优惠券金额"}, {"WeChat refund No.", "微信退款单号"}, {"Merchant refund No.", "商户退款单号"},
	{"Refund type", "退款类型"}, {"Refund status", "退款状态"}, {"Commodity name", "商品名称"}, {"Merchant data package", "商户数据包"}, {"Service fee", "手续费"},
	{"Rate", "费率"}, {"Priced currency", "标价币种"}, {"Order amount (priced currency)", "订单金额(标价币种)"}, {"User payment currency", "用户支付币种"},
	{"User payment amount", "用户支付金额"}, {"Settlement currency", "结算币种"}, {"Settlement order amount", "应结订单金额"},
	{"Payment exchange rate", "支付汇率"}, {"Refund exchange rate", "退款汇率"}, {"Requested refund amount", "申请退款金额"},
	{"User refund currency", "用户退款币种"}, {"User refund amount", "用户退款金额"}, {"Refund settlement currency", "退款结算币种"},
	{"Refund settlement amount", "退款应结订单金额"}, {"Top-up voucher refund amount", "充值券退款金额"}, {"Voucher refund amount", "优惠券退款金额"},
}

// summaryColumns are those of the v2 bill's last two lines. The Global page does not tell of a summary: see
// Behaviour.NoStatementSummary.
var summaryColumns = []struct{ english, chinese string }{
	{"Total transactions", "总交易单数"}, {"Total settlement order amount", "应结订单总金额"}, {"Total refund amount", "退款总金额"},
	{"Total voucher refund amount", "充值券退款总金额"}, {"Total service fee", "手续费总金额"}, {"Total order amount", "订单总金额"},
	{"Total requested refund amount", "申请退款总金额"},
}

// fields are the values of a row, in the columns' order. As in the v2 bill, a row of a refund has no order amount, and one of a
// payment has refund number 0.
func (r statementRow) fields() []string {
	o, none := r.order, "0.00"
	paid, payer, back, payerBack := money(r.amount, o.currency), money(o.payerShare(r.amount), payerCurrency), none, none
	refundID, refundNumber, channel, refundRate := "0", "0", "", ""
	payerBackCurrency, settledBackCurrency := "", ""
	rate := fmt.Sprint(o.rate())
	if r.givesBack() {
		paid, payer, back, payerBack = none, none, paid, payer
		refundID, refundNumber, channel = r.id, r.number, "ORIGINAL"
		payerBackCurrency, settledBackCurrency, refundRate, rate = payerCurrency, o.currency, rate, ""
	}
	sub := orElse(o.account.SubMerchantID, "0")
	return []string{chinaTime(r.at).Format(statementTime), o.account.AppID, o.account.MerchantID, sub, o.device, o.id, o.number, o.payer, "MICROPAY",
		string(r.state), "CCB_DEBIT", "", none, "", none, refundID, refundNumber, channel, string(r.reads), o.goods, o.attach,
		feeText(r.fee(), o.currency), feeRate, o.currency, paid, payerCurrency, payer, o.currency, paid, rate, refundRate, back,
		payerBackCurrency, payerBack, settledBackCurrency, back, none, none}
}

// fee is WeChat Pay's share, in thousandths of a minor unit; what is given back takes it back.
func (r statementRow) fee() int64 {
	switch {
	case !r.moves():
		return 0
	case r.givesBack():
		return -r.amount * feePerMille
	}
	return r.amount * feePerMille
}

// statementFile writes rows as a file: a byte order mark, the header, a row a line, each value behind a backtick, commas between
// and nothing quoted, CR LF. Then a second header and one row that adds up.
func (s *Sim) statementFile(v *visit, rows []statementRow) reply {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	writeHeader(&b, statementColumns, s.behaviour.ChineseStatements)
	for _, r := range rows {
		writeRow(&b, r.fields())
	}
	if !s.behaviour.NoStatementSummary {
		writeHeader(&b, summaryColumns, s.behaviour.ChineseStatements)
		writeRow(&b, summary(rows))
	}
	return reply{status: http.StatusOK, body: b.Bytes(), header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, order: v.key,
		digested: true, packed: acceptsGzip(v.request)}
}

func acceptsGzip(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept-Encoding"), ","), "gzip")
}

func writeHeader(b *bytes.Buffer, columns []struct{ english, chinese string }, chinese bool) {
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		if chinese {
			b.WriteString(c.chinese)
		} else {
			b.WriteString(c.english)
		}
	}
	b.WriteString("\r\n")
}

var fieldText = strings.NewReplacer("\r", " ", "\n", " ", "`", "'")

func writeRow(b *bytes.Buffer, fields []string) {
	for i, field := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("`" + fieldText.Replace(field))
	}
	b.WriteString("\r\n")
}

// summary adds rows up, whatever their currencies.
func summary(rows []statementRow) []string {
	var paid, back, fees int64
	unit := ""
	for _, r := range rows {
		unit = r.order.currency
		fees += r.fee()
		switch {
		case !r.givesBack():
			paid += r.amount
		case r.moves():
			back += r.amount
		}
	}
	return []string{fmt.Sprintf("%d.0", len(rows)), money(paid, unit), money(back, unit), "0.0", feeText(fees, unit), money(paid, unit), money(back, unit)}
}

// money prints minor units as major ones with two decimals, whatever the currency has.
func money(minor int64, unit string) string {
	if withoutMinor(unit) {
		return fmt.Sprintf("%d.00", minor)
	}
	return fmt.Sprintf("%d.%02d", minor/100, minor%100)
}

// withoutMinor are the currencies of the documents' list that have no minor unit by ISO 4217.
func withoutMinor(unit string) bool { return slices.Contains([]string{"JPY", "KRW", "ISK"}, unit) }

// feeText prints thousandths of a minor unit as major units with five decimals.
func feeText(thousandths int64, unit string) string {
	sign := ""
	if thousandths < 0 {
		sign, thousandths = "-", -thousandths
	}
	if withoutMinor(unit) {
		thousandths *= 100
	}
	return fmt.Sprintf("%s%d.%05d", sign, thousandths/100_000, thousandths%100_000)
}

// digest names the body by its SHA-1 and returns the text that is signed instead of the body.
func (r *reply) digest() string {
	sum := sha1.Sum(r.body)
	named := hex.EncodeToString(sum[:])
	switch r.digests {
	case DigestWrong:
		named = strings.Repeat("0", 40)
	case DigestOdd:
		named = base64.StdEncoding.EncodeToString(slices.Concat(sum[:], sum[:], sum[:]))
	}
	r.header.Set("Wechatpay-Statement-Sha1", named)
	return `{"sha1":"` + named + `"}`
}

// pack compresses an answer that asked for it, unless a fault has done so.
func (r *reply) pack() {
	if r.packed && r.header.Get("Content-Encoding") == "" {
		r.body = squeeze(r.body)
		r.header.Set("Content-Encoding", "gzip")
	}
}
