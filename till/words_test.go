package till

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// simplifiedOnly and traditionalOnly are the characters of the catalogue that one script writes and the other does not; a new word
// may bring more.
const (
	simplifiedOnly  = "与个么书于什会体余关内准几凭则刷务动单发号启员处复宝实对将属并应开张录户扫换据搁数断无时显暂机条没现码确笔结绝络统继续网联见计订认记设证识询该误请调账货输达过还这连钟钥钱银销错长闭问间项须顾额败余"
	traditionalOnly = "與個麼書於會體餘關內準幾憑則務動單發號啟員處復寶實對將屬應開張錄戶掃換據擱數斷無時顯暫機條沒現碼確筆結絕絡統繼續網聯見計訂認記設證識詢該誤請調帳貨輸達過還這連鐘鑰錢銀銷錯長閉問間項須顧額敗餘"
)

func loadedWords(t *testing.T) Words {
	t.Helper()
	w, err := LoadWords()
	require.NoError(t, err)
	return w
}

// anEntry is a payment of HK$ 12.50 that stands somewhere.
func anEntry(status payflow.Status, reason payflow.Reason) payflow.Entry {
	e := payflow.Entry{}
	e.Amount, e.Status, e.Reason = payflow.Amount{Minor: 1250, Currency: "HKD"}, status, reason
	return e
}

// assertSaid checks that a text stands in every language, filled and in its own script.
func assertSaid(t *testing.T, text map[string]string, what ...any) {
	t.Helper()
	require.ElementsMatch(t, WordLanguages(), slices.Collect(maps.Keys(text)))
	for language, words := range text {
		assert.NotEmpty(t, strings.TrimSpace(words), "%v in %s", what, language)
		assert.NotContains(t, words, "{", "%v in %s", what, language)
		assert.NotRegexp(t, `[:：]\s*$`, words, "%v in %s", what, language)
	}
	assert.False(t, strings.ContainsAny(text["zh-Hans"], traditionalOnly), "%v: %s", what, text["zh-Hans"])
	assert.False(t, strings.ContainsAny(text["zh-Hant"], simplifiedOnly), "%v: %s", what, text["zh-Hant"])
	assert.NotRegexp(t, `\p{Han}`, text["en"])
	assert.Regexp(t, `\p{Han}`, text["zh-Hans"])
}

func TestEveryStateSaysWhatHappenedAndWhatToDo(t *testing.T) {
	w := loadedWords(t)
	for _, status := range payflow.Statuses() {
		for _, reason := range payflow.Reasons() {
			for _, attention := range append(payflow.Reasons(), "") {
				e := anEntry(status, reason)
				e.Attention = attention
				assertSaid(t, w.Message(e), status, reason, attention)
				assertSaid(t, w.NextStep(e), status, reason, attention)
			}
		}
	}
}

func TestEveryReasonHasBothPartsInEveryLanguage(t *testing.T) {
	w := loadedWords(t)
	for _, reason := range payflow.Reasons() {
		for _, language := range WordLanguages() {
			pair, ok := w.catalogues[language].Reasons[string(reason)]
			assert.True(t, ok, "%s in %s", reason, language)
			assert.NotEmpty(t, pair.Message, "%s in %s", reason, language)
			assert.NotEmpty(t, pair.NextStep, "%s in %s", reason, language)
		}
	}
}

func TestEveryRefusedScanSaysWhyAndWhatToDo(t *testing.T) {
	w := loadedWords(t)
	general, _ := w.Notice("something new")
	assertSaid(t, general)
	kinds := []string{
		string(payflow.CodeWeChat), string(payflow.CodeAlipay), string(payflow.CodeUnionPay), string(payflow.CodeGoods),
		string(payflow.CodeMerchantOwn), string(payflow.CodeWrongLength), string(payflow.CodeNotDigits), string(payflow.CodeWrongPrefix),
		string(payflow.CodeNothing), payflow.NoticeNothingArmed, payflow.NoticeBusy, payflow.NoticeSameCode, payflow.NoticeMisread,
		"starting", "stopping", "no_network", "not_verified", "clock", "journal", "recovering", "key_mismatch", "certificate",
		"no_certificate", "certificate_refused", "certificate_early", "clock_unset",
		"too_many_open", "internal",
	}
	for _, kind := range kinds {
		message, next := w.Notice(kind)
		assertSaid(t, message, kind)
		assertSaid(t, next, kind)
		assert.NotEqual(t, general["en"], message["en"], kind)
	}
}

