package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"posagent/health"
)

// watched is a watcher on an account's files, with all that it told.
type watched struct {
	t   *testing.T
	cfg Config
	*credentialsWatcher

	mu    sync.Mutex // guards both below
	got   []Credentials
	holds map[health.Code]string
}

func newWatched(t *testing.T, cfg Config) *watched {
	t.Helper()
	w := &watched{t: t, cfg: cfg, holds: map[health.Code]string{}}
	w.credentialsWatcher = newCredentialsWatcher(cfg, w.take, w.warn)
	w.now = func() time.Time { return today }
	w.sources = credentialSources{store: filepath.Join(t.TempDir(), "store"), started: time.Now()}
	return w
}

func (w *watched) take(c Credentials) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, c)
}

func (w *watched) warn(holds bool, code health.Code, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.holds, code)
	if holds {
		w.holds[code] = detail
	}
}

func (w *watched) taken() []Credentials {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Credentials(nil), w.got...)
}

func (w *watched) warning(code health.Code) (detail string, holds bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	detail, holds = w.holds[code]
	return detail, holds
}

// put copies another account's file over one of this account's.
func (w *watched) put(from, to SecretRef) {
	w.t.Helper()
	content, err := os.ReadFile(string(from))
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(string(to), content, 0o600))
}

func TestANewPairIsReadOnceBothFilesAreThere(t *testing.T) {
	a := goodAccount()
	w, next := newWatched(t, a.install(t)), a.another().install(t)
	assert.False(t, w.look())
	assert.Empty(t, w.taken(), "nothing has changed")

	w.put(next.WeChat.Certificate, w.cfg.WeChat.Certificate)
	assert.True(t, w.look(), "the key is not there yet: it looks again")
	assert.True(t, w.look())
	assert.Empty(t, w.taken())
	_, warned := w.warning(health.CertificateChangeUnfit)
	assert.False(t, warned, "a half-written pair alarms nobody")

	w.put(next.WeChat.PrivateKey, w.cfg.WeChat.PrivateKey)
	assert.False(t, w.look())
	require.Len(t, w.taken(), 1)
	assert.Equal(t, a.another().serial, w.taken()[0].Serial)
}

func TestFilesThatChangeWhileTheyAreReadAreReadAgain(t *testing.T) {
	a := goodAccount()
	w, next := newWatched(t, a.install(t)), a.another().install(t)
	w.put(next.WeChat.Certificate, w.cfg.WeChat.Certificate)
	w.put(next.WeChat.PrivateKey, w.cfg.WeChat.PrivateKey)
	w.now = func() time.Time { // is asked on the way
		require.NoError(t, os.WriteFile(string(w.cfg.WeChat.APIv3Key), []byte(strings.Repeat("n", 32)), 0o600))
		return today
	}
	assert.True(t, w.look())
	assert.Empty(t, w.taken())
	assert.False(t, w.look())
	assert.Len(t, w.taken(), 1)
}

func TestABadPairIsRefusedWithAWarningAndTheOldOneStays(t *testing.T) {
	a := goodAccount()
	w := newWatched(t, a.install(t))
	at := today
	w.now = func() time.Time { return at }
	other := a.another()
	other.subject = "10000200"
	bad := other.install(t)
	w.put(bad.WeChat.Certificate, w.cfg.WeChat.Certificate)
	w.put(bad.WeChat.PrivateKey, w.cfg.WeChat.PrivateKey)
	assert.True(t, w.look())
	at = at.Add(credentialsFit)
	assert.False(t, w.look())
	detail, warned := w.warning(health.CertificateChangeUnfit)
	assert.True(t, warned)
	assert.Contains(t, detail, `another merchant number than the configuration's (the certificate says "10000200"`)
	assert.Empty(t, w.taken())

	good := a.another().install(t)
	w.put(good.WeChat.Certificate, w.cfg.WeChat.Certificate)
	w.put(good.WeChat.PrivateKey, w.cfg.WeChat.PrivateKey)
	assert.False(t, w.look())
	_, warned = w.warning(health.CertificateChangeUnfit)
	assert.False(t, warned)
	assert.Len(t, w.taken(), 1)
}

func TestFilesThatGoAreWarnedOf(t *testing.T) {
	w := newWatched(t, onV2(t, goodAccount()))
	at := today
	w.now = func() time.Time { return at }
	require.NoError(t, os.Remove(string(w.cfg.WeChat.Certificate)))
	assert.True(t, w.look())
	at = at.Add(credentialsFit)
	w.look()
	detail, _ := w.warning(health.CertificateChangeUnfit)
	assert.Contains(t, detail, "not there any more")
	assert.Empty(t, w.taken())
}

