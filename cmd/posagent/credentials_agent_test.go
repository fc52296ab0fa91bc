package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
)

// agent makes the daemon of this PC, which whoever calls runs and closes.
func (pc *storePC) agent() *agent {
	pc.t.Helper()
	cfg, err := LoadConfig(pc.config())
	require.NoError(pc.t, err)
	a, err := newAgent(cfg, agentOptions{Log: zerolog.Nop()})
	require.NoError(pc.t, err)
	return a
}

// start runs the daemon of this PC until the test ends.
func (pc *storePC) start() *agent {
	pc.t.Helper()
	a := pc.agent()
	ctx, stop := context.WithCancel(pc.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	pc.t.Cleanup(func() {
		stop()
		assert.NoError(pc.t, <-ended)
		a.close()
	})
	require.Eventually(pc.t, a.v3.Verified, 10*time.Second, 10*time.Millisecond)
	return a
}

// overwrite puts another account's pair in place of the daemon's files.
func (pc *storePC) overwrite(a *agent, with account) {
	pc.t.Helper()
	next := with.install(pc.t)
	for from, to := range map[SecretRef]SecretRef{next.WeChat.Certificate: a.cfg.WeChat.Certificate, next.WeChat.PrivateKey: a.cfg.WeChat.PrivateKey} {
		content, err := os.ReadFile(string(from))
		require.NoError(pc.t, err)
		require.NoError(pc.t, os.WriteFile(string(to), content, 0o600))
	}
}

func TestANewCertificateComesIntoUseWithoutARestart(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	a := pc.start()
	require.Equal(t, pc.account.serial, a.certificates()[0].Serial)

	pc.overwrite(a, pc.account.another())
	want := pc.account.another().serial
	require.Eventually(t, func() bool { return a.v3.KeySerial() == want }, 30*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return a.certificates()[0].Serial == want }, time.Second, 10*time.Millisecond)
	assert.False(t, a.health.Holds(health.NextCertificateWaits))
	assert.False(t, a.health.Holds(health.CertificateChangeUnfit))
	assert.True(t, a.creds.holds(a.creds.get().textOfKey()[200:240]))
	assert.NoError(t, a.readyForMoney())
}

func TestTheSecondCertificateWaitsUntilWeChatPayTakesIt(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	next := pc.account.another()
	pc.gateway.unknown.Store(next.serial, true)
	files := next.install(t).WeChat
	pc.set["next_certificate"], pc.set["next_private_key"] = tomlText(string(files.Certificate)), tomlText(string(files.PrivateKey))
	a := pc.start()
	require.Eventually(t, func() bool { return a.health.Holds(health.NextCertificateRefused) }, 10*time.Second, 10*time.Millisecond)
	assert.True(t, a.health.Holds(health.NextCertificateWaits))
	assert.Equal(t, []string{"merchant", "next"}, []string{a.certificates()[0].Name, a.certificates()[1].Name})
	assert.Equal(t, pc.account.serial, a.certificates()[0].Serial)
	assert.NoError(t, a.readyForMoney(), "the first one serves")

	pc.gateway.unknown.Delete(next.serial)
	pc.gateway.unknown.Store(pc.account.serial, true)
	require.NoError(t, a.v3.FirstRoundTrip(t.Context()), "the old one has ended")
	assert.Equal(t, next.serial, a.certificates()[0].Serial)
	assert.True(t, a.health.Holds(health.NextCertificateInUse))
	assert.False(t, a.health.Holds(health.NextCertificateWaits))
	assert.False(t, a.health.Holds(health.NextCertificateRefused))
}

func TestTheDaemonWarnsOfADateThatComesWhileItRuns(t *testing.T) {
	t.Parallel()
	pc := newStorePC(t)
	a := pc.start()
	assert.False(t, a.health.Holds(health.Certificate30Days))
	soon := pc.account
	soon.notAfter = time.Now().AddDate(0, 0, 20)
	creds := a.creds.get()
	creds.Pair = makePair(soon.certificate(t), soon.key)
	a.creds.begin(creds)
	a.warnOfCertificate()
	assert.True(t, a.health.Holds(health.Certificate30Days))
	for _, w := range a.health.List() {
		if w.Code == health.Certificate30Days {
			assert.Contains(t, w.Detail, "Renew by "+soon.notAfter.UTC().Format(time.DateOnly))
		}
	}
	soon.notAfter = time.Now().AddDate(0, 0, -1)
	creds.Pair = makePair(soon.certificate(t), soon.key)
	a.creds.begin(creds)
	a.warnOfCertificate()
	assert.False(t, a.health.Holds(health.Certificate30Days), "one at a time")
	assert.True(t, a.health.Holds(health.CertificateExpired))
	assert.Equal(t, "certificate", notReadyCode(a.readyForMoney()))
}
