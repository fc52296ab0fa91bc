package till

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"posagent/payflow"
)

//go:embed words/*.json
var wordFiles embed.FS

// Words is the catalogue of what a person reads of a payment: for each state what happened and what to do now, in every language.
// It is read once from words/*.json, and is a Wording. Its zero value has no words.
type Words struct {
	catalogues map[string]catalogue
}

// catalogue is one language's file.
type catalogue struct {
	States        map[string]wordPair `json:"states"`         // a status, or a status and what sets it apart
	Attention     map[string]string   `json:"attention"`      // hold, free and final: what to do when a person must look
	Reasons       map[string]wordPair `json:"reasons"`        // what a state says of its reason
	Refunds       map[string]wordPair `json:"refunds"`        // a refund's status
	RefundReasons map[string]wordPair `json:"refund_reasons"` // why a refund stands where it does
	Notices       map[string]wordPair `json:"notices"`        // refused scans, and why no payment is taken
	Labels        map[string]string   `json:"labels"`
}

// wordPair is what happened and what to do now.
type wordPair struct {
	Message  string `json:"message"`
	NextStep string `json:"next_step"`
}

var _ Wording = Words{}

// WordLanguages returns the languages of the catalogue, by the names that the configuration uses.
func WordLanguages() []string { return []string{"en", "zh-Hans", "zh-Hant"} }

// LoadWords reads the catalogue that is built in. An error names the file: it is a fault of the build.
func LoadWords() (Words, error) {
	w := Words{catalogues: map[string]catalogue{}}
	for _, language := range WordLanguages() {
		c, err := readCatalogue(language)
		if err != nil {
			return Words{}, err
		}
		w.catalogues[language] = c
	}
	return w, nil
}

