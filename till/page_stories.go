package till

import (
	"fmt"
	"time"

	"posagent/health"
	"posagent/payflow"
)

// story is one prepared state of the page: what the agent has told it, and what it holds itself. It is a page that can be looked at
// without a till (/page/storybook.html).
type story struct {
	Name     string        `json:"name"`
	View     string        `json:"view,omitempty"` // customer, manager; "": the cashier's
	Now      time.Time     `json:"now"`
	Status   *StatusReport `json:"status"`
	Payment  *Payment      `json:"payment"`
	Payments []Payment     `json:"payments,omitempty"` // others that it knows
	Page     pageState     `json:"page"`
}

// pageState is what the page holds by itself.
type pageState struct {
	Typed      string `json:"typed,omitempty"`
	CodeOpen   bool   `json:"codeOpen,omitempty"`
	CodeLength int    `json:"codeLength,omitempty"`
	Asking     string `json:"asking,omitempty"`
	Warning    int    `json:"warning"`
	Operator   string `json:"operator,omitempty"`
	Recovered  bool   `json:"recovered,omitempty"`
	OtherMeans bool   `json:"otherMeans,omitempty"`
	Lost       bool   `json:"lost,omitempty"`
	Refused    string `json:"refused,omitempty"`
	Note       string `json:"note,omitempty"`
	NoteAmount string `json:"noteAmount,omitempty"`
	Refusals   int    `json:"refusals,omitempty"`

	Finding *findingPage `json:"finding,omitempty"` // what is being looked up
	Muted   string       `json:"muted,omitempty"`
	// ReceiptCode stands in the place of the receipt's QR code, which the till draws.
	ReceiptCode string      `json:"receiptCode,omitempty"`
	Theme       string      `json:"theme,omitempty"`
	Session     *Session    `json:"session,omitempty"` // where operators are set up
	Signin      *signInPage `json:"signin,omitempty"`

	Manage *managePage `json:"manage,omitempty"` // of the manager's page
}

// storyAt is when the stories happen.
var storyAt = time.Date(2026, 11, 28, 4, 30, 0, 0, time.UTC)

// stories returns every state of the page, with the words that the catalogue has for it.
func stories(w Words) []story {
	b := storyBook{server: &Server{cfg: Config{Words: w}}}
	b.idle()
	b.waiting()
	b.confirming()
	b.attention()
	b.ends()
	b.recovered()
	b.large()
	b.offline()
	b.found()
	b.shift()
	b.customer()
	b.manager()
	b.warnings()
	b.signIns()
	return b.all
}

type storyBook struct {
	server *Server
	all    []story
}

// add keeps a story of a payment; nil: of none.
func (b *storyBook) add(name string, e *payflow.Entry, change ...func(*story)) {
	s := story{Name: name, Now: storyAt.Add(20 * time.Second), Status: &StatusReport{
		Now: storyAt, Ready: true, Store: "Tencent Building Branch", Till: "T1", Currency: "HKD", Language: "en", Warnings: []health.Active{},
		Status: Status{Gateway: Gateway{Host: "apihk.mch.weixin.qq.com", Reachable: true, Verified: true}, Clock: Clock{Known: true},
			Devices: []Device{{Name: "/dev/posagent-scanner", Kind: "serial", Ready: true}}, Certificates: []Certificate{{Name: "merchant", DaysLeft: 312}}}}}
	if e != nil {
		p := b.server.view(*e, s.Now)
		s.Payment = &p
	}
	for _, c := range change {
		c(&s)
	}
	b.all = append(b.all, s)
}

