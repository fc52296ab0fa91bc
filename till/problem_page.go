package till

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// problemsPath is where the agent serves a page for each problem, and the start of a problem's type.
const problemsPath = "/problems/"

// typeOf is a problem's type: an address that does not change, on whichever name this till is reached (RFC 9457, 3.1.1).
func typeOf(code ProblemCode) string { return problemsPath + string(code) }

// problemTitles say what happened in Simplified and in Traditional Chinese; the English stands in problemKinds.
var problemTitles = map[ProblemCode][2]string{
	BadRequest:       {"请求中有字段不正确", "請求中有欄位不正確"},
	HoldsCode:        {"某个字段中疑似含有付款码", "某個欄位中疑似含有付款碼"},
	HoldsSecret:      {"某个字段中含有本收银台的密钥或令牌", "某個欄位中含有本收銀台的金鑰或權杖"},
	KeyMissing:       {"缺少 Idempotency-Key 请求头，或其格式不正确", "缺少 Idempotency-Key 標頭，或其格式不正確"},
	KeyReused:        {"该 Idempotency-Key 已用于另一个请求", "該 Idempotency-Key 已用於另一個請求"},
	Unauthorized:     {"没有出示有效的令牌或会话", "沒有出示有效的權杖或工作階段"},
	Forbidden:        {"此令牌无权进行该操作", "此權杖無權進行該操作"},
	TooManyWrong:     {"错误的尝试过多", "錯誤的嘗試過多"},
	SignInNeeded:     {"需要收银员先登录", "需要收銀員先登入"},
	ManagerNeeded:    {"此操作需要店长的 PIN", "此操作需要店長的 PIN"},
	NotManager:       {"该操作员不是店长", "該操作員不是店長"},
	WrongPIN:         {"操作员编号或 PIN 不正确", "操作員編號或 PIN 不正確"},
	PINWaits:         {"错误的 PIN 过多，须等待后再试", "錯誤的 PIN 過多，須等待後再試"},
	BadHost:          {"请求使用了本收银台不认可的主机名", "請求使用了本收銀台不認可的主機名稱"},
	CrossOrigin:      {"其他网站的页面不得在此写入", "其他網站的頁面不得在此寫入"},
	CodeNotAllowed:   {"本收银台不接受经由接口传入的付款码", "本收銀台不接受經由介面傳入的付款碼"},
	NotFound:         {"没有这样的地址", "沒有這樣的位址"},
	NoPayment:        {"本收银台的日志中没有该笔付款", "本收銀台的日誌中沒有該筆付款"},
	MethodNotAllowed: {"该地址不接受此方法", "該位址不接受此方法"},
	TooSlow:          {"请求的内容未能及时送达", "請求的內容未能及時送達"},
	TooLarge:         {"请求超过 64 KiB", "請求超過 64 KiB"},
	MediaType:        {"请求的内容必须是 application/json", "請求的內容必須是 application/json"},
	AlreadyPaid:      {"本单已付款", "本單已付款"},
	SaleOpen:         {"本单有一笔付款尚无结果", "本單有一筆付款尚無結果"},
	TillBusy:         {"本收银台正在处理另一笔付款", "本收銀台正在處理另一筆付款"},
	WrongState:       {"该笔付款当前不能进行此操作", "該筆付款目前不能進行此操作"},
	NotAside:         {"该笔付款暂时不能搁置", "該筆付款暫時不能擱置"},
	NothingArmed:     {"没有等待扫码的付款", "沒有等待掃碼的付款"},
	ScanBusy:         {"正在付款", "正在付款"},
	SameCode:         {"该付款码已读取过", "該付款碼已讀取過"},
	WrongCode:        {"这不是微信支付付款码", "這不是微信支付付款碼"},
	TooMany:          {"同时等待的请求过多", "同時等待的請求過多"},
	NoRefund:         {"本收银台的日志中没有该笔退款", "本收銀台的日誌中沒有該筆退款"},
	NotPaid:          {"只有已付款的才能退款", "只有已付款的才能退款"},
	GivenBack:        {"已有人记录该笔款项以其他方式退还", "已有人記錄該筆款項以其他方式退還"},
	RefundTooMuch:    {"退款金额超过可退余额", "退款金額超過可退餘額"},
	RefundTooMany:    {"该笔付款的退款次数已达微信支付上限", "該筆付款的退款次數已達微信支付上限"},
	RefundOverdue:    {"该笔付款已超过微信支付的退款期限", "該筆付款已超過微信支付的退款期限"},
	RefundOpen:       {"该笔退款尚无结果", "該筆退款尚無結果"},
	CannotRefund:     {"本收银台现在不能进行该笔退款", "本收銀台現在不能進行該筆退款"},
	NotTaken:         {"现在不能收款", "現在不能收款"},
	Stopping:         {"posagent 正在停止", "posagent 正在停止"},
	BackupFailed:     {"备份未完成", "備份未完成"},
	BackupGoesOn:     {"备份仍在进行", "備份仍在進行"},
	NoTotal:          {"旧收银机的显示屏上已没有该合计", "舊收銀機的顯示器上已沒有該合計"},
	Internal:         {"本机发生故障", "本機發生故障"},
}

const problemStyle = `body{font:1.1em/1.5 sans-serif;max-width:42em;margin:2em auto;padding:0 1em;color-scheme:light dark}code{font-size:1.1em}h2{margin-bottom:.2em}`

var problemCSP = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(problemStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// serveProblems answers with a page for each problem, in three languages, and with the list of all. The pages are put together by hand:
// html/template would make the program a seventh larger.
func (s *Server) serveProblems() {
	s.mux.HandleFunc("GET "+problemsPath+"{code}", func(w http.ResponseWriter, r *http.Request) {
		code := ProblemCode(r.PathValue("code"))
		kind, known := problemKinds[code]
		if !known {
			newProblem(NotFound, "").write(w)
			return
		}
		titles, body := problemTitles[code], "<h1><code>"+string(code)+"</code></h1><p>HTTP "+strconv.Itoa(kind.status)+"</p>\n"
		for _, words := range [][3]string{{"en", kind.title + ".", kind.next.EN}, {"zh-Hans", titles[0] + "。", kind.next.ZhHans}, {"zh-Hant", titles[1] + "。", kind.next.ZhHant}} {
			body += `<section lang="` + words[0] + `"><h2>` + html.EscapeString(words[1]) + "</h2><p>" + html.EscapeString(words[2]) + "</p></section>\n"
		}
		writeProblemPage(w, string(code), body)
	})
	s.mux.HandleFunc("GET "+problemsPath+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		body := "<h1>Problems</h1><ul>\n"
		for _, code := range slices.Sorted(maps.Keys(problemKinds)) {
			body += `<li><a href="` + typeOf(code) + `"><code>` + string(code) + "</code></a></li>\n"
		}
		writeProblemPage(w, "Problems", body+"</ul>\n")
	})
}

// writeProblemPage answers with a page; title is one of our own words.
func writeProblemPage(w http.ResponseWriter, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", problemCSP())
	_, _ = w.Write([]byte(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>` + title +
		" - posagent</title><style>" + problemStyle + "</style>\n" + body))
}
