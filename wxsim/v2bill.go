package wxsim

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// billHour is when the bill of the day before is there, in GMT+8 (download bill; a Global page says 9).
const billHour = 10

// The bill's columns (download bill). The bill of payments lacks those of refunds; the bill of refunds has two times more.
var (
	billHead    = []string{"交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型", "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额"}
	billTimes   = []string{"退款申请时间", "退款成功时间"}
	billRefunds = []string{"微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态"}
	billGoods   = []string{"商品名称", "商户数据包", "手续费", "费率", "订单金额"}
	billAsked   = []string{"申请退款金额"}
	billNote    = []string{"费率备注"}
	billSums    = []string{"总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额", "申请退款总金额"}
)

// billLine is one line of a bill: a payment, a refund, or a reverse of what was paid. Amounts are in minor units.
type billLine struct {
	order  *order
	at     time.Time
	state  string
	refund *refund // of a refund
	paid   int64   // of a payment
	back   int64   // of a refund or a reverse
}

// billV2 prints the bill of a day from the simulator's own books (API v2, download bill): plain text, unsigned, packed where GZIP
// is asked for. A day is 00:00 to 24:00 in GMT+8. Without a line there is no bill, and the answer is XML.
func (s *Sim) billV2(v *visit) reply {
	fields := v.v2.fields
	day, err := time.ParseInLocation("20060102", fields["bill_date"], chinaTime(time.Now()).Location())
	if err != nil {
		return *malformed("PARAM_ERROR", "bill_date: there is no such day")
	}
	lines := s.billLines(v.account, day, orElse(fields["bill_type"], "ALL"))
	if there := day.Add(24*time.Hour + billHour*time.Hour); len(lines) == 0 || s.clockNow().Before(there) && !s.behaviour.StatementsAtOnce {
		return noBill()
	}
	text := billText(lines, orElse(fields["bill_type"], "ALL"))
	if fields["tar_type"] == "GZIP" {
		text = squeeze(text)
	}
	return reply{status: http.StatusOK, body: text, bare: true, header: http.Header{"Content-Type": {"text/plain"}}}
}

func noBill() reply {
	r := malformed("No Bill Exist", "")
	r.v2.fields = []v2Field{textV2("error_code", "20002")}
	return *r
}

// billLines are a merchant's lines of a day, by time: what either API, another till or the merchant platform did.
func (s *Sim) billLines(a *account, day time.Time, kind string) []billLine {
	now := time.Now()
	var lines []billLine
	add := func(l billLine) {
		if !l.at.Before(day) && l.at.Before(day.Add(24*time.Hour)) && l.belongs(kind) {
			lines = append(lines, l)
		}
	}
	for _, k := range s.line {
		o := s.orders[k]
		if o.merchant != a.MerchantID || o.state == None {
			continue
		}
		if o.settle(now); o.paid.IsZero() {
			continue
		}
		add(billLine{order: o, at: o.paid, state: "SUCCESS", paid: o.total})
		for _, r := range o.refunded {
			add(billLine{order: o, at: r.created, state: "REFUND", refund: r, back: r.amount})
		}
		if o.state == Revoked {
			add(billLine{order: o, at: o.ended, state: "REVOKED", back: o.total})
		}
	}
	slices.SortStableFunc(lines, func(x, y billLine) int { return x.at.Compare(y.at) })
	return lines
}

// belongs reports whether a bill of a type has the line. Refunds out of recharged funds stand in a bill of their own.
func (l billLine) belongs(kind string) bool {
	recharged := l.refund != nil && l.refund.source == fromRecharge
	switch kind {
	case "SUCCESS":
		return l.state == "SUCCESS"
	case "REFUND":
		return l.state == "REFUND" && !recharged
	case "RECHARGE_REFUND":
		return recharged
	}
	return !recharged
}

