package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSimulateSaysThatItServesBothAPIs(t *testing.T) {
	status, out, _ := posagent(t, "simulate", "--help")
	assert.Equal(t, ExitDone, status)
	assert.Contains(t, out, "API v3 Global and API v2 at one address")
	assert.Contains(t, out, "pays-at-once")
}

func TestSimulateWritesWhatATillOfEitherAPINeeds(t *testing.T) {
	for _, api := range []string{"v2", "v3"} {
		t.Run(api, func(t *testing.T) { simulateWrites(t, api) })
	}
}

func TestSimulateTakesNoOtherAPI(t *testing.T) {
	status, _, errs := posagent(t, "simulate", "--api", "v4")
	assert.Equal(t, ExitUsage, status)
	assert.Contains(t, errs, "write --api v3 or --api v2")
}

func simulateWrites(t *testing.T, api string) {
	dir := t.TempDir()
	account := filepath.Join(dir, "account.toml")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--dir", filepath.Join(dir, "wechat"), "--listen", "127.0.0.1:0", "--account", account, "--api", api}, &out, &errs)
	}()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(account)
		return err == nil && bytes.HasSuffix(text, []byte("\n"))
	}, time.Minute, 20*time.Millisecond, "it writes the account once it listens")
	stop()
	assert.Equal(t, ExitDone, <-ended, errs.String())
	text, err := os.ReadFile(account)
	require.NoError(t, err)
	assert.Contains(t, string(text), `api_`+api+`_key = "`+dir+`/wechat/api_`+api+`_key"`)
	assert.Contains(t, string(text), `api = "`+api+`"`)
	for _, name := range []string{"apiclient_cert.pem", "apiclient_key.pem", "apiclient_cert.p12", "api_v3_key", "api_v2_key", "ca.pem"} {
		info, err := os.Stat(filepath.Join(dir, "wechat", name))
		require.NoError(t, err, name)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}
