package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"encoding/pem"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheMerchantsCertificateIsFoundInAChain(t *testing.T) {
	a := goodAccount()
	text := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	own, issuer := text(a.certificate(t).Raw), text(issuerOf(t).Raw)
	for name, content := range map[string]string{
		"alone": own, "before its issuer": own + issuer, "behind its issuer": issuer + own, "behind a mark of byte order": "\ufeff" + own,
	} {
		t.Run(name, func(t *testing.T) {
			cert, err := parseCertificate([]byte(content))
			require.NoError(t, err)
			assert.Equal(t, "10000100", cert.Subject.CommonName)
		})
	}
	_, err := parseCertificate([]byte(own[:len(own)/2]))
	assert.ErrorContains(t, err, "is damaged or cut off")
}

func TestAPipeThatNobodyWritesToHoldsNothingUp(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.pem")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	done := make(chan []byte, 1)
	go func() {
		content, _, _ := Config{}.ReadSecret(SecretRef(pipe), certificateBytesMax)
		done <- content
	}()
	select {
	case content := <-done:
		assert.Empty(t, content)
	case <-time.After(5 * time.Second):
		require.NoError(t, os.WriteFile(pipe, nil, 0o600)) // lets it go
		t.Fatal("the reader waits")
	}
}
