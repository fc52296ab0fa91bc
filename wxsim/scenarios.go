package wxsim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Scenario is one way in which a payment can go. The customer's code chooses it, or the amount.
//
// A scenario code has 18 digits: a prefix from 10 to 15, then 0000, ten digits as one likes, and the two digits of the
// scenario. Any other code is an ordinary one, and then the amount chooses: 9900 minor units and the two digits (HK$ 99.07
// is scenario 07). The code wins over the amount. An ordinary code with an ordinary amount pays at once.
type Scenario struct {
	Digits string `json:"digits"` // two
	Name   string `json:"name"`
	Does   string `json:"does"` // what happens, in words
}

// Code returns a scenario's payment code; n from 0 to 9,999,999,999 makes it another one, for a code serves once.
func (s Scenario) Code(n int) string { return fmt.Sprintf("130000%010d%s", n, s.Digits) }

// Pattern is what its codes look like, with an x for each digit that is free.
func (s Scenario) Pattern() string { return "1x0000xxxxxxxxxx" + s.Digits }

// Amount is the amount that chooses it, in minor units.
func (s Scenario) Amount() int64 {
	n, _ := strconv.ParseInt(s.Digits, 10, 64)
	return scenarioAmount + n
}

const (
	scenarioAmount = 9900   // and two digits more
	scenarioMark   = "0000" // digits three to six of a scenario code
)

// Scenarios returns the table, by digits.
func Scenarios() []Scenario {
	all := make([]Scenario, len(scenes))
	for i, s := range scenes {
		all[i] = s.Scenario
	}
	return all
}

// Find returns the scenario of a name.
func Find(name string) (Scenario, bool) {
	for _, s := range scenes {
		if s.Name == name {
			return s.Scenario, true
		}
	}
	return Scenario{}, false
}

// CodeFor returns the n-th payment code of a scenario. It panics where no scenario has that name.
func CodeFor(name string, n int) string {
	s, found := Find(name)
	if !found {
		panic("wxsim: no scenario is called " + name)
	}
	return s.Code(n)
}

// scene is a scenario and how it is played.
type scene struct {
	Scenario
	play play
}

// choose finds the scene of a code, or of an amount.
func (s *Sim) choose(code string, total int64) scene {
	found, is := sceneOfAmount(total)
	if walletCode.MatchString(code) && code[2:6] == scenarioMark {
		found, is = sceneOf(code[16:])
	}
	if !is {
		return scenes[0]
	}
	return found
}

func sceneOf(digits string) (scene, bool) {
	for _, scene := range scenes {
		if scene.Digits == digits {
			return scene, true
		}
	}
	return scene{}, false
}

// sceneOfAmount finds the scene of an amount of 99.NN.
func sceneOfAmount(amount int64) (scene, bool) {
	if amount <= scenarioAmount || amount >= scenarioAmount+100 {
		return scene{}, false
	}
	return sceneOf(fmt.Sprintf("%02d", amount-scenarioAmount))
}

func on(call Call, kind Kind) Fault { return Fault{On: call, Kind: kind} }

func broken(faults ...Fault) play { return play{faults: faults} }

// unpaid is a play in which nobody pays, whatever else happens.
func unpaid(p play) play { p.pays = never; return p }

func processed(f Fault) Fault { f.Processed = true; return f }

