package receipt

// labels is every word that a slip says by itself, in one language. None holds a character whose width differs from printer to
// printer (East Asian Ambiguous).
type labels struct {
	customerCopy, storeCopy, reprint string

	paid, declined, reversing, reversed string // the headings
	noCharge                            string // under declined
	goesBack                            string // under reversing and reversed: money may have been taken
	refunded                            string // under reversed: money had been taken
	neverArrived                        string // under reversed: there was nothing to take back
	owed, paidLate                      string // a person must look: no promise of ours stands in for that

	amount, payer, rate, sale, description, order, transaction, till, operator, time string
	thanks                                                                           string
}

// labelsOf holds the languages of the configuration.
var labelsOf = map[string]labels{
	"en": {
		customerCopy: "CUSTOMER COPY", storeCopy: "STORE COPY", reprint: "*** REPRINT ***",
		paid: "PAID", declined: "NOT PAID - declined", reversing: "NOT PAID - being taken back", reversed: "NOT PAID - taken back",
		noCharge:     "Nothing was charged by this order.",
		goesBack:     "If money was taken, it goes back: to the WeChat wallet within 20 minutes, to a bank card within up to 5 working days. Keep this slip.",
		refunded:     "Money had been taken and goes back: to the WeChat wallet within 20 minutes, to a bank card within up to 5 working days. Keep this slip.",
		neverArrived: "WeChat Pay never had this order; nothing was charged by it. Should your bill show it, money goes back to the wallet within 20 minutes, to a bank card within up to 5 working days: keep this slip.",
		owed:         "The manager must look at this payment. If money was taken, the store gives it back. Keep this slip.",
		paidLate:     "WeChat Pay reported money under this order later. The manager must look: it goes back, or counts for the sale. Keep this slip.",
		amount:       "Amount", payer: "Customer paid", rate: "Rate", sale: "Sale", description: "For", order: "Order number",
		transaction: "WeChat Pay transaction", till: "Till", operator: "Operator", time: "Time", thanks: "Thank you",
	},
	"zh-Hans": {
		customerCopy: "顾客联", storeCopy: "商户联", reprint: "*** 补打 ***",
		paid: "已付款", declined: "未付款 - 支付被拒绝", reversing: "未付款 - 正在撤销", reversed: "未付款 - 已撤销",
		noCharge:     "此订单未扣款。",
		goesBack:     "如已扣款，款项将退回：微信零钱 20 分钟内，银行卡最多 5 个工作日。请保留此凭条。",
		refunded:     "曾经扣款，款项将退回：微信零钱 20 分钟内，银行卡最多 5 个工作日。请保留此凭条。",
		neverArrived: "微信支付没有此订单，未扣款。如账单仍显示此单，款项将退回：微信零钱 20 分钟内，银行卡最多 5 个工作日。请保留此凭条。",
		owed:         "此笔付款须由店长核查。如已扣款，由本店退还。请保留此凭条。",
		paidLate:     "微信支付其后报告此订单有款项。须由店长核查：退款，或计入本单。请保留此凭条。",
		amount:       "金额", payer: "顾客实付", rate: "汇率", sale: "单号", description: "内容", order: "商户订单号",
		transaction: "微信支付订单号", till: "收银台", operator: "收银员", time: "时间", thanks: "谢谢惠顾",
	},
	"zh-Hant": {
		customerCopy: "顧客聯", storeCopy: "商戶聯", reprint: "*** 補印 ***",
		paid: "已付款", declined: "未付款 - 付款被拒絕", reversing: "未付款 - 正在撤銷", reversed: "未付款 - 已撤銷",
		noCharge:     "此訂單未扣款。",
		goesBack:     "如已扣款，款項將退回：微信零錢 20 分鐘內，銀行卡最多 5 個工作天。請保留此單據。",
		refunded:     "曾經扣款，款項將退回：微信零錢 20 分鐘內，銀行卡最多 5 個工作天。請保留此單據。",
		neverArrived: "微信支付沒有此訂單，未扣款。如帳單仍顯示此單，款項將退回：微信零錢 20 分鐘內，銀行卡最多 5 個工作天。請保留此單據。",
		owed:         "此筆付款須由經理核查。如已扣款，由本店退還。請保留此單據。",
		paidLate:     "微信支付其後報告此訂單有款項。須由經理核查：退款，或計入本單。請保留此單據。",
		amount:       "金額", payer: "顧客實付", rate: "匯率", sale: "單號", description: "內容", order: "商戶訂單號",
		transaction: "微信支付訂單號", till: "收銀機", operator: "收銀員", time: "時間", thanks: "多謝惠顧",
	},
}