// aStory is a payment of HK$ 12.50, armed 20 s ago and moved on from there.
func aStory(status payflow.Status, reason payflow.Reason, change ...func(*payflow.Entry)) *payflow.Entry {
	e := payflow.Entry{Sequence: 7, StoreDay: "2026-11-28"}
	e.OutTradeNo, e.SaleRef, e.Attempt, e.Operator = "SZTX001T1261128000042AB12C9", "A-1001", 1, "P001"
	e.Amount, e.Status, e.Reason, e.Version = payflow.Amount{Minor: 1250, Currency: "HKD"}, status, reason, 3
	e.ArmedAt, e.WakeAt = storyAt, storyAt.Add(90*time.Second)
	if status != payflow.Waiting {
		e.ScannedAt, e.FirstPayAt, e.CodeTail = storyAt.Add(4*time.Second), storyAt.Add(4*time.Second), "6789"
		e.WakeAt, e.Timing = storyAt.Add(22*time.Second), payflow.DefaultTiming()
	}
	if status == payflow.Confirming || status == payflow.Reversing {
		e.PayEndedAt = storyAt.Add(5 * time.Second)
	}
	if status.Final() {
		e.FinalAt, e.WakeAt = storyAt.Add(19*time.Second), time.Time{}
	}
	for _, c := range change {
		c(&e)
	}
	return &e
}

func paidStory(change ...func(*payflow.Entry)) *payflow.Entry {
	return aStory(payflow.Paid, payflow.ReasonPaid, append([]func(*payflow.Entry){func(e *payflow.Entry) {
		e.Trade = payflow.Trade{State: payflow.TradeSuccess, TransactionID: "4200000000202611280000000001", PayerAmount: payflow.Amount{Minor: 1250, Currency: "HKD"}}
	}}, change...)...)
}

func (b *storyBook) idle() {
	b.add("idle", nil)
	b.add("idle-typed", nil, func(s *story) { s.Page.Typed = "1250" })
	b.add("idle-large-amount", nil, func(s *story) { s.Page.Typed = "99999999" })
	for _, typed := range []string{"12345", "123456", "1234567", "999999999"} {
		b.add(fmt.Sprintf("idle-amount-%d-digits", len(typed)), nil, func(s *story) { s.Page.Typed = typed })
	}
	b.add("idle-after-sales", nil, func(s *story) {
		s.Payments = []Payment{b.server.view(*paidStory(), s.Now), b.server.view(*aStory(payflow.Declined, payflow.ReasonNotEnough), s.Now)}
		for i := range s.Payments {
			s.Payments[i].Acknowledged = true
		}
	})
	b.add("idle-scanned-too-early", nil, func(s *story) { s.Page.Refused = payflow.NoticeNothingArmed })
	b.add("idle-other-means", nil, func(s *story) { s.Page.Note, s.Page.NoteAmount = "other_means_note", "HK$ 27.30" })
	b.add("idle-cancelled", nil, func(s *story) { s.Page.Note = "cancelled_note" })
	b.add("idle-network-away", nil, func(s *story) { s.Status.Gateway.Reachable = false })
	b.add("scanner-away", nil, func(s *story) { s.Status.Warnings = warned(health.ScannerAway, "/dev/posagent-scanner") })
	b.add("idle-long-warning", nil, func(s *story) {
		s.Status.Warnings = append(warned(health.CaptivePortal, ""), warned(health.ScannerAway, "")...)
	})
	b.add("unknown-long-warning", aStory(payflow.Confirming, payflow.ReasonUnknown), func(s *story) {
		s.Status.Warnings = append(warned(health.CaptivePortal, ""), warned(health.ScannerAway, "")...)
	})
	b.add("certificate-warning", nil, func(s *story) { s.Status.Warnings = warned(health.Certificate14Days, "merchant: 11 days") })
}

func warned(code health.Code, detail string) []health.Active {
	warning, _ := health.Find(code)
	return []health.Active{health.NewActive(warning, detail, storyAt)}
}

