package till

import (
	"net/http"

	"posagent/health"
)

// ProblemCode names a problem for programs. Codes are never renamed.
type ProblemCode string

// The problems.
const (
	BadRequest       ProblemCode = "bad_request"
	HoldsCode        ProblemCode = "holds_payment_code"
	HoldsSecret      ProblemCode = "holds_secret"
	KeyMissing       ProblemCode = "key_missing"
	KeyReused        ProblemCode = "key_reused"
	Unauthorized     ProblemCode = "unauthorized"
	Forbidden        ProblemCode = "forbidden"
	TooManyWrong     ProblemCode = "too_many_wrong"
	SignInNeeded     ProblemCode = "sign_in_needed"
	ManagerNeeded    ProblemCode = "manager_needed"
	NotManager       ProblemCode = "not_a_manager"
	WrongPIN         ProblemCode = "wrong_pin"
	PINWaits         ProblemCode = "pin_waits"
	BadHost          ProblemCode = "bad_host"
	CrossOrigin      ProblemCode = "cross_origin"
	CodeNotAllowed   ProblemCode = "code_not_allowed"
	NotFound         ProblemCode = "not_found"
	NoPayment        ProblemCode = "no_payment"
	MethodNotAllowed ProblemCode = "method_not_allowed"
	TooSlow          ProblemCode = "request_too_slow"
	TooLarge         ProblemCode = "too_large"
	MediaType        ProblemCode = "unsupported_media_type"
	AlreadyPaid      ProblemCode = "already_paid"
	SaleOpen         ProblemCode = "sale_open"
	TillBusy         ProblemCode = "till_busy"
	WrongState       ProblemCode = "wrong_state"
	NotAside         ProblemCode = "not_aside"
	NothingArmed     ProblemCode = "nothing_armed"
	ScanBusy         ProblemCode = "busy"
	SameCode         ProblemCode = "same_code"
	WrongCode        ProblemCode = "wrong_code"
	TooMany          ProblemCode = "too_many"
	NoRefund         ProblemCode = "no_refund"
	NotPaid          ProblemCode = "not_paid"
	GivenBack        ProblemCode = "money_given_back"
	RefundTooMuch    ProblemCode = "refund_too_much"
	RefundTooMany    ProblemCode = "refund_too_many"
	RefundOverdue    ProblemCode = "refund_overdue"
	RefundOpen       ProblemCode = "refund_open"
	CannotRefund     ProblemCode = "no_refunds"
	NotTaken         ProblemCode = "not_ready"
	Stopping         ProblemCode = "stopping"
	BackupFailed     ProblemCode = "backup_failed"
	BackupGoesOn     ProblemCode = "backup_goes_on"
	NoTotal          ProblemCode = "no_total"
	Internal         ProblemCode = "internal"
)

type problemKind struct {
	status int
	title  string
	next   health.Words
}

