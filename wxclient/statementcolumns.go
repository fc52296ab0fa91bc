package wxclient

import (
	"strings"
	"unicode"
)

// column is a column of a statement or bill that we read, whatever the file calls it.
type column string

// The columns. Amounts are in the currency that the order was made in (标价币种).
const (
	columnTime          column = "time"
	columnMerchantID    column = "merchant id"
	columnSubMerchantID column = "sub merchant id"
	columnTransactionID column = "transaction id"
	columnOutTradeNo    column = "out_trade_no"
	columnTradeType     column = "trade type"
	columnState         column = "state"
	columnBankType      column = "bank"
	columnCurrency      column = "currency"
	columnAmount        column = "amount"
	columnSettledAmount column = "amount to settle" // of an older bill, which has no other
	columnPayerCurrency column = "payer currency"
	columnPayerAmount   column = "payer amount"
	columnRefundID      column = "refund id"
	columnOutRefundNo   column = "out_refund_no"
	columnRefund        column = "refund"
	columnSettledRefund column = "refund to settle" // likewise
	columnRefundState   column = "refund state"
	columnDescription   column = "description"
	columnAttach        column = "attach"
	columnFee           column = "fee"
	columnRate          column = "rate"
)

// statementColumns are the names that the columns go by, as columnName writes them: API v3's statement and API v2's bill in Chinese
// (the pages give both lists whole), and the English names as far as the pages give them and in the words that their other pages
// use. A name that is not here is a column that we do not read. See "Names of statement columns" in docs/wechat-pay.md.
var statementColumns = map[string]column{
	"交易时间": columnTime, "transactiontime": columnTime,
	"商户号": columnMerchantID, "vendorid": columnMerchantID, "merchantid": columnMerchantID,
	"子商户号": columnSubMerchantID, "特约商户号": columnSubMerchantID, "subvendorid": columnSubMerchantID, "submerchantid": columnSubMerchantID,
	"微信订单号": columnTransactionID, "wechatorderno": columnTransactionID, "wechatordernumber": columnTransactionID, "wechatpayorderno": columnTransactionID,
	"商户订单号": columnOutTradeNo, "vendororderno": columnOutTradeNo, "vendorordernumber": columnOutTradeNo, "merchantorderno": columnOutTradeNo,
	"交易类型": columnTradeType, "transactiontype": columnTradeType,
	"交易状态": columnState, "transactionstatus": columnState,
	"付款银行": columnBankType, "paymentbank": columnBankType,

	"标价币种": columnCurrency, "货币种类": columnCurrency, "pricedcurrency": columnCurrency, "labeledcurrency": columnCurrency, "labelcurrency": columnCurrency,
	"pricingcurrency": columnCurrency, "quotedcurrency": columnCurrency, "currencytype": columnCurrency, "ordercurrency": columnCurrency,
	"订单金额标价币种": columnAmount, "订单金额": columnAmount, "总金额": columnAmount, "orderamountpricedcurrency": columnAmount, "orderamountlabeledcurrency": columnAmount,
	"orderamountlabelcurrency": columnAmount, "orderamountpricingcurrency": columnAmount, "orderamountquotedcurrency": columnAmount,
	"orderamount": columnAmount, "totalamount": columnAmount,
	"应结订单金额": columnSettledAmount, "settlementorderamount": columnSettledAmount,
	"用户支付币种": columnPayerCurrency, "userpaymentcurrency": columnPayerCurrency, "paymentcurrencytype": columnPayerCurrency,
	"用户支付金额": columnPayerAmount, "userpaymentamount": columnPayerAmount, "cashpaymentamount": columnPayerAmount,

	"微信退款单号": columnRefundID, "wechatrefundno": columnRefundID, "wechatrefundnumber": columnRefundID, "wechatpayrefundno": columnRefundID,
	"商户退款单号": columnOutRefundNo, "vendorrefundno": columnOutRefundNo, "vendorrefundnumber": columnOutRefundNo, "merchantrefundno": columnOutRefundNo,
	"申请退款金额": columnRefund, "requestedrefundamount": columnRefund, "appliedrefundamount": columnRefund, "refundapplicationamount": columnRefund,
	"退款金额": columnSettledRefund, "refundamount": columnSettledRefund,
	"退款状态": columnRefundState, "refundstatus": columnRefundState,

	"商品名称": columnDescription, "productname": columnDescription, "goodsname": columnDescription, "commodityname": columnDescription,
	"商户数据包": columnAttach, "vendorsdatapackage": columnAttach, "vendordatapackage": columnAttach, "merchantdatapackage": columnAttach,
	"手续费": columnFee, "fee": columnFee, "handlingfee": columnFee, "servicefee": columnFee,
	"费率": columnRate, "rate": columnRate,
}

// summaryCount are the names that begin a summary: the number of rows.
var summaryCount = map[string]string{
	"总交易单数": "count", "totalnumberoftransactions": "count", "totaltransactions": "count", "totaltransactioncount": "count",
	"totalnumberoforders": "count", "totalorders": "count",
}

// columnName is how names of columns are compared: letters and digits only, in lower case.
func columnName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