func (b *storyBook) waiting() {
	armed := func(change ...func(*payflow.Entry)) *payflow.Entry {
		return aStory(payflow.Waiting, payflow.ReasonWaiting, change...)
	}
	refused := func(kind string) func(*payflow.Entry) {
		return func(e *payflow.Entry) {
			e.Notice = payflow.Notice{At: storyAt.Add(18 * time.Second), Kind: kind, Device: "/dev/posagent-scanner"}
		}
	}
	b.add("waiting", armed())
	b.add("waiting-scanner-away", armed(), func(s *story) { s.Status.Warnings = warned(health.ScannerAway, "/dev/posagent-scanner") })
	unready := func(reason string) func(*story) {
		return func(s *story) {
			s.Status.Ready, s.Status.NotReady = false, b.server.notReady(&payflow.NotReadyError{Code: reason, Text: reason})
		}
	}
	b.add("waiting-network-away", armed(), unready("no_network"))
	b.add("waiting-network-away-scanned", armed(refused("no_network")), unready("no_network"), func(s *story) { s.Status.Warnings = warned(health.GatewayUnreachable, "") })
	b.add("waiting-captive-portal", armed(), unready("captive_portal"), func(s *story) { s.Status.Warnings = warned(health.CaptivePortal, "") })
	b.add("waiting-journal", armed(), unready("journal"))
	b.add("waiting-typed-code", armed(), func(s *story) { s.Page.CodeOpen, s.Page.CodeLength = true, 11 })
	b.add("wrong-code-alipay", armed(refused(string(payflow.CodeAlipay))))
	b.add("wrong-code-unionpay", armed(refused(string(payflow.CodeUnionPay))))
	b.add("wrong-code-goods", armed(refused(string(payflow.CodeGoods))))
	b.add("wrong-code-merchant-own", armed(refused(string(payflow.CodeMerchantOwn))))
	b.add("wrong-code-misread", armed(refused(payflow.NoticeMisread)))
	b.add("wrong-code-used", armed(refused(payflow.NoticeSameCode)))
	b.add("paying", aStory(payflow.Paying, payflow.ReasonSending))
	b.add("paying-cancel-noted", aStory(payflow.Paying, payflow.ReasonSending, func(e *payflow.Entry) { e.CancelAsked = true }))
	b.add("paying-second-scan", aStory(payflow.Paying, payflow.ReasonSending, refused(payflow.NoticeBusy)))
}

func (b *storyBook) confirming() {
	password := aStory(payflow.Confirming, payflow.ReasonPassword)
	unknown := func(change ...func(*payflow.Entry)) *payflow.Entry {
		return aStory(payflow.Confirming, payflow.ReasonUnknown, change...)
	}
	b.add("password", password)
	b.add("password-early", password, func(s *story) { s.Now = storyAt.Add(9 * time.Second) })
	b.add("password-cancel-asked", password, func(s *story) { s.Page.Asking = "cancel" })
	b.add("unknown", unknown())
	b.add("unknown-cancel-noted", unknown(func(e *payflow.Entry) { e.CancelAsked = true }))
	b.add("unknown-refused", unknown(func(e *payflow.Entry) {
		e.Reason, e.Claim = payflow.ReasonChecking, payflow.Refusal{Kind: payflow.Refused, Reason: payflow.ReasonNotEnough}
	}))
	b.add("unknown-manager", unknown(), func(s *story) { s.Page.Asking = "manager" })
	b.add("unknown-two-warnings", unknown(), func(s *story) {
		s.Status.Warnings = append(warned(health.ScannerAway, "/dev/posagent-scanner"), warned(health.GatewayUnreachable, "")...)
	})
	b.add("unknown-answer-lost", unknown(), func(s *story) { s.Page.Lost = true })
}

func (b *storyBook) attention() {
	mismatch := aStory(payflow.Confirming, payflow.ReasonUnknown, func(e *payflow.Entry) {
		e.Attention, e.Trade.Amount = payflow.AttentionMismatch, payflow.Amount{Minor: 1251, Currency: "HKD"}
	})
	b.add("attention-mismatch", mismatch)
	b.add("attention-another-till", aStory(payflow.Confirming, payflow.ReasonUnknown, func(e *payflow.Entry) {
		e.Attention, e.Stranger = payflow.AttentionAnotherTill, payflow.Another
	}))
	b.add("attention-reverse-refused", aStory(payflow.Reversing, payflow.ReasonTakingBack, func(e *payflow.Entry) { e.Attention = payflow.AttentionReverseRefused }))
	b.add("set-aside-asked", mismatch, func(s *story) { s.Page.Asking, s.Page.Operator = "set_aside", "P001" })
	b.add("idle-set-aside", nil, func(s *story) {
		e := *mismatch
		e.SetAside = payflow.SetAside{At: storyAt.Add(15 * time.Second), Operator: "P001", Note: "no end"}
		s.Payments = []Payment{b.server.view(e, s.Now)}
		s.Status.Warnings = append(warned(health.PaymentAttention, ""), warned(health.PaymentSetAside, "")...)
	})
}