// leftOpen are the labels that the page puts a number or an amount into.
var leftOpen = map[string]string{"cancel_in": "{n}", "ends_itself": "{n}", "other_means_note": "{amount}"}

func TestTheLanguagesHaveTheSameWords(t *testing.T) {
	w := loadedWords(t)
	english := w.catalogues["en"]
	for _, language := range WordLanguages() {
		c := w.catalogues[language]
		assert.Equal(t, keys(english.States), keys(c.States), language)
		assert.Equal(t, keys(english.Attention), keys(c.Attention), language)
		assert.Equal(t, keys(english.Reasons), keys(c.Reasons), language)
		assert.Equal(t, keys(english.Notices), keys(c.Notices), language)
		assert.Equal(t, keys(english.Labels), keys(c.Labels), language)
	}
	for key := range english.Labels {
		assert.NotEmpty(t, w.Label("zh-Hans", key), key)
		for _, language := range WordLanguages() {
			assert.Equal(t, leftOpen[key], regexp.MustCompile(`\{[^}]*\}?`).FindString(w.Label(language, key)), "%s in %s", key, language)
		}
		assert.False(t, strings.ContainsAny(w.Label("zh-Hans", key), traditionalOnly), key)
		assert.False(t, strings.ContainsAny(w.Label("zh-Hant", key), simplifiedOnly), key)
	}
}

// Only the words of a language's states may name a placeholder, and they must be placeholders that are filled.
// What a program, a command or an old till's display shows knows no keys of the page: its buttons are named by their words. Labels are the page's own.
func TestWhatProgramsShowNamesNoKeyOfThePage(t *testing.T) {
	key := regexp.MustCompile(`[(（](?:按 )?(?:[A-Z]|Esc|Enter)\b[^)）]*[)）]|[Pp]ress [A-Z]\b|按 ?[A-Z]\b|\bEsc\b`)
	for language, c := range loadedWords(t).catalogues {
		for _, section := range []map[string]wordPair{c.States, c.Reasons, c.Refunds, c.RefundReasons, c.Notices} {
			for name, pair := range section {
				assert.NotRegexp(t, key, pair.Message+" | "+pair.NextStep, "%s, %s", language, name)
			}
		}
		for name, text := range c.Attention {
			assert.NotRegexp(t, key, text, "%s, %s", language, name)
		}
	}
}

func TestPlaceholdersAreThoseThatAreFilled(t *testing.T) {
	w := loadedWords(t)
	for _, language := range WordLanguages() {
		for state, pair := range w.catalogues[language].States {
			for _, placeholder := range regexp.MustCompile(`\{[^}]*\}`).FindAllString(pair.Message+pair.NextStep, -1) {
				assert.Contains(t, []string{"{amount}", "{reason}", "{refusal}", "{step}", "{shown}"}, placeholder, "%s in %s", state, language)
			}
		}
	}
}

func TestNothingButPaidSaysPaid(t *testing.T) {
	w := loadedWords(t)
	for _, status := range payflow.Statuses() {
		for _, reason := range payflow.Reasons() {
			message := w.Message(anEntry(status, reason))
			claims := strings.HasPrefix(message["en"], "PAID")
			assert.Equal(t, status == payflow.Paid, claims, "%s %s: %s", status, reason, message["en"])
			assert.Equal(t, status == payflow.Paid, strings.Contains(message["zh-Hant"], "收款成功"), "%s %s", status, reason)
		}
	}
}

func TestAnUncertainPaymentIsNeverCalledFailed(t *testing.T) {
	w := loadedWords(t)
	for _, reason := range payflow.Reasons() {
		e := anEntry(payflow.Confirming, reason)
		said := w.Message(e)["en"] + " " + w.NextStep(e)["en"]
		assert.NotRegexp(t, `(?i)\bfailed|\bnot paid|other means`, said)
		assert.Regexp(t, `(?i)do not`, said, "it holds the cashier back")
	}
}

