package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// pairOf is a pair of which only the serial and the dates count.
func pairOf(t *testing.T, serial string) *Pair {
	t.Helper()
	a := goodAccount()
	a.serial = serial
	p := makePair(a.certificate(t), a.key)
	return &p
}

func TestWhatANewSetOfFilesMeansForTheTwoPairs(t *testing.T) {
	a, b, c := pairOf(t, "AA"), pairOf(t, "BB"), pairOf(t, "CC")
	serial := func(p *Pair) string {
		if p == nil {
			return ""
		}
		return p.Serial
	}
	for name, row := range map[string]struct {
		held    Credentials
		waiting bool
		fresh   Credentials
		offer   string // "": none
		next    string
		waits   bool
	}{
		"nothing else":                      {Credentials{Pair: *a}, false, Credentials{Pair: *a}, "", "", false},
		"another certificate":               {Credentials{Pair: *a}, false, Credentials{Pair: *b}, "BB", "BB", true},
		"a second one":                      {Credentials{Pair: *a}, false, Credentials{Pair: *a, Next: b}, "BB", "BB", true},
		"another while one waits":           {Credentials{Pair: *a, Next: b}, true, Credentials{Pair: *c}, "CC", "CC", true},
		"the waiting one is taken back":     {Credentials{Pair: *a, Next: b}, true, Credentials{Pair: *a}, "AA", "", false},
		"the waiting one stays":             {Credentials{Pair: *a, Next: b}, true, Credentials{Pair: *a, Next: b}, "", "BB", true},
		"the waiting one is the first now":  {Credentials{Pair: *a, Next: b}, true, Credentials{Pair: *b}, "", "BB", true},
		"the new one is in use, files stay": {Credentials{Pair: *b, Next: a}, false, Credentials{Pair: *a, Next: b}, "", "AA", false},
		"and was moved into its place":      {Credentials{Pair: *b, Next: a}, false, Credentials{Pair: *b}, "", "AA", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &heldCredentials{}
			h.begin(row.held)
			h.waiting = row.waiting
			offer, restart := h.renew(row.fresh)
			assert.Equal(t, row.offer, serial(offer))
			assert.Equal(t, row.next, serial(h.get().Next))
			assert.Equal(t, row.waits, h.isWaiting())
			assert.Equal(t, row.held.Serial, h.get().Serial, "what signs changes only when WeChat Pay takes it")
			assert.False(t, restart)
		})
	}
}

func TestTheClientSaysWhichPairSigns(t *testing.T) {
	h := &heldCredentials{}
	h.begin(Credentials{Pair: *pairOf(t, "AA"), Next: pairOf(t, "BB")})
	assert.True(t, h.isWaiting())
	h.inUse("CC")
	assert.Equal(t, "AA", h.get().Serial, "a stranger")
	h.inUse("BB")
	assert.Equal(t, "BB", h.get().Serial)
	assert.Equal(t, "AA", h.get().Next.Serial)
	assert.False(t, h.isWaiting())
	h.inUse("AA")
	assert.Equal(t, "AA", h.get().Serial)
	assert.True(t, h.isWaiting(), "the new one waits again")
}

func TestAnotherKeyNeedsARestart(t *testing.T) {
	p := pairOf(t, "AA")
	old := Credentials{Pair: *p, APIv3Key: []byte("old")}
	for name, fresh := range map[string]Credentials{
		"API v3 key":   {Pair: *p, APIv3Key: []byte("new")},
		"API v2 key":   {Pair: *p, APIv3Key: []byte("old"), APIv2Key: []byte("new")},
		"a public key": {Pair: *p, APIv3Key: []byte("old"), PublicKey: &merchantKeys()[0].PublicKey},
	} {
		h := &heldCredentials{}
		h.begin(old)
		_, restart := h.renew(fresh)
		assert.True(t, restart, name)
		assert.Equal(t, "old", string(h.get().APIv3Key), "what the parts work with")
	}
}