func (b *storyBook) ends() {
	b.add("reversing", aStory(payflow.Reversing, payflow.ReasonTakingBack))
	b.add("reversing-other-means", aStory(payflow.Reversing, payflow.ReasonTakingBack), func(s *story) { s.Page.OtherMeans = true })
	b.add("reversed-other-means", aStory(payflow.Reversed, payflow.ReasonRefunded, func(e *payflow.Entry) { e.MoneySeen = true }), func(s *story) { s.Page.OtherMeans = true })
	b.add("reversed", aStory(payflow.Reversed, payflow.ReasonRefunded, func(e *payflow.Entry) { e.MoneySeen = true }))
	b.add("reversed-closed", aStory(payflow.Reversed, payflow.ReasonClosed))
	b.add("reversed-revoked", aStory(payflow.Reversed, payflow.ReasonRevoked))
	b.add("reversed-never-arrived", aStory(payflow.Reversed, payflow.ReasonNeverArrived))
	b.add("declined-code-expired", aStory(payflow.Declined, payflow.ReasonCodeExpired))
	b.add("declined-scanned-too-early", aStory(payflow.Declined, payflow.ReasonNotEnough), func(s *story) { s.Page.Refused, s.Page.Refusals = "scan_again_first", 1 })
	b.add("declined-bill-scan", aStory(payflow.Declined, payflow.ReasonCard), func(s *story) { s.Page.Finding = &findingPage{Step: "scan"} })
	b.add("declined-not-enough", aStory(payflow.Declined, payflow.ReasonNotEnough))
	b.add("declined-configuration", aStory(payflow.Declined, payflow.ReasonConfiguration))
	b.add("declined-no-network", aStory(payflow.Declined, payflow.ReasonNoNetwork))
	b.add("cancelled-no-scan", aStory(payflow.Cancelled, payflow.ReasonScanTimeout))
	b.add("paid", paidStory())
	b.add("paid-from-another-wallet", paidStory(func(e *payflow.Entry) { e.Trade.PayerAmount = payflow.Amount{Minor: 1150, Currency: "CNY"} }))
	whole := aRefund(payflow.RefundDone, payflow.ReasonRefundDone)
	whole.Amount.Minor = 1250
	b.add("paid-gone-back", paidStory(), func(s *story) {
		b.withRefunds(s.Payment, true, []payflow.RefundEntry{whole})
		s.Payment.Message, s.Payment.NextStep = b.server.noticeWords("bill_money_back")
	})
	b.add("paid-large-amount", paidStory(func(e *payflow.Entry) { e.Amount.Minor = 9_999_999_99 }))
}

func (b *storyBook) recovered() {
	opened := func(s *story) { s.Page.Recovered = true }
	older := func(s *story) {
		e := paidStory(func(e *payflow.Entry) { e.OutTradeNo, e.SaleRef = "SZTX001T1261128000041AB12C9", "A-1000" })
		s.Payments = []Payment{b.server.view(*e, s.Now)}
	}
	b.add("paid-not-announced", paidStory(), opened)
	b.add("paid-not-announced-two", paidStory(), opened, older)
	b.add("goods-given-asked", paidStory(), opened, func(s *story) { s.Page.Asking = "goods_given" })
	b.add("money-back-asked", paidStory(), opened, func(s *story) { s.Page.Asking = "money_back" })
	b.add("reversed-not-announced", aStory(payflow.Reversed, payflow.ReasonClosed), opened)
	b.add("paid-after-the-end", lateStory(payflow.LateTakingBack), opened)
	b.add("paid-after-the-end-given-back", lateStory(payflow.LateGivenBack), opened)
	since := func(s *story) {
		e := paidStory(answeredWith(payflow.GoodsGiven), func(e *payflow.Entry) { e.OutTradeNo = "SZTX001T1261128000043AB12C9" })
		s.Payments = []Payment{b.server.view(*e, s.Now)}
	}
	b.add("paid-after-the-end-paid-since", lateStory(payflow.LateTakingBack), opened, since)
	b.add("paid-after-the-end-given-back-paid-since", lateStory(payflow.LateGivenBack), opened, since)
}

