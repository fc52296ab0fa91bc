package wxsim

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The bill's columns (download bill). The bill of payments lacks those of refunds; the bill of refunds has two times more.
var (
	billHead    = []string{"交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号", "用户标识", "交易类型", "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额"}
	billTimes   = []string{"退款申请时间", "退款成功时间"}
	billRefunds = []string{"微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态"}
	billGoods   = []string{"商品名称", "商户数据包", "手续费", "费率", "订单金额"}
	billAsked   = []string{"申请退款金额"}
	billNote    = []string{"费率备注"}
)

// billV2 prints the bill of a day from the rows of v3's statement (API v2, download bill): plain text, unsigned, packed where GZIP is
// asked for. Without a row there is no bill, and the answer is XML. The caller holds s.mu.
func (s *Sim) billV2(v *visit) reply {
	fields := v.v2.fields
	date, err := time.ParseInLocation(dayForm, fields["bill_date"], chinaTime(time.Time{}).Location())
	if err != nil {
		return *malformed("PARAM_ERROR", "bill_date: there is no such day")
	}
	kind := orElse(fields["bill_type"], "ALL")
	rows, no := s.statementRows(v.account, date)
	rows = slices.DeleteFunc(rows, func(r statementRow) bool { return !r.belongs(kind) })
	if no != nil || len(rows) == 0 {
		return noBill()
	}
	text := billText(rows, kind)
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

// belongs reports whether a bill of a type has the row. Refunds out of recharged funds stand in a bill of their own.
func (r statementRow) belongs(kind string) bool {
	recharged := r.refund != nil && r.refund.source == fromRecharge
	switch kind {
	case "SUCCESS":
		return r.state == Success
	case "REFUND":
		return r.refund != nil && !recharged
	case "RECHARGE_REFUND":
		return recharged
	}
	return !recharged
}

// billText is the bill: a byte order mark, the columns, the rows, then the columns of the sums and their row. Values begin with a
// backtick, columns do not; nothing is quoted; lines end with CR LF.
func billText(rows []statementRow, kind string) []byte {
	var b bytes.Buffer
	b.WriteString("\ufeff" + strings.Join(billColumns(kind), ",") + "\r\n")
	for _, r := range rows {
		writeRow(&b, r.billValues(kind))
	}
	writeHeader(&b, summaryColumns, true)
	sums := summary(rows)
	for i := range sums {
		sums[i] = shortest(sums[i])
	}
	writeRow(&b, sums)
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

// billValues are a row's, in the columns of its bill. A row that gives back has no order amount, one of a payment has refund number 0.
func (r statementRow) billValues(kind string) []string {
	o, none := r.order, "0.00"
	paid, back, id, number, channel := money(r.amount, o.currency), none, "0", "0", ""
	if r.givesBack() {
		paid, back, id, number, channel = none, paid, r.id, r.number, "ORIGINAL"
	}
	sub := orElse(o.account.SubMerchantID, "0")
	head := []string{chinaTime(r.at).Format(statementTime), o.account.AppID, o.merchant, sub, o.device, o.id, o.number, o.payer, "MICROPAY", string(r.state),
		"CCB_DEBIT", o.currency, paid, none}
	refunds := []string{id, number, back, none, channel, statusV2(r.reads)}
	goods := []string{o.goods, o.attach, feeText(r.fee(), o.currency), feeRate, paid}
	switch kind {
	case "SUCCESS":
		return slices.Concat(head, goods, []string{""})
	case "REFUND", "RECHARGE_REFUND":
		return slices.Concat(head, r.billTimes(), refunds, goods, []string{back, ""})
	}
	return slices.Concat(head, refunds, goods, []string{back, ""})
}

// billTimes are when a refund was asked for, and when it was through.
func (r statementRow) billTimes() []string {
	through := ""
	if r.reads == RefundSuccess {
		through = chinaTime(r.refund.ended).Format(statementTime)
	}
	return []string{chinaTime(r.at).Format(statementTime), through}
}

// shortest prints a sum as the bills that have been seen do: with as many decimals as it needs, and one at least.
func shortest(sum string) string {
	sum = strings.TrimRight(sum, "0")
	if strings.HasSuffix(sum, ".") {
		return sum + "0"
	}
	return sum
}