func TestTheSecretsOfEachPairAreKnown(t *testing.T) {
	a := goodAccount()
	cfg := withNext(t, a.install(t), a.another())
	creds, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	creds.APIv2Key = []byte("0123456789abcdef0123456789ABCDEF")
	h := &heldCredentials{}
	assert.False(t, h.holds(a.apiKey))
	h.begin(creds)
	for _, p := range []Pair{creds.Pair, *creds.Next} {
		assert.True(t, h.holds("note "+p.textOfKey()[100:140]))
	}
	assert.True(t, h.holds("x0123456789abcdef0123456789ABCDEFx"))
	assert.False(t, h.holds("A-1001"))
	h.begin(Credentials{})
	assert.False(t, h.holds("anything"), "a till of API v2 may have none")
}

func TestTheCertificateForAHandshake(t *testing.T) {
	h := &heldCredentials{}
	_, err := h.clientCertificate(today)
	assert.ErrorContains(t, err, "install it")
	a := goodAccount()
	a.notAfter = today.AddDate(0, 0, 3)
	first := makePair(a.certificate(t), a.key)
	second := makePair(goodAccount().another().certificate(t), goodAccount().another().key)
	h.begin(Credentials{Pair: first, Next: &second})
	got, err := h.clientCertificate(today)
	require.NoError(t, err)
	assert.Equal(t, first.Certificate.Raw, got.Certificate[0])
	got, err = h.clientCertificate(today.AddDate(0, 0, 4))
	require.NoError(t, err)
	assert.Equal(t, second.Certificate.Raw, got.Certificate[0])
	h.replace(Credentials{Pair: second})
	got, err = h.clientCertificate(today)
	require.NoError(t, err)
	assert.Equal(t, second.Certificate.Raw, got.Certificate[0])
}

// No payment is started when a reverse would be impossible.
func TestNoPaymentIsStartedThatCouldNotBeTakenBack(t *testing.T) {
	a := goodAccount()
	creds, err := LoadCredentials(withNext(t, a.install(t), a.another()), today)
	require.NoError(t, err)
	stranger := creds
	stranger.PrivateKey = merchantKeys()[1]
	for name, row := range map[string]struct {
		api   string
		creds Credentials
		days  int
		want  string
		says  string
	}{
		"all is well":              {"v3", creds, 0, "", ""},
		"v2, all is well":          {"v2", creds, 0, "", ""},
		"v2 without a certificate": {"v2", Credentials{APIv2Key: creds.APIv2Key}, 0, "no_certificate", "nothing could be taken back"},
		"v3 without one":           {"v3", Credentials{}, 0, "no_certificate", "install it"},
		"a key of another":         {"v3", stranger, 0, "key_mismatch", "install the key that was made with it"},
		"ended":                    {"v3", creds, 400, "certificate", "put the new certificate in place"},
		"v2, ended, both":          {"v2", creds, 400, "certificate", "has expired"},
		"not valid yet":            {"v3", creds, -400, "certificate_early", "look at the date of this PC"},
	} {
		t.Run(name, func(t *testing.T) {
			err := unableToReverse(row.api, row.creds, today.AddDate(0, 0, row.days))
			if row.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.Equal(t, row.want, notReadyCode(err))
			assert.ErrorContains(t, err, row.says)
		})
	}
	short := creds
	ending := a
	ending.notAfter = today.AddDate(0, 0, 1)
	short.Pair = makePair(ending.certificate(t), ending.key)
	assert.NoError(t, unableToReverse("v2", short, today.AddDate(0, 0, 2)), "the second one serves API v2 then")
	assert.Error(t, unableToReverse("v3", short, today.AddDate(0, 0, 2)), "in API v3 it would be in use if it were taken")
}

func notReadyCode(err error) string {
	var notReady *payflow.NotReadyError
	if errors.As(err, &notReady) {
		return notReady.Code
	}
	return ""
}