// large are the screens whose amount has least room, with amounts of each length.
func (b *storyBook) large() {
	for _, minor := range []int64{123_45, 1_234_56, 12_345_67, 123_456_78, 9_999_999_99} {
		of := func(e *payflow.Entry) { e.Amount.Minor = minor }
		late := func(e *payflow.Entry) { e.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true} }
		b.add(fmt.Sprintf("large-waiting-%d", minor), aStory(payflow.Waiting, payflow.ReasonWaiting, of))
		b.add(fmt.Sprintf("large-unknown-%d", minor), aStory(payflow.Confirming, payflow.ReasonUnknown, of))
		b.add(fmt.Sprintf("large-late-%d", minor), aStory(payflow.Reversed, payflow.ReasonNeverArrived, of, late), func(s *story) { s.Page.Recovered = true })
		b.add(fmt.Sprintf("large-customer-%d", minor), aStory(payflow.Waiting, payflow.ReasonWaiting, of), func(s *story) { s.View = "customer" })
	}
}

// lateStory is a payment that WeChat Pay turned out to hold the money of, after it had ended.
func lateStory(stage payflow.LateStage) *payflow.Entry {
	return aStory(payflow.Reversed, payflow.ReasonNeverArrived, func(e *payflow.Entry) {
		e.Late = payflow.Late{Stage: stage, MoneySeen: true, FoundAt: storyAt}
		e.Links = []payflow.Link{{At: storyAt, Kind: payflow.LinkLateSuccess}}
	})
}

func (b *storyBook) offline() {
	unready := func(reason string) func(*story) {
		return func(s *story) {
			s.Status.Ready, s.Status.NotReady = false, b.server.notReady(&payflow.NotReadyError{Code: reason, Text: reason})
		}
	}
	b.add("offline", nil, unready("no_network"))
	b.add("offline-captive-portal", nil, unready("captive_portal"), func(s *story) { s.Status.Warnings = warned(health.CaptivePortal, "") })
	b.add("offline-warned", nil, unready("no_network"), func(s *story) { s.Status.Warnings = warned(health.GatewayUnreachable, "") })
	b.add("offline-journal", nil, unready("journal"))
	b.add("offline-key-mismatch", nil, unready("key_mismatch"))
	b.add("lost", nil, func(s *story) { s.Page.Lost = true })
	b.add("lost-manager", aStory(payflow.Confirming, payflow.ReasonUnknown), func(s *story) { s.Page.Lost, s.Page.Asking = true, "lost" })
}

func (b *storyBook) customer() {
	facing := func(s *story) { s.View = "customer" }
	b.add("customer-idle", nil, facing)
	b.add("customer-waiting", aStory(payflow.Waiting, payflow.ReasonWaiting), facing)
	b.add("customer-paying", aStory(payflow.Paying, payflow.ReasonSending), facing)
	b.add("customer-password", aStory(payflow.Confirming, payflow.ReasonPassword), facing)
	b.add("customer-unknown", aStory(payflow.Confirming, payflow.ReasonUnknown), facing)
	b.add("customer-paid", paidStory(), facing, func(s *story) { s.Page.ReceiptCode = "/page/icon.svg" })
	b.add("customer-declined", aStory(payflow.Declined, payflow.ReasonCodeExpired), facing)
	b.add("customer-reversing", aStory(payflow.Reversing, payflow.ReasonTakingBack), facing)
	b.add("customer-reversed", aStory(payflow.Reversed, payflow.ReasonRefunded, func(e *payflow.Entry) { e.MoneySeen = true }), facing)
	b.add("customer-lost", nil, facing, func(s *story) { s.Page.Lost = true })
}

// warnings are a story each: the list changes, and every one must fit.
func (b *storyBook) warnings() {
	for _, w := range health.All() {
		b.add("warning-"+string(w.Code), nil, func(s *story) {
			s.Page.Asking, s.Status.Warnings = "warnings", append(warned(w.Code, "merchant: 312, /dev/posagent-scanner"), warned(health.ScannerAway, "")...)
		})
	}
}