func TestStatesSayTheirBindingWords(t *testing.T) {
	w := loadedWords(t)
	for _, c := range []struct {
		entry          payflow.Entry
		english, hant  string
		next, nextHant string
	}{
		{anEntry(payflow.Waiting, payflow.ReasonWaiting), "HK$ 12.50 - scan now", "請掃付款碼", "Money Code", "收付款"},
		{anEntry(payflow.Confirming, payflow.ReasonPassword), "Customer is entering the password", "顧客正在輸入密碼", "Do not hand over", "暫勿交貨"},
		{anEntry(payflow.Confirming, payflow.ReasonUnknown), "WAIT - do not charge again, do not hand over goods", "未確定，請勿重複收款", "manager", "經理"},
		{anEntry(payflow.Paid, payflow.ReasonPaid), "PAID HK$ 12.50", "收款成功", "receipt", "收據"},
		{anEntry(payflow.Declined, payflow.ReasonCodeExpired), "Not paid: the code has expired", "未收款", "choose Scan again", "重新掃碼"},
		{anEntry(payflow.Declined, payflow.ReasonNoNetwork), "NOT PAID - no network, nothing was charged", "網絡中斷", "Take cash", "請收現金"},
		{anEntry(payflow.Reversing, payflow.ReasonTakingBack), "NOT PAID by WeChat - being cancelled", "未付款，正在撤銷", "slip", "單據"},
		{anEntry(payflow.Reversed, payflow.ReasonRefunded), "NOT PAID, cancelled", "已撤銷", "5 working days", "5 個工作天"},
	} {
		assert.Contains(t, w.Message(c.entry)["en"], c.english)
		assert.Contains(t, w.Message(c.entry)["zh-Hant"], c.hant)
		assert.Contains(t, w.NextStep(c.entry)["en"], c.next)
		assert.Contains(t, w.NextStep(c.entry)["zh-Hant"], c.nextHant)
	}
}

func TestAPaymentThatAPersonMustLookAtSaysSoFirst(t *testing.T) {
	w := loadedWords(t)
	held := anEntry(payflow.Confirming, payflow.ReasonUnknown)
	held.Attention = payflow.AttentionMismatch
	assert.Regexp(t, "^Call the manager: .*another amount.* do not hand over goods", w.NextStep(held)["en"])

	free := anEntry(payflow.Reversing, payflow.ReasonTakingBack)
	free.Attention = payflow.AttentionReverseRefused
	assert.Regexp(t, "^Call the manager: .*Other means may be taken now", w.NextStep(free)["en"])

	late := anEntry(payflow.Reversed, payflow.ReasonNeverArrived)
	late.Attention = payflow.AttentionLateSuccess
	assert.Regexp(t, "^Call the manager: no goods for this money .*goes back to the customer by itself", w.NextStep(late)["en"])
	assert.Contains(t, w.Message(late)["en"], "do not charge again", "what it ended as is not all there is to know")
	for _, language := range WordLanguages() { // the manager's page leaves these words out
		for where, text := range w.catalogues[language].Attention {
			assert.True(t, strings.HasPrefix(text, w.Label(language, "call_first")+"{"), "%s in %s", where, language)
		}
	}
}

// What was so at the end is not so for good: "nothing was charged" and "nobody knows" never stand on one page.
func TestALateTruthContradictsNothing(t *testing.T) {
	w := loadedWords(t)
	for _, reason := range []payflow.Reason{payflow.ReasonNeverArrived, payflow.ReasonClosed, payflow.ReasonRevoked, payflow.ReasonRefunded} {
		open := anEntry(payflow.Reversed, reason)
		open.Late = payflow.Late{Stage: payflow.LateOwed, Attention: payflow.AttentionLateUnanswered}
		held := anEntry(payflow.Reversed, reason)
		held.Late = payflow.Late{Stage: payflow.LateTakingBack, MoneySeen: true}
		back := anEntry(payflow.Reversed, reason)
		back.Late = payflow.Late{Stage: payflow.LateGivenBack, MoneySeen: true}
		for _, e := range []payflow.Entry{open, held, back} {
			said := w.Message(e)["en"] + " " + w.NextStep(e)["en"]
			assert.NotRegexp(t, "[Nn]othing was charged|never had this order|after the end", said)
			assert.Contains(t, said, "closed", "what the money came after")
			assert.Regexp(t, "[Nn]o goods for (it|this money)", said, "whether goods may go is said")
			assert.Regexp(t, "请勿(凭此|为此|为这笔款项)交货", w.NextStep(e)["zh-Hans"])
			assert.Regexp(t, "請勿(憑此|為此|為這筆款項)交貨", w.NextStep(e)["zh-Hant"])
		}
		assert.Contains(t, w.Message(open)["en"], "not known yet")
		assert.Contains(t, w.NextStep(held)["en"], "goes back to the customer by itself")
	}
}

