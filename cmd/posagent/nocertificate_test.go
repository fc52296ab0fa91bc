package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/wxclient"
	"posagent/wxclient/v2"
)

// TestAPIv2WithoutAClientCertificateStartsAndWarns of the whole daemon: what is open must be asked for, and that needs no certificate.
func TestTheDaemonStartsOnAPIv2WithoutACertificateAndSellsNothing(t *testing.T) {
	gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), payflow.APIv2)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	require.NoError(t, os.Remove(filepath.Join(gateway.dir, "apiclient_cert.p12")))
	tt := openAPITill(t, gateway, trialConfig{StoreID: "SZTX001", TillID: "V1", Account: gateway.account()})
	cfg, err := LoadConfig(filepath.Join(tt.dir, "posagent.toml"))
	require.NoError(t, err)
	var log bytes.Buffer
	a, err := newAgent(cfg, agentOptions{Log: zerolog.New(&log)})
	require.NoError(t, err)
	defer a.close()
	assert.True(t, a.health.Holds(health.ClientCertificateMissing))
	a.warnOfCertificate()
	assert.NotContains(t, log.String(), "was not changed", "each two seconds")
	go a.client.Run(t.Context())
	require.Eventually(t, a.v2.Verified, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, "no_certificate", notReadyCode(a.readyForMoney()))
	_, err = a.client.Reverse(t.Context(), payflow.Order{OutTradeNo: "SZTX001V1NONE", API: payflow.APIv2})
	require.ErrorAs(t, err, new(*payflow.LostError), "not known is never no")
	assert.Contains(t, err.Error(), "certificate")
}

func TestNoPaymentIsStartedWhileWeChatPayRefusesTheCertificate(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	a := pc.start()
	require.NoError(t, a.readyForMoney())
	refused := wxclient.Condition{Kind: v2.CertificateRefused, Red: true, Text: "not taken"}
	a.takeCondition(refused)
	assert.True(t, a.health.Holds(health.ClientCertificateRefused))
	assert.Equal(t, "certificate_refused", notReadyCode(a.readyForMoney()))
	refused.Over = true
	a.takeCondition(refused)
	assert.NoError(t, a.readyForMoney())
}
