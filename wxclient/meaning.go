package wxclient

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/rs/zerolog"

	"posagent/payflow"
)

// What follows is how the client of API v2 reads the tables of outcome.go and writes texts: there is one table of codes for
// both APIs, and one way to make a text fit for the wire, or for the record.

// PayMeaning returns what a listed error code means in the answer to a pay call; a code that is not listed means nothing. The
// code may be of either spelling.
func PayMeaning(code string) (kind payflow.OutcomeKind, reason payflow.Reason, listed bool) {
	m, listed := payCodes[NormalCode(code)]
	return m.kind, m.reason, listed
}

// SaysAbsent reports that a code says, in the answer to a query, that there is no such order (so far).
func SaysAbsent(code string) bool { return absentCodes[NormalCode(code)] }

// SaysTooLate reports that a code says, in the answer to a reverse, that the order is older than seven days.
func SaysTooLate(code string) bool { return tooLateCodes[NormalCode(code)] }

// SaysConfiguration reports that a code says that this till's set-up is refused, whatever the call.
func SaysConfiguration(code string) bool { return configurationCodes[NormalCode(code)] }

// RefundMeaning returns what a listed error code means in the answer to a refund; a code that is not listed means nothing.
func RefundMeaning(code string) (kind payflow.RefundOutcomeKind, listed bool) {
	kind, listed = refundCodes[NormalCode(code)]
	return kind, listed
}

// SaysNoRefund reports that a code says, in the answer to a refund query, that there is no such refund (so far).
func SaysNoRefund(code string) bool { return absentRefundCodes[NormalCode(code)] }

// SaysPassword reports the code that says that the customer is being asked for the password: an order that is open.
func SaysPassword(code string) bool { return NormalCode(code) == codeUserPaying }

// NormalCode is how codes are compared and kept: upper case, without underscores, and of at most 64 bytes.
func NormalCode(code string) string {
	normal := normalCode(code)
	return cut(maskText(normal, len(normal)), 64)
}

// TradeStateOf reads a trade state in either spelling. An unknown one is kept as it came, cut to 32 bytes.
func TradeStateOf(text string) payflow.TradeState { return tradeState(text) }

// RefundStateOf reads a refund's state in any of its spellings. An unknown one is kept as it came, cut to 32 bytes.
func RefundStateOf(text string) payflow.RefundState { return refundState(text) }

// RefundSourceOf reads a purse without case.
func RefundSourceOf(text string) payflow.RefundSource { return refundSource(text) }

// CheckRefund refuses a refund whose numbers or amounts no answer could be compared with.
func CheckRefund(o payflow.RefundOrder) error { return checkRefund(o) }

// PaymentOf returns the payment that is refunded, as far as a refund knows it.
func PaymentOf(o payflow.RefundOrder) payflow.Order { return paymentOf(o) }

// RefundClaim is what an unsigned answer about a refund claims, in the words of a payment's.
func RefundClaim(outcome payflow.RefundOutcome) payflow.Outcome { return refundClaim(outcome) }

// WithoutAbsentRefund takes "no such refund" and "no such order" out of an answer where the payment's gateway is not known.
func (l *Line) WithoutAbsentRefund(call string, o payflow.RefundOrder, outcome payflow.RefundOutcome, err error) (payflow.RefundOutcome, error) {
	if l.line.hosts.know(o.HostFamily) {
		return outcome, err
	}
	return withoutAbsentRefund(call, o, outcome, err)
}

// Keep streams a statement's text to its file under a temporary name, sets Bytes and SHA1, asks good, and gives the file its name once
// it is on disk: a power cut leaves the old file or the new one. See NotKept for the file's own errors.
func (s *StatementFile) Keep(plain io.Reader, good func() error) error { return s.keep(plain, good) }

// NotKept reports an error of Keep's that is the file's own, and none of what came.
func NotKept(err error) bool { return errors.As(err, new(*fileError)) }

// Plain makes a text fit for the wire: UTF-8 characters of one to three bytes, no control characters, at most limit bytes.
func Plain(text string, limit int) string { return plain(text, limit) }

// PlainJSON makes every text within one JSON object plain, and returns it compact.
func PlainJSON(text string) (json.RawMessage, error) { return plainJSON(text) }

// MaskText returns a text from outside as it may be kept: plain, at most limit bytes, and with what may be a payment code hidden.
func MaskText(text string, limit int) string { return maskText(text, limit) }

// MaskID does the same for numbers: only a run of exactly 18 digits may be a payment code there.
func MaskID(text string, limit int) string { return maskID(text, limit) }

// TextMax is how much of WeChat Pay's own words is kept, in bytes.
const TextMax = textMax

// Claim turns what an unsigned answer says into the *payflow.LostError that carries it (rule 9). said is what is wrong with
// the answer itself, or nil; trust is that it is not signed.
func Claim(outcome payflow.Outcome, said, trust error) error { return claimed(outcome, said, trust) }

// About puts what we were doing, and of which number, before a LostError's words; any other error becomes one.
func About(call, number string, err error) error {
	return about(call, payflow.Order{OutTradeNo: payflow.OutTradeNo(number)}, err)
}

// Knows reports that an order's gateway, as its record names it, is one of the configured ones. One that never had an order
// proves nothing by not knowing it.
func (l *Line) Knows(hostFamily string) bool { return l.line.hosts.know(hostFamily) }

// WithoutAbsence takes "no such order" out of an answer where the order's gateway is not known.
func (l *Line) WithoutAbsence(o payflow.Order, outcome payflow.Outcome, err error) (payflow.Outcome, error) {
	if l.line.hosts.know(o.HostFamily) {
		return outcome, err
	}
	return withoutAbsence(o, outcome, err)
}

// NoLink returns what an error says for a person where no host could be connected to, and nil for any other error.
func NoLink(err error) error {
	if unlinked := (*noLinkError)(nil); errors.As(err, &unlinked) {
		return unlinked.err
	}
	return nil
}

// Nonces remembers the nonces of answers for ten minutes, and at most 4096 of them. The zero value is ready.
type Nonces struct{ seen nonces }

// Keep has nonces written into a file from now on, and takes the last 1024 of earlier starts out of it, as if they had come just now. It is for
// an API that signs no time; for the file see Config.HeardFile. It is called before any other method.
func (n *Nonces) Keep(file string, log zerolog.Logger) {
	kept, answers := openHeard(file, log)
	n.seen.file = kept
	n.seen.recall(answers, time.Now())
}

// Close ends the writing.
func (n *Nonces) Close() {
	if n.seen.file != nil {
		n.seen.file.close()
	}
}

// Fresh reports that a nonce of 1 to 64 bytes was not seen in the last ten minutes, and remembers it.
func (n *Nonces) Fresh(nonce string, now time.Time) bool {
	return nonce != "" && len(nonce) <= nonceMax && n.seen.fresh(nonce, time.Time{}, now)
}

const nonceMax = 64 // API v2 gives 32
