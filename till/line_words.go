package till

import "posagent/health"

// lineCode names what is wrong with a line, or a text of the line protocol. Beside these, ERR carries the problem codes of the API.
type lineCode string

// The codes. They are never renamed.
const (
	lineTooLong     lineCode = "too_long"
	lineNotText     lineCode = "not_text"
	lineBadSum      lineCode = "bad_checksum"
	lineCutOff      lineCode = "cut_off"
	lineUnknownWord lineCode = "unknown_word"
	lineBadLine     lineCode = "bad_line"
	lineBadSale     lineCode = "bad_sale_ref"
	lineBadAmount   lineCode = "bad_amount"
	lineBadHandover lineCode = "bad_handover"
	lineSaleUsed    lineCode = "sale_ref_used"
	lineNoSlip      lineCode = "no_slip"
	lineTooMany     lineCode = "too_many_clients"

	lineGivenBack      lineCode = "money_given_back"
	lineRefunded       lineCode = "refunded"
	lineRefundsUnknown lineCode = "refunds_unknown"
	lineManagerNeeded  lineCode = lineCode(ManagerNeeded)

	lineDaySoFar   lineCode = "day_so_far"
	lineDayTooLong lineCode = "day_too_long"
)

// lineTexts say what happened and what to do. In English they are ASCII, for tills that show nothing else.
var lineTexts = map[lineCode]health.Words{
	lineTooLong: {EN: "The line is longer than 256 bytes and was skipped - send it again, shorter",
		ZhHans: "该行超过 256 字节，已跳过 - 请缩短后重新发送", ZhHant: "該行超過 256 位元組，已略過 - 請縮短後重新傳送"},
	lineNotText: {EN: "The line is no UTF-8 text - check the cable and the line settings",
		ZhHans: "该行不是 UTF-8 文本 - 请检查线缆和串口设置", ZhHant: "該行不是 UTF-8 文字 - 請檢查線纜和序列埠設定"},
	lineBadSum: {EN: "The checksum does not fit - send the line again",
		ZhHans: "校验和不符 - 请重新发送该行", ZhHant: "校驗和不符 - 請重新傳送該行"},
	lineCutOff: {EN: "The rest of a line did not come - send the line again",
		ZhHans: "一行的后半部分未到达 - 请重新发送该行", ZhHant: "一行的後半部分未到達 - 請重新傳送該行"},
	lineUnknownWord: {EN: "The word is not known - use PAY AGAIN CANCEL STATE LAST UNTOLD ACK TEST REPRINT DAYEND",
		ZhHans: "未知命令 - 可用 PAY AGAIN CANCEL STATE LAST UNTOLD ACK TEST REPRINT DAYEND", ZhHant: "未知指令 - 可用 PAY AGAIN CANCEL STATE LAST UNTOLD ACK TEST REPRINT DAYEND"},
	lineBadLine: {EN: "The word has too few or too many fields, or one that it does not take",
		ZhHans: "该命令的字段过多、过少或有误", ZhHant: "該指令的欄位過多、過少或有誤"},
	lineBadSale: {EN: "The sale's number must be 1 to 64 printable ASCII characters without blanks",
		ZhHans: "销售单号须为 1 至 64 个可打印 ASCII 字符，不含空格", ZhHant: "銷售單號須為 1 至 64 個可列印 ASCII 字元，不含空格"},
	lineBadAmount: {EN: "The amount must be a whole number of minor units, such as 1250, without point and leading zero",
		ZhHans: "金额须为最小货币单位的整数，例如 1250，不含小数点和前导零", ZhHant: "金額須為最小貨幣單位的整數，例如 1250，不含小數點和前置零"},
	lineBadHandover: {EN: "A paid payment takes GOODS or BACK, any other BACK or SEEN",
		ZhHans: "已付款项请用 GOODS 或 BACK，其他请用 BACK 或 SEEN", ZhHant: "已付款項請用 GOODS 或 BACK，其他請用 BACK 或 SEEN"},
	lineSaleUsed: {EN: "A sale of this number and amount ended long ago; nothing was charged - use a number that is never used again",
		ZhHans: "此单号和金额的销售早已结束，未收款 - 请使用不重复的单号", ZhHant: "此單號和金額的銷售早已結束，未收款 - 請使用不重複的單號"},
	lineNoSlip: {EN: "There is no slip for this",
		ZhHans: "没有可打印的小票", ZhHant: "沒有可列印的收據"},
	lineTooMany: {EN: "64 programs are connected - close one",
		ZhHans: "已有 64 个程序连接 - 请关闭其中一个", ZhHant: "已有 64 個程式連線 - 請關閉其中一個"},
	lineGivenBack: {EN: "The money of this payment was given back in another way - do not hand over goods for it",
		ZhHans: "此笔款项已用其他方式退还 - 请勿再交付商品", ZhHant: "此筆款項已用其他方式退還 - 請勿再交付商品"},
	lineRefunded: {EN: "This payment was refunded - do not hand over goods for it",
		ZhHans: "此笔付款已退款 - 请勿再交付商品", ZhHant: "此筆付款已退款 - 請勿再交付商品"},
	lineRefundsUnknown: {EN: "Paid, but whether the money went back can't be read now - hand over nothing, take nothing else, and ask again in a moment",
		ZhHans: "已付款，但暂时无法读取是否已退款 - 请勿交付商品，也勿另行收款，稍后再查询", ZhHant: "已付款，但暫時無法讀取是否已退款 - 請勿交付商品，也勿另行收款，稍後再查詢"},
	lineManagerNeeded: {EN: "This takes a manager's PIN, and a line has none - have a manager answer this payment on posagent's page",
		ZhHans: "此操作需要店长的 PIN，线路协议无法输入 - 请店长在 posagent 页面上处理此笔付款", ZhHant: "此操作需要店長的 PIN，線路協定無法輸入 - 請店長在 posagent 頁面上處理此筆付款"},
	lineDaySoFar: {EN: "Totals of this store day so far, by the day of the payment - the day is not closed by this",
		ZhHans: "本店营业日至今的合计（按付款日）- 并未日结", ZhHant: "本店營業日至今的合計（按付款日）- 並未日結"},
	lineDayTooLong: {EN: "The day has more payments than are added up here - use the reports of posagent",
		ZhHans: "当日付款过多，此处合计不完整 - 请使用 posagent 的报表", ZhHant: "當日付款過多，此處合計不完整 - 請使用 posagent 的報表"},
}

// lineText is a text in the till's language.
func (s *Server) lineText(code lineCode) string {
	if w, ok := lineTexts[code]; ok {
		return s.wordsInLanguage(w)
	}
	if kind, ok := problemKinds[ProblemCode(code)]; ok {
		return s.wordsInLanguage(kind.next)
	}
	panic("till: the line protocol has no text for " + string(code))
}

// lineError is the answer to a line that means nothing.
func (s *Server) lineError(code lineCode) string {
	return "ERR " + string(code) + " " + s.lineText(code)
}
