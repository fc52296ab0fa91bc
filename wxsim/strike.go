package wxsim

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (f *Fault) is(any ...Kind) bool { return f != nil && slices.Contains(any, f.Kind) }

// before reports that the request is not carried out.
func (f *Fault) before() bool {
	return f.is(DropUnread, DropHalf, DeadLink, Redirect) || f.is(Stall, Refuse, ServerError, HTMLPage) && !f.Processed
}

// wire is what happens on the wire to a request that is not read.
func (f *Fault) wire() reply {
	return reply{drop: !f.is(DeadLink), dead: f.is(DeadLink)}
}

// instead replaces the answer, for the kinds that do.
func (f *Fault) instead(v *visit, r reply) reply {
	switch {
	case f == nil:
		return r
	case f.is(DropUnread, DropHalf, DropAnswer):
		return reply{drop: true}
	case f.is(DeadLink, Stall):
		return reply{dead: f.is(DeadLink), stall: f.is(Stall)}
	case f.is(Redirect):
		return reply{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {orElse(f.Location, v.request.RequestURI)}}, bare: true}
	case f.is(Refuse, ServerError):
		code := orElse(f.Code, "SYSTEM_ERROR")
		r = refusal(orElse(f.Status, http.StatusInternalServerError), code, "The simulator was told to answer "+code, 0)
		r.bare = f.Unsigned
	case f.is(HTMLPage):
		r = reply{status: orElse(f.Status, http.StatusBadGateway), body: []byte("<html><body><h1>Bad Gateway</h1></body></html>\n"), bare: true,
			header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	case f.is(LateAnswer):
		r.late = orElse(f.Delay, lateness)
	}
	return r
}

// dress changes what is then signed. A 204 has no body to change.
func (f *Fault) dress(r reply) reply {
	switch {
	case f.is(Oversized, TrailingJSON) && r.status == http.StatusNoContent:
	case f.is(Oversized):
		r.body = slices.Concat(r.body, bytes.Repeat([]byte(" "), oversize))
	case f.is(TrailingJSON):
		r.body = slices.Concat(r.body, []byte("{}"))
	case f.is(Unsigned):
		r.bare = true
	}
	return r
}

func (f *Fault) sealTime(now time.Time) time.Time {
	if f.is(Stale) {
		return now.Add(-staleness)
	}
	return now
}

// spoil changes what has been signed.
func (f *Fault) spoil(r reply, by *platform, now time.Time) reply {
	switch {
	case f.is(Forged):
		r.header.Set("Wechatpay-Serial", by.serial)
	case f.is(Probe):
		r.header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+strings.TrimRight(r.header.Get("Wechatpay-Signature"), "="))
	case f.is(WrongDate):
		r.header.Set("Date", now.Add(orElse(f.Delay, time.Hour)).UTC().Format(http.TimeFormat))
	case f.is(Truncated):
		r.cut = true
	case f.is(DuplicateHeaders):
		for _, name := range []string{"Wechatpay-Nonce", "Wechatpay-Signature"} {
			r.header.Add(name, r.header.Get(name))
		}
	case f.is(Gzip) && r.status != http.StatusNoContent:
		r.body = squeeze(r.body)
		r.header.Set("Content-Encoding", "gzip")
	}
	return r
}

func squeeze(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body)
	z.Close()
	return b.Bytes()
}
