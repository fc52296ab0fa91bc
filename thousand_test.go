package posagent

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxsim"
)

// Everything that signs may be replaced while a store sells: WeChat Pay's platform certificate, the merchant's own certificate,
// and platform certificates as such, by the public key. No payment may be lost by it and none refused.

const (
	payments  = 1000
	customers = 4 // at a time
)

// change is something that happens when so many payments have been made.
type change struct {
	after int
	what  string
	do    func(t *testing.T, h *house)
}

var changes = []change{
	{100, "WeChat Pay shows a new platform certificate", func(t *testing.T, h *house) {
		_, err := h.sim.AddCertificate()
		require.NoError(t, err)
		time.Sleep(25 * time.Hour) // it is shown a day before it is used
	}},
	{200, "the new platform certificate signs", func(_ *testing.T, h *house) { h.sim.UseCertificate() }},
	{300, "the old platform certificate has ended", func(_ *testing.T, h *house) {
		time.Sleep(25 * time.Hour)
		h.sim.DropCertificates()
	}},
	{400, "a platform certificate appears, and signs at once", func(t *testing.T, h *house) {
		_, err := h.sim.AddCertificate()
		require.NoError(t, err)
		h.sim.UseCertificate()
	}},
	{500, "the merchant takes a new certificate", func(t *testing.T, h *house) {
		k, err := h.sim.AddMerchantCertificate("")
		require.NoError(t, err)
		require.NoError(t, h.client.OfferKey(k.Serial, k.Key))
	}},
	{600, "the merchant's old certificate has ended", func(t *testing.T, h *house) {
		time.Sleep(time.Minute)
		require.NotEqual(t, h.oldSerial, h.client.KeySerial(), "the new one signs by now")
		require.NoError(t, h.sim.DropMerchantCertificate(h.oldSerial))
	}},
	{700, "the till is started with WeChat Pay's public key beside the certificates", func(t *testing.T, h *house) {
		k, err := h.sim.Credentials("")
		require.NoError(t, err)
		block, _ := pem.Decode(k.PublicKey)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		require.NoError(t, err)
		h.setUp.SerialNo, h.setUp.PrivateKey = k.Serial, k.Key
		h.setUp.PublicKeyID, h.setUp.PublicKey = k.PublicKeyID, key.(*rsa.PublicKey)
		h.client, err = wxclient.New(h.setUp)
		require.NoError(t, err)
		require.NoError(t, h.client.FirstRoundTrip(t.Context()))
	}},
	{800, "the public key signs everything, and there are no platform certificates any more", func(_ *testing.T, h *house) { h.sim.UsePublicKeyOnly() }},
	{900, "and the till is started once more", func(t *testing.T, h *house) {
		h.client.Close()
		var err error
		h.client, err = wxclient.New(h.setUp)
		require.NoError(t, err)
		require.NoError(t, h.client.FirstRoundTrip(t.Context()))
	}},
}

func TestOfAThousandPaymentsNoneIsLostAndNoneRefusedWhileEveryKeyIsReplaced(t *testing.T) {
	inHouse(t, wxsim.Config{}, func(t *testing.T, h *house) {
		require.NoError(t, h.client.FirstRoundTrip(t.Context()))
		h.oldSerial = h.client.KeySerial()
		made := 0
		for _, next := range append(changes, change{after: payments, what: "closing time", do: func(*testing.T, *house) {}}) {
			h.payMany(made, next.after)
			made = next.after
			t.Log(made, next.what)
			next.do(t, h)
		}
		books := h.sim.Books()
		paid := 0
		for _, order := range books.Orders {
			if order.State == wxsim.Success && order.Charged == 1 && order.PayWhole == 1 {
				paid++
			}
		}
		assert.Equal(t, payments, paid, "in WeChat Pay's own books")
		assert.Empty(t, h.conditions(wxclient.SerialUnknown))
		assert.Empty(t, h.conditions(wxclient.ConfigurationRefused))
	})
}

// payMany makes the payments from and till, and asks for each.
func (h *house) payMany(from, till int) {
	h.t.Helper()
	k, err := h.sim.Credentials("")
	require.NoError(h.t, err)
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	for range customers {
		all.Go(func() {
			for n := int(next.Add(1)); n <= till; n = int(next.Add(1)) {
				h.payOne(n, payflow.Merchant{Mode: payflow.Mode(k.Mode), AppID: k.AppID, MerchantID: k.MerchantID, SubMerchantID: k.SubMerchantID, CategoryCode: k.CategoryCode})
			}
		})
	}
	all.Wait()
}

func (h *house) payOne(n int, m payflow.Merchant) {
	o := payflow.Order{OutTradeNo: payflow.OutTradeNo(fmt.Sprintf("SZTX001T1K%06d", n)), Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, Tag: "ABCDEFGH01234567", Merchant: m,
		API: payflow.APIv3, Description: "Image Store", Store: payflow.Store{ID: "SZTX001", Name: "Shop", Till: "T1"}}
	code, err := payflow.ParseAuthCode(wxsim.CodeFor("pays-at-once", n), "", nil)
	if !assert.NoError(h.t, err) {
		return
	}
	leave := make(chan struct{})
	close(leave)
	outcome, err := h.client.Pay(h.t.Context(), o, code, leave)
	if assert.NoErrorf(h.t, err, "payment %d is lost", n) {
		assert.Equalf(h.t, payflow.TradeSuccess, outcome.Trade.State, "payment %d: %s %s", n, outcome.Kind, outcome.Code)
	}
	if n%10 == 0 {
		asked, err := h.client.Query(h.t.Context(), o)
		if assert.NoErrorf(h.t, err, "query %d", n) {
			assert.Equal(h.t, payflow.TradeSuccess, asked.Trade.State)
		}
	}
}