// The whole way: events of the folder, another file in the old one's place as an editor or mv makes it, and a bundle.
func TestEventsOfTheFolderAreSeen(t *testing.T) {
	a := goodAccount()
	cfg := a.installBundle(t, a.bundle(t, pkcs12.LegacyDES, "10000100"))
	w := newWatched(t, cfg)
	w.now = time.Now
	w.settle, w.fit, w.poll = 20*time.Millisecond, 200*time.Millisecond, time.Hour
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx) }()
	defer func() { stop(); <-ended }()
	time.Sleep(100 * time.Millisecond)

	next := a.another()
	file := string(cfg.WeChat.Certificate)
	require.NoError(t, os.WriteFile(file+".new", next.bundle(t, pkcs12.Modern2023, "10000100"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	require.Eventually(t, func() bool { return len(w.taken()) == 1 }, 5*time.Second, 10*time.Millisecond)
	assert.Equal(t, next.serial, w.taken()[0].Serial)

	require.NoError(t, os.WriteFile(file, []byte("no bundle"), 0o600))
	require.Eventually(t, func() bool { _, warned := w.warning(health.CertificateChangeUnfit); return warned }, 5*time.Second, 10*time.Millisecond)
}

func TestWithoutEventsTheFilesArePolled(t *testing.T) {
	a := goodAccount()
	w, next := newWatched(t, a.install(t)), a.another().install(t)
	w.settle, w.fit, w.poll = time.Hour, 50*time.Millisecond, 50*time.Millisecond // an event would be waited for
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx) }()
	defer func() { stop(); <-ended }()
	w.put(next.WeChat.Certificate, w.cfg.WeChat.Certificate)
	w.put(next.WeChat.PrivateKey, w.cfg.WeChat.PrivateKey)
	require.Eventually(t, func() bool { return len(w.taken()) == 1 }, 5*time.Second, 10*time.Millisecond)
}

// service is a service that was given credentials by systemd out of a folder.
func service(t *testing.T) (w *watched, source string) {
	t.Helper()
	cfg := goodAccount().install(t)
	cfg.CredentialsDir = filepath.Dir(string(cfg.WeChat.Certificate))
	cfg.WeChat.Certificate, cfg.WeChat.PrivateKey, cfg.WeChat.APIv3Key = "credential:cert.pem", "credential:key.pem", "credential:api_v3_key"
	w = newWatched(t, cfg)
	require.NoError(t, os.CopyFS(w.sources.store, os.DirFS(cfg.CredentialsDir)))
	return w, filepath.Join(w.sources.store, "cert.pem")
}

func TestANewSystemdCredentialWaitsForARestart(t *testing.T) {
	w, source := service(t)
	w.look()
	_, warned := w.warning(health.CertificateRestart)
	assert.False(t, warned, "it is what the service was given")

	require.NoError(t, os.WriteFile(source, []byte("a new one"), 0o600))
	w.look()
	detail, warned := w.warning(health.CertificateRestart)
	assert.True(t, warned)
	assert.Contains(t, detail, "cert.pem from "+source)
	assert.Empty(t, w.taken(), "it can't be read before")

	require.NoError(t, os.Remove(source))
	w.look()
	_, warned = w.warning(health.CertificateRestart)
	assert.False(t, warned, "nothing newer is there")
}

// The sources are root's: the service knows only when they were written.
func TestASourceThatCannotBeReadIsJudgedByItsTime(t *testing.T) {
	w, source := service(t)
	s := w.sources
	given := filepath.Join(w.cfg.CredentialsDir, "cert.pem")
	require.NoError(t, os.Remove(source))
	require.NoError(t, os.Mkdir(source, 0o700)) // reading a folder fails as reading another's file does
	s.started = time.Now().Add(time.Hour)
	assert.False(t, s.differs(source, given))
	s.started = time.Now().Add(-time.Hour)
	assert.True(t, s.differs(source, given))
}

func TestTheUnitSaysWhereACredentialComesFrom(t *testing.T) {
	folder := t.TempDir()
	unit, dropIns := filepath.Join(folder, "posagent.service"), filepath.Join(folder, "posagent.service.d")
	require.NoError(t, os.Mkdir(dropIns, 0o755))
	require.NoError(t, os.WriteFile(unit, []byte("[Service]\n#LoadCredential=a:/no\nLoadCredential=a:/etc/a\nSetCredential=a:\\n\nLoadCredential=b:/etc/b\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dropIns, "10.conf"), []byte("[Service]\nLoadCredential=b:/srv/keys/b \n"), 0o644))
	s := credentialSources{units: []string{unit, dropIns + "/*.conf", folder + "/nosuch"}, store: "/etc/posagent/credentials"}
	assert.Equal(t, "/etc/a", s.of("a"))
	assert.Equal(t, "/srv/keys/b", s.of("b"))
	assert.Equal(t, "/etc/posagent/credentials/c", s.of("c"))
	require.NoError(t, os.WriteFile(unit, []byte(strings.Repeat("x", unitBytesMax+1)), 0o644))
	assert.Equal(t, "/etc/posagent/credentials/a", s.of("a"), "no unit is that long")
}