// problemKinds says of each problem what happened, for the program's author, and what to do now, for whoever stands at the till.
var problemKinds = map[ProblemCode]problemKind{
	BadRequest: {http.StatusBadRequest, "The request has a field that is wrong",
		health.Words{EN: "Correct the field and send the request again.", ZhHans: "请更正该字段后重新发送。", ZhHant: "請更正該欄位後重新傳送。"}},
	HoldsCode: {http.StatusBadRequest, "A field holds what looks like a payment code",
		health.Words{EN: "A code was scanned into the wrong field. Clear it and enter what belongs there.",
			ZhHans: "付款码被扫入了错误的栏位。请清除后输入正确内容。", ZhHant: "付款碼被掃入了錯誤的欄位。請清除後輸入正確內容。"}},
	HoldsSecret: {http.StatusBadRequest, "A field holds a key or a token of this till",
		health.Words{EN: "A secret was put into the wrong field. It was not kept; clear the field, and think who may have seen it.",
			ZhHans: "密钥或令牌被填入了错误的栏位，系统未保存。请清除该栏位，并确认是否有人看到。", ZhHant: "金鑰或權杖被填入了錯誤的欄位，系統未保存。請清除該欄位，並確認是否有人看到。"}},
	KeyMissing: {http.StatusBadRequest, "The Idempotency-Key header is missing or not 1 to 64 printable characters",
		health.Words{EN: "Send one Idempotency-Key for each payment, and one for each refund.", ZhHans: "每笔付款、每笔退款请各发送一个 Idempotency-Key。", ZhHant: "每筆付款、每筆退款請各傳送一個 Idempotency-Key。"}},
	KeyReused: {http.StatusUnprocessableEntity, "The Idempotency-Key was used for another request",
		health.Words{EN: "Use a new key for a new payment or a new refund. A repeat sends the same key with the same request.",
			ZhHans: "新的付款或退款请使用新的 Idempotency-Key；重发时请使用相同的 Idempotency-Key 和相同内容。", ZhHant: "新的付款或退款請使用新的 Idempotency-Key；重送時請使用相同的 Idempotency-Key 和相同內容。"}},
	Unauthorized: {http.StatusUnauthorized, "No valid token or page session",
		health.Words{EN: "On the till's page: load it again. In a program: send Authorization: Bearer with a token of this till.",
			ZhHans: "收银页面：请重新加载。程序：请在 Authorization: Bearer 中发送本收银台的令牌。", ZhHant: "收銀頁面：請重新載入。程式：請在 Authorization: Bearer 中傳送本收銀台的權杖。"}},
	Forbidden: {http.StatusForbidden, "The token's scopes do not allow this",
		health.Words{EN: "Ask the manager for a token with the scope that this call needs.", ZhHans: "请向店长索取具备所需权限的令牌。", ZhHant: "請向店長索取具備所需權限的權杖。"}},
	TooManyWrong: {http.StatusTooManyRequests, "Too many wrong tokens or PINs came from there",
		health.Words{EN: "Wait a moment. In a program: send a token of this till; a right one is taken at once.", ZhHans: "请稍候。程序：请发送本收银台的令牌，正确的令牌会立即接受。", ZhHant: "請稍候。程式：請傳送本收銀台的權杖，正確的權杖會立即接受。"}},
	SignInNeeded: {http.StatusForbidden, "Nobody has signed in on this page",
		health.Words{EN: "Sign in with your PIN.", ZhHans: "请用 PIN 码登录。", ZhHant: "請用 PIN 碼登入。"}},
	ManagerNeeded: {http.StatusForbidden, "This takes a manager's PIN",
		health.Words{EN: "Call the manager, who types the PIN.", ZhHans: "请店长输入 PIN 码。", ZhHant: "請店長輸入 PIN 碼。"}},
	NotManager: {http.StatusForbidden, "This operator is no manager",
		health.Words{EN: "Ask a manager to type the PIN.", ZhHans: "请由店长输入 PIN 码。", ZhHant: "請由店長輸入 PIN 碼。"}},
	WrongPIN: {http.StatusForbidden, "The operator or the PIN is wrong",
		health.Words{EN: "Choose your name and type your PIN again. After some wrong ones you have to wait; a manager can have a new PIN set.",
			ZhHans: "请选择姓名后重新输入 PIN 码。多次输错后需等待；店长可安排重设 PIN 码。", ZhHant: "請選擇姓名後重新輸入 PIN 碼。多次輸錯後需等待；店長可安排重設 PIN 碼。"}},
	PINWaits: {http.StatusTooManyRequests, "Too many wrong PINs: no PIN of this operator is tried now",
		health.Words{EN: "Wait until the time is over, or ask another operator. A new PIN ends the wait: posagent operator pin.",
			ZhHans: "请等待时间结束，或请其他操作员处理。重设 PIN 码可结束等待：posagent operator pin。", ZhHant: "請等待時間結束，或請其他操作員處理。重設 PIN 碼可結束等待：posagent operator pin。"}},
	BadHost: {http.StatusForbidden, "The Host header names no host of this till",
		health.Words{EN: "Use http://127.0.0.1, or add the name to allowed_hosts in the configuration.",
			ZhHans: "请使用 http://127.0.0.1，或在配置的 allowed_hosts 中加入该主机名。", ZhHant: "請使用 http://127.0.0.1，或在設定的 allowed_hosts 中加入該主機名。"}},
	CrossOrigin: {http.StatusForbidden, "Another site's page may not do this",
		health.Words{EN: "Use the till's own page, or add the page's exact origin to cors_origins in the configuration.",
			ZhHans: "请使用收银台自己的页面，或在配置的 cors_origins 中加入该页面的来源。", ZhHant: "請使用收銀台自己的頁面，或在設定的 cors_origins 中加入該頁面的來源。"}},
	CodeNotAllowed: {http.StatusForbidden, "Codes are not taken through the API on this till",
		health.Words{EN: "Scan with the till's scanner, or set allow_code_in_api in the configuration.",
			ZhHans: "请使用收银台的扫码枪，或在配置中开启 allow_code_in_api。", ZhHant: "請使用收銀台的掃描器，或在設定中開啟 allow_code_in_api。"}},
	NotFound: {http.StatusNotFound, "There is no such address",
		health.Words{EN: "Look at /v1/openapi.json for the calls.", ZhHans: "可用的调用见 /v1/openapi.json。", ZhHant: "可用的呼叫見 /v1/openapi.json。"}},
	NoPayment: {http.StatusNotFound, "There is no such payment in this till's journal",
		health.Words{EN: "Look for the payment in the list.", ZhHans: "请在付款列表中查找。", ZhHant: "請在付款清單中查找。"}},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "The address does not take this method",
		health.Words{EN: "Look at /v1/openapi.json for the calls.", ZhHans: "可用的调用见 /v1/openapi.json。", ZhHant: "可用的呼叫見 /v1/openapi.json。"}},
	TooSlow: {http.StatusRequestTimeout, "The request's body did not arrive in time",
		health.Words{EN: "Send the request again, with the same Idempotency-Key.", ZhHans: "请用相同的 Idempotency-Key 重新发送。", ZhHant: "請用相同的 Idempotency-Key 重新傳送。"}},
	TooLarge: {http.StatusRequestEntityTooLarge, "The request is larger than 64 KiB",
		health.Words{EN: "Send less, for example without the goods detail.", ZhHans: "请减少内容，例如去掉商品明细。", ZhHant: "請減少內容，例如去掉商品明細。"}},
	MediaType: {http.StatusUnsupportedMediaType, "The request's body must be application/json",
		health.Words{EN: "Send JSON with Content-Type: application/json.", ZhHans: "请以 Content-Type: application/json 发送 JSON。", ZhHant: "請以 Content-Type: application/json 傳送 JSON。"}},
	AlreadyPaid: {http.StatusConflict, "This sale is paid",
		health.Words{EN: "Do not charge again. Hand over the goods, or ask the manager where the customer is to pay more.",
			ZhHans: "请勿重复收款。请交付商品；如需另行收款，请联系店长。", ZhHant: "請勿重複收款。請交付商品；如需另行收款，請聯絡店長。"}},
	SaleOpen: {http.StatusConflict, "A payment of this sale is still undecided",
		health.Words{EN: "Do not charge this sale again before that payment has a result.", ZhHans: "该笔付款有结果之前，请勿对本单重复收款。", ZhHant: "該筆付款有結果之前，請勿對本單重複收款。"}},
	TillBusy: {http.StatusConflict, "Another payment holds this till",
		health.Words{EN: "Wait for its result, or cancel it.", ZhHans: "请等待其结果，或取消该笔付款。", ZhHant: "請等待其結果，或取消該筆付款。"}},
	WrongState: {http.StatusConflict, "The payment no longer takes this",
		health.Words{EN: "Look at the payment as it is now.", ZhHans: "请查看该笔付款的当前状态。", ZhHant: "請查看該筆付款的目前狀態。"}},
	NotAside: {http.StatusConflict, "The payment can't be set aside yet",
		health.Words{EN: "Wait: it is still being asked about.", ZhHans: "请稍候：仍在查询结果。", ZhHant: "請稍候：仍在查詢結果。"}},
	NothingArmed: {http.StatusConflict, "No payment is waiting for a code",
		health.Words{EN: "Enter the amount first, then scan.", ZhHans: "请先输入金额，再扫码。", ZhHant: "請先輸入金額，再掃碼。"}},
	ScanBusy: {http.StatusConflict, "A payment is already being made",
		health.Words{EN: "Wait for its result.", ZhHans: "请等待其结果。", ZhHant: "請等待其結果。"}},
	SameCode: {http.StatusConflict, "This code was read already",
		health.Words{EN: "Ask the customer for a new code.", ZhHans: "请顾客刷新付款码。", ZhHant: "請顧客更新付款碼。"}},
	WrongCode: {http.StatusUnprocessableEntity, "This is no WeChat Pay payment code",
		health.Words{EN: "Ask the customer to open WeChat, Me, Services, Money Code, and scan that code.",
			ZhHans: "请顾客打开微信“我-服务-收付款”，扫描该付款码。", ZhHant: "請顧客打開微信「我-服務-收付款」，掃描該付款碼。"}},
	TooMany: {http.StatusTooManyRequests, "Too many requests wait at the same time",
		health.Words{EN: "Close other pages and programs of this till, then try again.", ZhHans: "请关闭本收银台的其他页面和程序后重试。", ZhHant: "請關閉本收銀台的其他頁面和程式後重試。"}},
	NoRefund: {http.StatusNotFound, "There is no such refund in this till's journal",
		health.Words{EN: "Look at the payment: it names its refunds.", ZhHans: "请查看该笔付款，其中列有退款。", ZhHant: "請查看該筆付款，其中列有退款。"}},
	NotPaid: {http.StatusConflict, "Only a paid payment can be refunded",
		health.Words{EN: "Look at the payment as it is now. Money that was taken by a payment that is not paid goes back by itself.",
			ZhHans: "请查看该笔付款的当前状态。未付成的款项如已扣款会自动退回。", ZhHant: "請查看該筆付款的目前狀態。未付成的款項如已扣款會自動退回。"}},
	GivenBack: {http.StatusConflict, "A person has recorded that the money of this payment was given back in another way",
		health.Words{EN: "Make no refund beside it: the customer would have the money twice. If that was recorded by mistake, refund it on the WeChat Pay merchant platform.",
			ZhHans: "请勿再退款，否则顾客会得到双份退款。如系误记，请在微信支付商户平台退款。", ZhHant: "請勿再退款，否則顧客會得到雙份退款。如屬誤記，請在微信支付商戶平台退款。"}},
	RefundTooMuch: {http.StatusConflict, "That is more than is left of the payment",
		health.Words{EN: "Look at the payment's refunds, then refund at most what is left.",
			ZhHans: "请查看该笔付款已有的退款，退款金额不得超过可退余额。", ZhHant: "請查看該筆付款已有的退款，退款金額不得超過可退餘額。"}},
	RefundTooMany: {http.StatusConflict, "The payment has as many refunds as WeChat Pay takes",
		health.Words{EN: "Give the rest back in cash.", ZhHans: "余款请以现金退还。", ZhHant: "餘款請以現金退還。"}},
	RefundOverdue: {http.StatusConflict, "The payment is too old to be refunded by WeChat Pay",
		health.Words{EN: "Give the money back in cash.", ZhHans: "请以现金退还。", ZhHant: "請以現金退還。"}},
	RefundOpen: {http.StatusConflict, "The refund is not at its end yet",
		health.Words{EN: "Wait for its end; it is asked about by itself.", ZhHans: "请等待结果，系统会自动查询。", ZhHant: "請等待結果，系統會自動查詢。"}},
	CannotRefund: {http.StatusServiceUnavailable, "This till can't make this refund now",
		health.Words{EN: "Look at the list of what needs a person. Otherwise give the money back on the WeChat Pay merchant platform, or in cash.",
			ZhHans: "请先查看需人工处理的列表；否则请在微信支付商户平台退款，或以现金退还。", ZhHant: "請先查看需人工處理的清單；否則請在微信支付商戶平台退款，或以現金退還。"}},
	NotTaken: {http.StatusServiceUnavailable, "No payment can be taken now",
		health.Words{EN: "Take cash or another means. The warnings say what is wrong.",
			ZhHans: "请收现金或使用其他支付方式。原因见警告。", ZhHant: "請收現金或使用其他付款方式。原因見警告。"}},
	Stopping: {http.StatusServiceUnavailable, "posagent is stopping",
		health.Words{EN: "Wait until it is back, then ask for the payment again; do not charge again meanwhile.",
			ZhHans: "请等待其恢复后再查询该笔付款；期间请勿重复收款。", ZhHant: "請等待其恢復後再查詢該筆付款；期間請勿重複收款。"}},
	BackupFailed: {http.StatusServiceUnavailable, "The backup was not made",
		health.Words{EN: "Payments go on. See the warning and the log for the cause, then make the backup again.",
			ZhHans: "收款不受影响。请查看警告和日志中的原因，然后重新备份。", ZhHant: "收款不受影響。請查看警告和日誌中的原因，然後重新備份。"}},
	BackupGoesOn: {http.StatusServiceUnavailable, "The backup is still being made",
		health.Words{EN: "Nothing needs to be done: the status shows when it is there.",
			ZhHans: "无需操作：备份完成后会显示在状态中。", ZhHant: "無需操作：備份完成後會顯示在狀態中。"}},
	NoTotal: {http.StatusConflict, "The total is no longer on the old till's display",
		health.Words{EN: "Press the total key on the till again, then scan.", ZhHans: "请在收银机上重新按合计键，然后扫码。", ZhHant: "請在收銀機上重新按合計鍵，然後掃碼。"}},
	Internal: {http.StatusInternalServerError, "Something failed on this machine",
		health.Words{EN: "Look at the payment before anything is charged again; the log says what failed.",
			ZhHans: "再次收款前请先查看该笔付款；失败原因见日志。", ZhHant: "再次收款前請先查看該筆付款；失敗原因見日誌。"}},
}