// scenes is the table. Sources: the documents' states, error codes and times, and what has been seen of networks.
var scenes = []scene{
	{Scenario{"00", "pays-at-once", "paid with the pay call, without a password"}, play{}},
	{Scenario{"01", "password-pays", "the password is asked for (202 USERPAYING, or as the simulator is set), and the customer pays after 6 s"}, play{asks: true}},
	{Scenario{"02", "password-pays-200", "the same, said by 200 and trade_state USERPAYING"}, play{asks: true, asksBy: http.StatusOK}},
	{Scenario{"03", "password-pays-202", "the same, said by 202 and a bare code"}, play{asks: true, asksBy: http.StatusAccepted}},
	{Scenario{"04", "password-refused", "the password is asked for; the customer gives up after 6 s and the order stays unpaid"}, unpaid(play{asks: true, leaves: passwordAfter})},
	{Scenario{"05", "password-never", "the password is asked for and never typed; WeChat Pay revokes the order 45 s after the pay call"}, unpaid(play{asks: true})},
	{Scenario{"06", "password-late", "the customer pays 36 s after the pay call"}, play{asks: true, pays: 36 * time.Second / pace}},
	{Scenario{"07", "pays-in-the-gap", "unpaid until the reverse comes: the payment lands just before it, and is refunded by it"}, unpaid(play{asks: true, paysOnReverse: true})},
	{Scenario{"08", "slow-answer", "WeChat Pay tries the customer's cards in turn: paid, answered after 8 s"}, play{slow: 8 * time.Second / pace}},
	{Scenario{"09", "pay-error", "the password is asked for; after 3 s the order reads PAYERROR"}, unpaid(play{asks: true, fails: 3 * time.Second / pace})},

	{Scenario{"10", "no-money", "refused: NOT_ENOUGH, no order is made"}, play{answer: refused(403, "NOT_ENOUGH")}},
	{Scenario{"11", "expired-code", "refused: AUTH_CODE_EXPIRE"}, play{answer: refused(403, "AUTH_CODE_EXPIRE")}},
	{Scenario{"12", "reused-code", "refused: AUTH_CODE_ERROR, the code was used before"}, play{answer: refused(403, "AUTH_CODE_ERROR")}},
	{Scenario{"13", "not-a-code", "refused: AUTH_CODE_INVALID, these digits are no payment code"}, play{answer: refused(400, "AUTH_CODE_INVALID")}},
	{Scenario{"14", "card-not-supported", "refused: NOT_SUPORT_CARD, as the documents spell it"}, play{answer: refused(403, "NOT_SUPORT_CARD")}},
	{Scenario{"15", "over-the-limit", "refused: RULE_LIMIT"}, play{answer: refused(403, "RULE_LIMIT")}},
	{Scenario{"16", "account-error", "refused: ACCOUNT_ERROR"}, play{answer: refused(403, "ACCOUNT_ERROR")}},
	{Scenario{"17", "too-many-requests", "429 RATE_LIMITED, no order is made"}, play{answer: refused(429, "RATE_LIMITED")}},
	{Scenario{"18", "no-money-order-open", "refused: NOT_ENOUGH, but the order stays open and unpaid until 45 s"}, unpaid(play{answer: oddAnswer{403, "NOT_ENOUGH", true}})},
	{Scenario{"19", "hidden-deduction", "refused: NOT_ENOUGH, but the customer was charged"}, play{answer: oddAnswer{403, "NOT_ENOUGH", true}}},

	{Scenario{"20", "system-error-paid", "500 SYSTEM_ERROR, though it is paid"}, play{answer: muddled("SYSTEM_ERROR")}},
	{Scenario{"21", "system-error-unpaid", "500 SYSTEM_ERROR, and the order stays unpaid until 45 s"}, unpaid(play{answer: muddled("SYSTEM_ERROR")})},
	{Scenario{"22", "system-error-no-order", "500 SYSTEM_ERROR, and there is no order"}, play{answer: refused(500, "SYSTEM_ERROR")}},
	{Scenario{"23", "bank-error-paid-later", "500 BANK_ERROR; paid after 9 s"}, play{answer: muddled("BANK_ERROR"), pays: 9 * time.Second / pace}},
	{Scenario{"24", "unlisted-error", "403 with a code that no document lists; paid"}, play{answer: oddAnswer{403, "A_CODE_OF_TOMORROW", true}}},
	{Scenario{"25", "number-of-another-paid", "another till's paid order stands under the number: ORDER_PAID"}, play{foreign: Foreign{Attach: "ANOTHERTILL00000", State: Success}}},
	{Scenario{"26", "number-of-another-unpaid", "another till's unpaid order stands under the number: OUT_TRADE_NO_USED"}, play{foreign: Foreign{Attach: "ANOTHERTILL00000", State: NotPay}}},
	{Scenario{"27", "number-of-another-closed", "another till's closed order stands under the number: ORDER_CLOSED"}, play{foreign: Foreign{Attach: "ANOTHERTILL00000", State: Closed}}},
	{Scenario{"28", "buyer-mismatch", "refused: BUYER_MISMATCH, no order is made"}, play{answer: refused(403, "BUYER_MISMATCH")}},
	{Scenario{"29", "number-of-another-reversed", "another till's reversed order stands under the number: ORDER_REVERSED"}, play{foreign: Foreign{Attach: "ANOTHERTILL00000", State: Revoked}}},

	{Scenario{"30", "wrong-amount", "paid, but every answer says one minor unit more"}, play{lie: wrongAmount}},
	{Scenario{"31", "wrong-currency", "paid, but every answer says MOP"}, play{lie: wrongCurrency}},
	{Scenario{"32", "another-attach", "paid, but every answer carries another till's attach"}, play{lie: othersAttach}},
	{Scenario{"33", "no-attach", "paid, and no answer carries the attach"}, play{lie: noAttach}},
	{Scenario{"34", "another-number", "paid, but every answer names another order number"}, play{lie: otherNumber}},
	{Scenario{"35", "another-merchant", "paid, but every answer names another merchant"}, play{lie: otherMerchant}},
	{Scenario{"36", "unknown-state", "unpaid, and every answer says trade_state ACCEPT until 45 s"}, unpaid(play{lie: oddState})},
	{Scenario{"37", "wrong-parameter", "refused: PARAM_ERROR, no order is made"}, play{answer: refused(400, "PARAM_ERROR")}},
	{Scenario{"38", "invalid-request", "refused: INVALID_REQUEST, no order is made"}, play{answer: refused(400, "INVALID_REQUEST")}},
	{Scenario{"39", "trade-error", "refused: TRADE_ERROR, the message tells why"}, play{answer: refused(403, "TRADE_ERROR")}},

	{Scenario{"40", "request-lost", "the connection drops before the pay call is read: there is no order"}, broken(on(Pay, DropUnread))},
	{Scenario{"41", "answer-lost", "paid, and the connection drops before the answer"}, broken(on(Pay, DropAnswer))},
	{Scenario{"42", "answer-lost-unpaid", "the connection drops before the answer, and nobody pays: revoked at 45 s"}, unpaid(broken(on(Pay, DropAnswer)))},
	{Scenario{"43", "answer-late", "paid, answered after 20 s"}, broken(on(Pay, LateAnswer))},
	{Scenario{"44", "stall", "the pay call is not carried out, and nothing ever comes back"}, broken(on(Pay, Stall))},
	{Scenario{"45", "stall-paid", "paid, and nothing ever comes back"}, broken(processed(on(Pay, Stall)))},
	{Scenario{"46", "bad-gateway", "502 with a web page, unsigned; there is no order"}, broken(on(Pay, HTMLPage))},
	{Scenario{"47", "bad-gateway-paid", "502 with a web page, unsigned; paid"}, broken(processed(on(Pay, HTMLPage)))},
	{Scenario{"48", "unavailable", "503 SERVICE_UNAVAILABLE, signed; there is no order"}, broken(Fault{On: Pay, Kind: ServerError, Status: 503, Code: "SERVICE_UNAVAILABLE"})},
	{Scenario{"49", "unsigned", "paid; the pay answer carries no signature"}, broken(on(Pay, Unsigned))},
	{Scenario{"50", "refused-unsigned", "NOT_ENOUGH without a signature; there is no order"}, broken(Fault{On: Pay, Kind: Refuse, Status: 403, Code: "NOT_ENOUGH", Unsigned: true})},
	{Scenario{"51", "forged", "paid; the pay answer's signature is somebody else's"}, broken(on(Pay, Forged))},
	{Scenario{"52", "unknown-serial", "paid; the pay answer is signed under a serial that WeChat Pay does not have"}, broken(on(Pay, UnknownSerial))},
	{Scenario{"53", "replayed", "paid; the answer to another pay call comes back, well signed (the connection drops if there is none)"}, broken(on(Pay, ReplayedOther))},
	{Scenario{"54", "rolled-over", "paid; from this answer on a new platform certificate signs"}, broken(on(Pay, Rollover))},
	{Scenario{"55", "redirect", "307 to the same address; there is no order"}, broken(on(Pay, Redirect))},
	{Scenario{"56", "redirect-elsewhere", "307 to another address; there is no order"}, broken(Fault{On: Pay, Kind: Redirect, Location: "/v3/elsewhere"})},
	{Scenario{"57", "dead-link", "the link goes dead under the pay call: nothing arrives, nothing comes back, nobody hangs up"}, broken(on(Pay, DeadLink))},
	{Scenario{"58", "read-late", "the pay call is read only after 20 s, and paid then, whoever is still there"}, broken(on(Pay, ReadLate))},
	{Scenario{"59", "wrong-date", "paid; the Date header is an hour ahead"}, broken(on(Pay, WrongDate))},
	{Scenario{"60", "truncated", "paid; the pay answer ends in the middle"}, broken(on(Pay, Truncated))},
	{Scenario{"61", "oversized", "paid; the pay answer has 2 MiB"}, broken(on(Pay, Oversized))},
	{Scenario{"62", "trailing-json", "paid; a second object follows the answer"}, broken(on(Pay, TrailingJSON))},
	{Scenario{"63", "duplicate-headers", "paid; nonce and signature of the pay answer stand twice"}, broken(on(Pay, DuplicateHeaders))},
	{Scenario{"64", "gzip", "paid; the pay answer is compressed"}, broken(on(Pay, Gzip))},
	{Scenario{"65", "stale", "paid; the pay answer was signed six minutes ago"}, broken(on(Pay, Stale))},
	{Scenario{"66", "probe", "paid; the pay answer's signature begins WECHATPAY/SIGNTEST/"}, broken(on(Pay, Probe))},
	{Scenario{"67", "no-authority", "refused: NO_AUTH, the merchant may not make this call"}, play{answer: refused(403, "NO_AUTH")}},
	{Scenario{"68", "sign-error", "401 SIGN_ERROR, no order is made"}, play{answer: refused(401, "SIGN_ERROR")}},
	{Scenario{"69", "appid-mismatch", "refused: APPID_MCHID_NOT_MATCH"}, play{answer: refused(400, "APPID_MCHID_NOT_MATCH")}},

	{Scenario{"70", "never-ends", "the pay answer is lost, nobody pays, every query is lost and every reverse is SYSTEM_ERROR, for ever"}, unpaid(broken(on(Pay, DropAnswer), on(Query, DropAnswer), on(Reverse, ServerError)))},
	{Scenario{"71", "reverse-refused", "nobody pays; a reverse is refused \"during payment\" for 30 s from 15 s on"}, unpaid(play{asks: true, stubborn: true})},
	{Scenario{"72", "reverse-answer-lost", "nobody pays; the answer to every reverse is lost"}, unpaid(play{asks: true, faults: []Fault{on(Reverse, DropAnswer)}})},
	{Scenario{"73", "query-answers-lost", "paid after 6 s; the answer to every query is lost"}, play{asks: true, faults: []Fault{on(Query, DropAnswer)}}},

	{Scenario{"74", "merchant-unknown", "refused: MCH_NOT_EXISTS"}, play{answer: refused(400, "MCH_NOT_EXISTS")}},
	{Scenario{"75", "appid-unknown", "refused: APPID_NOT_EXIST"}, play{answer: refused(400, "APPID_NOT_EXIST")}},
	{Scenario{"76", "rate-exceeded", "429 RATELIMIT_EXCEEDED, no order is made"}, play{answer: refused(429, "RATELIMIT_EXCEEDED")}},
	{Scenario{"77", "frequency-exceeded", "429 FREQUENCY_LIMIT_EXCEEDED, no order is made"}, play{answer: refused(429, "FREQUENCY_LIMIT_EXCEEDED")}},
	{Scenario{"78", "frequency-exceed", "429 FREQUENCY_LIMIT_EXCEED, as the Global page spells it"}, play{answer: refused(429, "FREQUENCY_LIMIT_EXCEED")}},
	{Scenario{"79", "openid-mismatch", "500 OPENID_MISMATCH, and there is no order"}, play{answer: refused(500, "OPENID_MISMATCH")}},
	{Scenario{"80", "not-found", "404 NOT_FOUND to the pay call"}, play{answer: refused(404, "NOT_FOUND")}},
	{Scenario{"81", "resource-not-there", "404 RESOURCE_NOT_EXISTS to the pay call"}, play{answer: refused(404, "RESOURCE_NOT_EXISTS")}},
	{Scenario{"82", "order-not-there", "404 ORDER_NOT_EXIST to the pay call"}, play{answer: refused(404, "ORDER_NOT_EXIST")}},

	{Scenario{"83", "refund-never-ends", "a refund reads PROCESSING for ever"}, play{refund: &refundPlay{ends: RefundProcessing}}},
	{Scenario{"84", "refund-closed", "a refund ends REFUNDCLOSE; WeChat Pay keeps the money"}, play{refund: &refundPlay{ends: RefundClosed}}},
	{Scenario{"85", "refund-abnormal", "a refund ends ABNORMAL; WeChat Pay keeps the money"}, play{refund: &refundPlay{ends: RefundAbnormal}}},
	{Scenario{"86", "refund-no-money", "a refund is refused: NOT_ENOUGH, the merchant's funds are too small"}, play{refund: &refundPlay{answer: refused(403, "NOT_ENOUGH")}}},
	{Scenario{"87", "refund-account-dead", "a refund is refused: USER_ACCOUNT_ABNORMAL"}, play{refund: &refundPlay{answer: refused(403, "USER_ACCOUNT_ABNORMAL")}}},
	{Scenario{"88", "refund-overdue", "a refund is refused: TRADE_OVERDUE, the payment is more than a year old"}, play{refund: &refundPlay{answer: refused(403, "TRADE_OVERDUE")}}},
	{Scenario{"89", "refund-error", "a refund is refused: ERROR, the message tells why"}, play{refund: &refundPlay{answer: refused(403, "ERROR")}}},
	{Scenario{"90", "refund-system-error", "a refund is taken on, and answered by 500 SYSTEM_ERROR the first time"}, play{refund: &refundPlay{answer: oddAnswer{500, "SYSTEM_ERROR", true}, once: true}}},
	{Scenario{"91", "refund-system-error-not-made", "a refund is not taken on the first time: 500 SYSTEM_ERROR"}, play{refund: &refundPlay{answer: refused(500, "SYSTEM_ERROR"), once: true}}},
	{Scenario{"92", "refund-retry", "a refund is not taken on the first time: 500 BIZERR_NEED_RETRY"}, play{refund: &refundPlay{answer: refused(500, "BIZERR_NEED_RETRY"), once: true}}},
	{Scenario{"93", "refund-too-soon", "a refund is not taken on the first time: 429 INVALID_REQ_TOO_MUCH"}, play{refund: &refundPlay{answer: refused(429, "INVALID_REQ_TOO_MUCH"), once: true}}},
	{Scenario{"94", "refund-too-often", "a refund is not taken on the first time: 429 FREQUENCY_LIMITED"}, play{refund: &refundPlay{answer: refused(429, "FREQUENCY_LIMITED"), once: true}}},
	{Scenario{"95", "refund-answer-lost", "a refund is taken on, and the connection drops before the answer, every time"}, play{refund: &refundPlay{faults: []Fault{on(Refund, DropAnswer)}}}},
	{Scenario{"96", "refund-unsigned", "a refund is taken on; the answer carries no signature"}, play{refund: &refundPlay{faults: []Fault{on(Refund, Unsigned)}}}},
}
