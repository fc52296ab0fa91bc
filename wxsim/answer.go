package wxsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is what one request gets: an answer, or what happens on the wire instead.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	trouble *trouble  // the body of an error, spelled when it is sealed
	order   orderKey  // what it is about, for replays
	v2      *v2Answer // an answer of API v2

	drop  bool          // the connection is closed without an answer
	dead  bool          // the link goes dead
	stall bool          // nothing comes back, and the connection stays
	late  time.Duration // the answer waits
	cut   bool          // the connection is closed in the middle of the body
	bare  bool          // it carries no signature

	digested bool   // a file: its digest is signed, not the body
	digests  Digest // how
	packed   bool   // gzip was asked for
}

// trouble is an error body (Global v3, HTTP status and errors).
type trouble struct {
	Code    string         `json:"code"`    // 1..32
	Message string         `json:"message"` // 1..256
	Detail  map[string]any `json:"detail,omitempty"`
	number  int            // the numeric error number at the end of Request-ID
}

// good is status 200 with v as its body.
func good(v any) reply { return reply{status: http.StatusOK, body: mustJSON(v)} }

// refusal is an error answer.
func refusal(status int, code, message string, number int) reply {
	return reply{status: status, trouble: &trouble{Code: code, Message: message, number: number}}
}

// about adds the detail that names a field.
func (r reply) about(field, issue, location string) reply {
	r.trouble.Detail = map[string]any{"field": field, "issue": issue, "location": location}
	return r
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("wxsim: an answer is no JSON: " + err.Error())
	}
	return text
}

// spell writes a code as the Chinese pages do (ORDER_PAID) or as the English ones (ORDERPAID).
func (b Behaviour) spell(code string) string {
	if b.OldSpelling {
		return strings.ReplaceAll(code, "_", "")
	}
	return code
}

// finish writes an error's body and the headers that every answer has: Date, Request-ID and the type of the body.
func (r *reply) finish(b Behaviour, now time.Time) {
	number := 0
	if r.trouble != nil {
		number = r.trouble.number
		spelled := *r.trouble
		spelled.Code = b.spell(spelled.Code)
		r.body = mustJSON(spelled)
		r.bare = r.bare || b.ErrorsUnsigned
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	r.digests = b.StatementDigest
	r.header.Set("Date", now.UTC().Format(http.TimeFormat))
	r.header.Set("Request-ID", requestID(number))
	if len(r.body) > 0 && r.header.Get("Content-Type") == "" {
		r.header.Set("Content-Type", "application/json; charset=utf-8")
	}
}

// requestID has the form id-errno; the digits after the last dash are a numeric error number.
func requestID(number int) string {
	raw := make([]byte, 20)
	rand.Read(raw)
	return fmt.Sprintf("08%X-%d", raw, number)
}

// seal signs the answer: timestamp, nonce and body, each ended by a line feed; a 204 has an empty body
// (Global, signature verification 3.3).
func (r *reply) seal(by *platform, now time.Time) {
	timestamp, nonce := strconv.FormatInt(now.Unix(), 10), randomText(32)
	r.header.Set("Wechatpay-Timestamp", timestamp)
	r.header.Set("Wechatpay-Nonce", nonce)
	r.header.Set("Wechatpay-Serial", by.serial)
	r.header.Set("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
	text := string(r.body)
	if r.digested {
		text = r.digest()
	}
	r.header.Set("Wechatpay-Signature", by.sign(timestamp+"\n"+nonce+"\n"+text+"\n"))
}
