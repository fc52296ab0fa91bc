package wxsim

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"net/http"
)

// noticeOfRefundV2 tells how a refund ended (API v2, notification of refund result). The message has no sign: that req_info opens under
// the merchant's API key is its only proof. It is taken when the merchant answers return_code SUCCESS. The caller holds s.mu.
func (s *Sim) noticeOfRefundV2(r *refund) (*notice, error) {
	a := r.order.account
	info := writeXML("root", r.infoV2(), !s.behaviour.NoCDATA)
	fields := func(key string) []byte {
		list := []v2Field{textV2("return_code", "SUCCESS"), textV2("appid", a.AppID), textV2("mch_id", a.MerchantID)}
		if a.Mode == Institution {
			list = append(list, textV2("sub_mch_id", a.SubMerchantID))
		}
		return writeXML("xml", append(list, textV2("nonce_str", randomText(32)), textV2("req_info", sealInfo(info, key))), !s.behaviour.NoCDATA)
	}
	return &notice{NoticeBook: NoticeBook{ID: r.id, Event: statusV2(r.state), Number: r.order.number, RefundNumber: r.number}, order: r.order, to: r.notify,
		body: fields(a.APIv2Key), forged: fields(randomText(apiv2KeyBytes)), unsigned: true, contentType: "text/xml; charset=utf-8", taken: takenV2}, nil
}

// infoV2 is what a notification says of a refund. The receiving account is spelled as the page spells it.
func (r *refund) infoV2() []v2Field {
	o := r.order
	fields := []v2Field{textV2("transaction_id", o.id), textV2("out_trade_no", o.number), textV2("refund_id", r.id), textV2("out_refund_no", r.number),
		numberV2("total_fee", o.total), numberV2("settlement_total_fee", o.total), numberV2("refund_fee", r.amount), numberV2("settlement_refund_fee", r.amount),
		textV2("refund_status", statusV2(r.state)), textV2("refund_recv_accout", recvAccount), textV2("refund_account", r.source),
		textV2("refund_request_source", "API")}
	if r.state == RefundSuccess {
		fields = append(fields, textV2("success_time", chinaTime(r.ended).Format(statementTime)))
	}
	return fields
}

func takenV2(status int, body []byte) bool {
	fields, err := readXML(body, "xml")
	return status == http.StatusOK && err == nil && fields["return_code"] == "SUCCESS"
}

// sealInfo encrypts as API v2 does: AES-256 block by block (ECB) under the API key's MD5 in lower-case hex, PKCS #7, base64.
func sealInfo(text []byte, apiKey string) string {
	sum := md5.Sum([]byte(apiKey))
	return sealBlocks(text, hex.EncodeToString(sum[:]))
}

func sealBlocks(text []byte, key string) string {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		panic("wxsim: an MD5 in hex is no AES key: " + err.Error())
	}
	size := block.BlockSize()
	missing := size - len(text)%size
	sealed := append(bytes.Clone(text), bytes.Repeat([]byte{byte(missing)}, missing)...)
	for at := 0; at < len(sealed); at += size {
		block.Encrypt(sealed[at:at+size], sealed[at:at+size])
	}
	return base64.StdEncoding.EncodeToString(sealed)
}