func readCatalogue(language string) (catalogue, error) {
	var c catalogue
	name := "words/" + language + ".json"
	text, err := wordFiles.ReadFile(name)
	if err != nil {
		return c, fmt.Errorf("read the words of %s: %w", language, err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read %s: %w", name, err)
	}
	return c, nil
}

// Message says what happened to a payment, by language. An uncertain payment is never called failed.
func (w Words) Message(e payflow.Entry) map[string]string {
	return w.each(func(c catalogue) string { return c.fill(c.state(e).Message, e) })
}

// NextStep says what the cashier does now, by language. A payment that a person must look at says that first.
func (w Words) NextStep(e payflow.Entry) map[string]string {
	return w.each(func(c catalogue) string {
		if attentionOf(e) != "" && !e.BackTwice() {
			return c.fill(c.Attention[attentionCase(e.Payment)], e)
		}
		return c.fill(c.state(e).NextStep, e)
	})
}

// RefundMessage says where a refund stands and why, by language. One that is not known to have gone back is never called given back.
func (w Words) RefundMessage(e payflow.RefundEntry) map[string]string {
	return w.each(func(c catalogue) string { return c.fillRefund(c.Refunds[refundCase(e)].Message, e) })
}

// RefundNextStep says what to do now about a refund, by language.
func (w Words) RefundNextStep(e payflow.RefundEntry) map[string]string {
	return w.each(func(c catalogue) string { return c.fillRefund(c.Refunds[refundCase(e)].NextStep, e) })
}

// refundCase names a refund's words: its status, but for one that was taken on and that WeChat Pay now does not know.
func refundCase(e payflow.RefundEntry) string {
	if e.Status == payflow.RefundProcessing && e.Attention == payflow.AttentionRefundVanished {
		return "processing.vanished"
	}
	return string(e.Status)
}

// fillRefund puts a refund's amount in, why it stands there, and what to do: what needs a person goes before.
func (c catalogue) fillRefund(text string, e payflow.RefundEntry) string {
	why := c.refundReason(e.Why)
	step := why.NextStep
	if e.Attention != "" && !customerMayHaveIt(e) {
		step = c.refundReason(e.Attention).NextStep
		if e.Status != payflow.RefundRefused {
			why = c.refundReason(e.Attention)
		}
	}
	return strings.NewReplacer("{amount}", e.Amount.String(), "{reason}", why.Message, "{step}", step).Replace(text)
}

// customerMayHaveIt reports a refusal for the sake of the payment's other refunds, or for a reason that is not on our list, as of an order that was taken
// back: the customer may well have the money, and the reason's own step says where to look.
func customerMayHaveIt(e payflow.RefundEntry) bool {
	if e.Attention != payflow.AttentionRefundRefused {
		return false
	}
	switch e.Why {
	case payflow.ReasonRefundExceeds, payflow.ReasonRefundTooMany, payflow.ReasonRefundOthersFailed, payflow.ReasonRefundNumberInUse, payflow.ReasonRefundForgotten,
		payflow.ReasonRefundDeclined:
		return true
	}
	return false
}

func (c catalogue) refundReason(why payflow.Reason) wordPair {
	if pair, known := c.RefundReasons[string(why)]; known {
		return pair
	}
	return c.RefundReasons[string(payflow.ReasonRefundDeclined)]
}

// Notice says why a scan was refused or no payment is taken, and what to do now. kind is a payflow.CodeKind, one of the payflow.Notice
// constants or a payflow.NotReadyError's code; any other is said in general words.
func (w Words) Notice(kind string) (message, nextStep map[string]string) {
	message = w.each(func(c catalogue) string { return c.notice(kind).Message })
	nextStep = w.each(func(c catalogue) string { return c.notice(kind).NextStep })
	return message, nextStep
}

// Label returns a short word for screen or paper. A language that posagent does not speak gives English; an unknown key gives itself.
func (w Words) Label(lang, key string) string {
	for _, language := range []string{lang, "en"} {
		if text, ok := w.catalogues[language].Labels[key]; ok {
			return text
		}
	}
	return key
}

func (w Words) each(text func(catalogue) string) map[string]string {
	all := make(map[string]string, len(w.catalogues))
	for language, c := range w.catalogues {
		all[language] = text(c)
	}
	return all
}

func (c catalogue) notice(kind string) wordPair {
	if pair, ok := c.Notices[kind]; ok {
		return pair
	}
	return c.Notices["other"]
}

func (c catalogue) state(e payflow.Entry) wordPair {
	if name := lateCase(e); name != "" {
		return c.States[name]
	}
	return c.States[stateCase(e.Payment)]
}

// lateCase names the words of a payment of which something was learnt after its end.
func lateCase(e payflow.Entry) string {
	switch {
	case e.BackTwice():
		return "paid_back_twice"
	case heldLate(e.Late):
		return "late_success"
	case e.Late.MoneySeen && e.Late.Stage == payflow.LateGivenBack:
		return "late_given_back"
	case e.Late.Attention == payflow.AttentionLateUnanswered:
		return "late_unanswered" // "nothing was charged" was true of the end, and is not known of what came after
	}
	return ""
}

// fill puts the payment's amount and reason in. The values hold no braces, so that nothing is filled twice.
func (c catalogue) fill(text string, e payflow.Entry) string {
	reason, known := c.Reasons[string(e.Reason)]
	if !known {
		reason = c.Reasons[string(payflow.ReasonRefused)]
	}
	return strings.NewReplacer(
		"{amount}", e.Amount.String(),
		"{shown}", e.Trade.Amount.String(),
		"{reason}", reason.Message,
		"{step}", reason.NextStep,
		"{refusal}", c.Reasons[string(refusalOf(e.Payment))].Message,
		"{attention}", c.Reasons[string(attentionOf(e))].Message,
	).Replace(text)
}

// refusalOf is why WeChat Pay refuses, as it says or, where it did not sign that, as somebody says in its name.
func refusalOf(p payflow.Payment) payflow.Reason {
	if p.Refusal.Reason != "" {
		return p.Refusal.Reason
	}
	return p.Claim.Reason
}

// stateCase names the state's words: the status, and what sets it apart for whoever stands at the till.
func stateCase(p payflow.Payment) string {
	if p.Attention == payflow.AttentionLateSuccess && p.Status.Final() && p.Status != payflow.Paid {
		return "late_success"
	}
	switch p.Status {
	case payflow.Paying:
		if p.CancelAsked {
			return "paying.cancel"
		}
	case payflow.Confirming:
		return confirmingCase(p)
	case payflow.Declined:
		if p.Reason == payflow.ReasonNoNetwork {
			return "declined.no_network"
		}
	case payflow.Reversed:
		if slices.Contains([]payflow.Reason{payflow.ReasonNeverArrived, payflow.ReasonClosed, payflow.ReasonRevoked}, p.Reason) {
			return "reversed." + string(p.Reason)
		}
		if p.MoneySeen {
			return "reversed.money_seen"
		}
	}
	return string(p.Status)
}

// confirmingCase puts what binds the cashier most first: an order that is another's frees the sale, one set aside frees the till alone.
func confirmingCase(p payflow.Payment) string {
	switch {
	case p.SaleMayUseOtherMeans():
		return "confirming.another"
	case showsAnotherAmount(p):
		return "confirming.mismatch"
	case !p.SetAside.At.IsZero():
		return "confirming.aside"
	case p.CancelAsked:
		return "confirming.cancel"
	case p.Refusal.Reason != "" || p.Claim.Reason != "":
		return "confirming.refused"
	case p.Reason == payflow.ReasonPassword:
		return "confirming.password"
	}
	return "confirming"
}

// showsAnotherAmount reports that WeChat Pay was seen to show another amount for the order than this till asked for.
func showsAnotherAmount(p payflow.Payment) bool {
	return p.Attention == payflow.AttentionMismatch && p.Trade.Amount.Currency != "" && p.Trade.Amount != p.Amount
}

// attentionCase says how far a person's look binds the cashier.
func attentionCase(p payflow.Payment) string {
	switch {
	case p.Status.Final():
		return "final"
	case p.SaleMayUseOtherMeans():
		return "free"
	}
	return "hold"
}
