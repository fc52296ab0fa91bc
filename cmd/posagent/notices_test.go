package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
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
