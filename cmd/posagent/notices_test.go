package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/till"
	"posagent/wxsim"
)

func TestNotificationsAreTakenWhereAnAddressIsSet(t *testing.T) {
	for _, api := range []payflow.API{payflow.APIv3, payflow.APIv2} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), api)
			require.NoError(t, err)
			t.Cleanup(gateway.close)
			address := freeAddress(t)
			account := gateway.account() + fmt.Sprintf("notify_listen = %q\nnotify_url = \"https://shop.example.com/wechat\"\n", address)
			tt := openAPITill(t, gateway, trialConfig{StoreID: "SZTX001", TillID: "N1", Account: account})
			require.NoError(t, tt.start(t.Context()))
			require.NoError(t, tt.awaitReady(t.Context()))
			status, err := gateway.sim.Probe("http://" + address + "/wechat")
			require.NoError(t, err)
			assert.GreaterOrEqual(t, status, 400, "probing traffic must fail")
			got, err := http.Post("http://"+address+"/wechat", "application/json", strings.NewReader(`{"id":"EV-1"}`))
			require.NoError(t, err)
			defer got.Body.Close()
			assert.GreaterOrEqual(t, got.StatusCode, 400, "nobody signed it")
			require.NoError(t, tt.stop())
			_, err = net.Dial("tcp", address)
			assert.Error(t, err, "nobody listens any more")
		})
	}
}

// The address is open to the world: whoever holds connections to it must not use up those that payments need.
func TestConnectionsToTheNotificationsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a := &agent{noticeListener: l}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.serveNotices(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	}()
	defer func() { stop(); <-ended }()
	var held []net.Conn
	answered := func() int {
		n := 0
		for _, c := range held {
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := io.ReadFull(c, make([]byte, 8)); err == nil {
				n++
			}
		}
		return n
	}
	for range noticeConnsMax + 8 {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		require.NoError(t, err)
		held = append(held, c)
	}
	assert.Equal(t, noticeConnsMax, answered())
	for _, c := range held[:8] {
		require.NoError(t, c.Close())
	}
	held = held[noticeConnsMax:]
	assert.Equal(t, 8, answered(), "those that wait have their turn")
}

// openTrialWith is a trial whose simulated WeChat Pay is set up otherwise.
func openTrialWith(t *testing.T, api payflow.API, config wxsim.Config) *trial {
	t.Helper()
	sim, err := wxsim.New(config)
	require.NoError(t, err)
	gateway := &trial{sim: sim, dir: filepath.Join(t.TempDir(), "wechat-pay"), api: api}
	t.Cleanup(gateway.close)
	require.NoError(t, sim.WriteCredentials(gateway.dir))
	gateway.url, err = sim.Start("127.0.0.1:0")
	require.NoError(t, err)
	return gateway
}

// A notification of a refund finds it in the journal; what it says is asked for, and the refund ends by that answer.
func TestANotificationOfARefundIsTaken(t *testing.T) {
	for _, api := range []payflow.API{payflow.APIv3, payflow.APIv2} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			gateway := openTrialWith(t, api, wxsim.Config{Behaviour: wxsim.Behaviour{RefundAfter: time.Second}, Notify: wxsim.Notify{Through: "http://" + address}})
			account := gateway.account() + fmt.Sprintf("notify_listen = %q\nnotify_url = \"https://shop.example.com/wechat\"\n", address)
			tt := openAPITill(t, gateway, trialConfig{StoreID: "SZTX001", TillID: "N2", Account: account})
			require.NoError(t, tt.start(t.Context()))
			require.NoError(t, tt.awaitReady(t.Context()))
			p, err := tt.arm(t.Context(), "A-1", 1250)
			require.NoError(t, err)
			require.NoError(t, tt.scan(gateway.code("pays-at-once")))
			p, err = tt.client.WaitFinal(t.Context(), p.ID, nil)
			require.NoError(t, err)
			require.Equal(t, payflow.Paid, p.Status)
			refund, err := tt.client.Refund(t.Context(), p.ID, till.RefundBody{Amount: 250, Reason: "returned"}, "r1")
			require.NoError(t, err)
			refund, err = tt.client.FollowRefund(t.Context(), refund.ID, nil)
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundDone, refund.Status)
			require.Eventually(t, func() bool {
				notices := gateway.sim.Books().Notices
				return len(notices) == 1 && notices[0].Taken
			}, 10*time.Second, 20*time.Millisecond, "the journal has the refund, so that the notification is taken and does not come again")
		})
	}
}