// billText is the bill: a byte order mark, the columns, the lines, then the columns of the sums and their line. Values begin with a
// backtick, columns do not; nothing is quoted; lines end with CR LF.
func billText(lines []billLine, kind string) []byte {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	row := func(values []string) { b.WriteString(strings.Join(values, ",") + "\r\n") }
	data := func(values []string) {
		for i := range values {
			values[i] = "`" + strings.NewReplacer("\r", " ", "\n", " ").Replace(values[i])
		}
		row(values)
	}
	row(billColumns(kind))
	var sums billTotals
	for _, l := range lines {
		data(l.values(kind))
		sums.add(l)
	}
	row(billSums)
	data(sums.values())
	return b.Bytes()
}

func billColumns(kind string) []string {
	switch kind {
	case "SUCCESS":
		return slices.Concat(billHead, billGoods, billNote)
	case "REFUND", "RECHARGE_REFUND":
		return slices.Concat(billHead, billTimes, billRefunds, billGoods, billAsked, billNote)
	}
	return slices.Concat(billHead, billRefunds, billGoods, billAsked, billNote)
}

// values are a line's, in the columns of its bill.
func (l billLine) values(kind string) []string {
	o := l.order
	head := []string{dayTimeV2(l.at), o.account.AppID, o.merchant, orElse(o.account.SubMerchantID, "0"), o.device, o.id, o.number, o.payer, "MICROPAY",
		l.state, "CCB_DEBIT", o.currency, majorOf(l.paid, o.currency), majorOf(0, o.currency)}
	goods := []string{o.goods, o.attach, decimals(l.fee(), 5), feeRate, majorOf(l.paid, o.currency)}
	asked := []string{majorOf(l.back, o.currency)}
	switch kind {
	case "SUCCESS":
		return slices.Concat(head, goods, []string{""})
	case "REFUND", "RECHARGE_REFUND":
		return slices.Concat(head, l.times(), l.refundValues(), goods, asked, []string{""})
	}
	return slices.Concat(head, l.refundValues(), goods, asked, []string{""})
}

func (l billLine) times() []string {
	if l.refund.state != RefundSuccess {
		return []string{dayTimeV2(l.at), ""}
	}
	return []string{dayTimeV2(l.at), dayTimeV2(l.refund.ended)}
}

func (l billLine) refundValues() []string {
	id, number, kind, state := "0", "0", "", ""
	switch {
	case l.refund != nil:
		id, number, kind, state = l.refund.id, l.refund.number, "ORIGINAL", l.refund.statusV2()
	case l.back > 0:
		kind, state = "ORIGINAL", "SUCCESS"
	}
	return []string{id, number, majorOf(l.back, l.order.currency), majorOf(0, l.order.currency), kind, state}
}

// fee is what WeChat Pay keeps, in hundred-thousandths of a major unit.
func (l billLine) fee() int64 { return l.paid * minorValue(l.order.currency) * feePerMille }

// billTotals are the sums. They are printed with as many decimals as they need and at least one, the count too, as the bills that
// have been seen print them.
type billTotals struct {
	count           int64
	paid, back, fee int64 // paid and back in hundredths, fee in hundred-thousandths
}

func (t *billTotals) add(l billLine) {
	t.count++
	t.paid += l.paid * minorValue(l.order.currency)
	t.back += l.back * minorValue(l.order.currency)
	t.fee += l.fee()
}

func (t *billTotals) values() []string {
	paid, back := atLeastOne(decimals(t.paid, 2)), atLeastOne(decimals(t.back, 2))
	return []string{strconv.FormatInt(t.count, 10) + ".0", paid, back, "0.0", atLeastOne(decimals(t.fee, 5)), paid, back}
}

// minorValue is a currency's minor unit in hundredths of its major unit (ISO 4217).
func minorValue(currency string) int64 {
	if currency == "JPY" || currency == "KRW" || currency == "ISK" {
		return 100
	}
	return 1
}

// majorOf prints an amount in major units with two decimals.
func majorOf(minor int64, currency string) string { return decimals(minor*minorValue(currency), 2) }

// decimals prints a number of 10^-places.
func decimals(n int64, places int) string {
	digits := fmt.Sprintf("%0*d", places+1, n)
	return digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

func atLeastOne(text string) string {
	text = strings.TrimRight(text, "0")
	if strings.HasSuffix(text, ".") {
		return text + "0"
	}
	return text
}