func TestAnotherAmountAtWeChatPayIsNamed(t *testing.T) {
	e := anEntry(payflow.Confirming, payflow.ReasonUnknown)
	e.Attention, e.Trade.Amount = payflow.AttentionMismatch, payflow.Amount{Minor: 12_500, Currency: "HKD"}
	for language, text := range loadedWords(t).Message(e) {
		assert.Contains(t, text, "HK$ 125.00", language)
		assert.Regexp(t, "the manager must look|须由店长查看|須由經理查看", text, language)
	}
	e.Trade.Amount = e.Amount // then it is the merchant that differs
	assert.Contains(t, loadedWords(t).Message(e)["en"], "WAIT")
}

func TestWhatSetsAConfirmingPaymentApart(t *testing.T) {
	w := loadedWords(t)
	confirming := func(change func(*payflow.Entry)) string {
		e := anEntry(payflow.Confirming, payflow.ReasonUnknown)
		change(&e)
		return w.Message(e)["en"]
	}
	assert.Contains(t, confirming(func(e *payflow.Entry) { e.Stranger = payflow.Another }), "belongs to another till")
	assert.Contains(t, confirming(func(e *payflow.Entry) { e.Stranger = payflow.Unclaimed }), "WAIT")
	assert.Contains(t, confirming(func(e *payflow.Entry) { e.SetAside.At = time.Unix(1, 0) }), "do not charge this sale again")
	assert.Contains(t, confirming(func(e *payflow.Entry) { e.CancelAsked = true }), "cancelling")
	assert.Contains(t, confirming(func(e *payflow.Entry) {
		e.Claim, e.Reason = payflow.Refusal{Kind: payflow.Refused, Reason: payflow.ReasonCodeExpired}, payflow.ReasonChecking
	}), "seems to refuse; being checked")
	refused := anEntry(payflow.Confirming, payflow.ReasonChecking)
	refused.Claim = payflow.Refusal{Kind: payflow.Refused, Reason: payflow.ReasonNotEnough}
	assert.Contains(t, w.NextStep(refused)["en"], "not enough money", "the reason is said while it is being checked")
	refused.Refusal = payflow.Refusal{Kind: payflow.Refused, Reason: payflow.ReasonCodeExpired}
	assert.Contains(t, w.NextStep(refused)["en"], "the code has expired", "what is signed comes first")
}

func TestAReasonThatHasNoWordsStillReads(t *testing.T) {
	assertSaid(t, loadedWords(t).Message(anEntry(payflow.Declined, "")), "declined, no reason")
	assertSaid(t, loadedWords(t).NextStep(anEntry(payflow.Declined, "")), "declined, no reason")
}

func TestAnUnknownLabelIsItself(t *testing.T) {
	w := loadedWords(t)
	assert.Equal(t, "Enter amount", w.Label("fr", "enter_amount"))
	assert.Equal(t, "no_such_label", w.Label("zh-Hans", "no_such_label"))
	assert.Equal(t, "no_such_label", Words{}.Label("en", "no_such_label"))
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func TestAnOrderRevokedWhenFirstSeenIsNotSaidToGiveMoneyBack(t *testing.T) {
	e := payflow.Entry{}
	e.Status, e.Reason, e.Amount = payflow.Reversed, payflow.ReasonRevoked, payflow.Amount{Minor: 1250, Currency: "HKD"}
	assert.Contains(t, loadedWords(t).Message(e)["en"], "it is not known whether money had been taken")
}
