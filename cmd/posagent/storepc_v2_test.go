package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// v2Key is the API v2 key of a storePC.
var v2Key = strings.Repeat("2", 32)

// answerV2 answers two calls of API v2 about an order that there is not: "no such order" to a query, "done" to a reverse.
func answerV2(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		AppID string `xml:"appid"`
		MchID string `xml:"mch_id"`
		SubID string `xml:"sub_mch_id"`
		Sign  string `xml:"sign"`
	}
	text, _ := io.ReadAll(r.Body)
	_ = xml.Unmarshal(text, &sent)
	answer := map[string]string{"return_code": "SUCCESS", "appid": sent.AppID, "mch_id": sent.MchID, "sub_mch_id": sent.SubID, "nonce_str": rand.Text()}
	if strings.HasPrefix(r.URL.Path, "/secapi/") {
		answer["result_code"], answer["recall"] = "SUCCESS", "N"
	} else {
		answer["result_code"], answer["err_code"] = "FAIL", "ORDERNOTEXIST"
	}
	var signed, out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		fmt.Fprintf(&signed, "%s=%s&", name, answer[name])
		fmt.Fprintf(&out, "<%s>%s</%s>", name, answer[name], name)
	}
	seal := hmac.New(sha256.New, []byte(v2Key))
	fmt.Fprintf(seal, "%skey=%s", signed.String(), v2Key)
	fmt.Fprintf(w, "<xml>%s<sign>%X</sign></xml>", out.String(), seal.Sum(nil))
}
