package wxsim

import (
	"context"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// earV2 is the merchant's side of notifications of API v2: it opens what comes, and answers as it is told.
type earV2 struct {
	key string

	mu    sync.Mutex
	says  []string // the answers in turn, then SUCCESS
	heard []heardV2
}

type heardV2 struct {
	outer  map[string]string
	inner  map[string]string // nil where req_info does not open
	header http.Header
}

func (e *earV2) all() []heardV2 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]heardV2(nil), e.heard...)
}

// answers sets what is said to the next notifications.
func (e *earV2) answers(says ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.says = says
}

func (e *earV2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	outer := flat(body)
	text, err := openInfo(outer["req_info"], e.key)
	if err != nil {
		text = nil
	}
	e.heard = append(e.heard, heardV2{outer, flat(text), r.Header})
	says := "SUCCESS"
	if len(e.says) > 0 {
		says, e.says = e.says[0], e.says[1:]
	}
	fmt.Fprintf(w, "<xml><return_code><![CDATA[%s]]></return_code></xml>", says)
}

// flat reads the elements below the root, or nothing.
func flat(text []byte) map[string]string {
	var message struct {
		Fields []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	if len(text) == 0 || xml.Unmarshal(text, &message) != nil {
		return nil
	}
	f := map[string]string{}
	for _, field := range message.Fields {
		f[field.XMLName.Local] = field.Value
	}
	return f
}

// openInfo is the page's decryption: base64, AES-256-ECB under the lower-case hex MD5 of the API key, PKCS #7.
func openInfo(sealed, key string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(text) == 0 || len(text)%16 != 0 {
		return nil, errors.New("not whole blocks")
	}
	block, err := aes.NewCipher([]byte(fmt.Sprintf("%x", md5.Sum([]byte(key)))))
	if err != nil {
		return nil, err
	}
	for at := 0; at < len(text); at += 16 {
		block.Decrypt(text[at:], text[at:])
	}
	last := int(text[len(text)-1])
	if last < 1 || last > 16 {
		return nil, errors.New("no padding")
	}
	return text[:len(text)-last], nil
}

// shopV2 runs a test with a till of API v2 that has an ear for notifications.
func shopV2(t *testing.T, behaviour Behaviour, test func(t *testing.T, c *tillV2, e *earV2)) {
	var line *pipes
	behaviour.NotifyPlain = true
	config := Config{Behaviour: behaviour}
	config.Notify.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return line.dial(ctx, network, address)
	}
	townV2(t, config, func(t *testing.T, c *tillV2) {
		line = newPipes()
		ear := &earV2{key: c.creds.APIv2Key}
		server := &http.Server{Handler: ear}
		go server.Serve(line)
		test(t, c, ear)
		server.Close()
	})
}

// API v2, notification of refund result: req_info, without a sign; the merchant answers return_code SUCCESS.
func TestARefundsEndIsToldInV2(t *testing.T) {
	shopV2(t, Behaviour{}, func(t *testing.T, c *tillV2, e *earV2) {
		id := c.play2("A1", "pays-at-once").f["transaction_id"]
		f := refundOrder("A1", "R1", 250)
		f["notify_url"] = "http://shop.test/refunds"
		refund := c.ask("/secapi/pay/refund", f).f["refund_id"]
		time.Sleep(6 * time.Second)
		heard := e.all()
		require.Len(t, heard, 1)
		assert.Equal(t, []string{"appid", "mch_id", "nonce_str", "req_info", "return_code", "sub_mch_id"}, names(heard[0].outer), "no sign")
		assert.Equal(t, "10000100", heard[0].outer["mch_id"])
		inner := heard[0].inner
		require.NotNil(t, inner, "req_info opens under the API key")
		for name, want := range map[string]string{"transaction_id": id, "out_trade_no": "A1", "refund_id": refund, "out_refund_no": "R1", "total_fee": "1250",
			"settlement_total_fee": "1250", "refund_fee": "250", "settlement_refund_fee": "250", "refund_status": "SUCCESS",
			"refund_recv_accout": "建设银行借记卡0403", "refund_account": "REFUND_SOURCE_UNSETTLED_FUNDS", "refund_request_source": "API"} {
			assert.Equal(t, want, inner[name], name)
		}
		assert.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`, inner["success_time"])
		assert.Empty(t, heard[0].header.Get("Wechatpay-Signature"))
		notices := c.sim.Books().Notices
		require.Len(t, notices, 1)
		assert.True(t, notices[0].Taken)
	})
}

// API v2, notification of refund result: repeated until it is answered with SUCCESS, by the same schedule.
func TestANotificationIsRepeatedUntilReturnCodeSUCCESS(t *testing.T) {
	shopV2(t, Behaviour{}, func(t *testing.T, c *tillV2, e *earV2) {
		e.answers("FAIL", "", "success")
		c.play2("A1", "refund-abnormal")
		f := refundOrder("A1", "R1", 250)
		f["notify_url"] = "http://shop.test/refunds"
		c.ask("/secapi/pay/refund", f)
		time.Sleep(6*time.Second + time.Hour)
		heard := e.all()
		require.Len(t, heard, 4)
		assert.Equal(t, "CHANGE", heard[3].inner["refund_status"])
		assert.NotContains(t, heard[3].inner, "success_time")
		assert.Equal(t, heard[0].outer, heard[3].outer, "the same message each time")
		attempts := c.sim.Books().Notices[0].Attempts
		assert.Equal(t, 60*time.Second, attempts[3].At.Sub(attempts[0].At), "15 s, 15 s, 30 s")
	})
}

// A message from somebody else does not open.
func TestAForgedNotificationDoesNotOpen(t *testing.T) {
	shopV2(t, Behaviour{}, func(t *testing.T, c *tillV2, e *earV2) {
		e.answers("FAIL")
		c.sim.Inject(Fault{On: Notice, Kind: Forged})
		c.play2("A1", "pays-at-once")
		f := refundOrder("A1", "R1", 250)
		f["notify_url"] = "http://shop.test/refunds"
		c.ask("/secapi/pay/refund", f)
		time.Sleep(time.Minute)
		heard := e.all()
		require.Len(t, heard, 2)
		assert.Empty(t, heard[0].inner["refund_id"])
		assert.NotEmpty(t, heard[1].inner["refund_id"])
	})
}

func TestOutsideVectorsOfRequestInformationAreSealedAlike(t *testing.T) {
	var file struct {
		Decrypt []struct {
			Key    string `json:"api_key"`
			Sealed string `json:"req_info_base64"`
			Plain  string `json:"plaintext"`
		}
		Raw []struct {
			Key    string `json:"key_ascii"`
			Plain  string `json:"plaintext"`
			Sealed string `json:"ciphertext_base64"`
		} `json:"raw_ecb"`
	}
	outside(t, "v2_req_info.json", &file)
	require.True(t, len(file.Decrypt) > 0 && len(file.Raw) > 0)
	for _, v := range file.Decrypt {
		assert.Equal(t, v.Sealed, sealInfo([]byte(v.Plain), v.Key))
	}
	for _, v := range file.Raw {
		assert.Equal(t, v.Sealed, sealBlocks([]byte(v.Plain), v.Key))
	}
}
