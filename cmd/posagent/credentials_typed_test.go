package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASecretOfThisTillIsKnownInAText(t *testing.T) {
	a := goodAccount()
	cfg := a.install(t)
	creds, err := LoadCredentials(cfg, today)
	require.NoError(t, err)
	holds := creds.secret()
	text, err := os.ReadFile(string(cfg.WeChat.PrivateKey))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines[1 : len(lines)-2] { // the last one may be short
		assert.True(t, holds(line))
		assert.True(t, holds("note "+line[5:40]+"."))
	}
	assert.True(t, holds("note: "+a.apiKey+"!"))
	for _, harmless := range []string{"", "A-1001", a.apiKey[:31], lines[3][:20], strings.Repeat("goods", 1000), "SZTX001V12611240001K2W0OJ"} {
		assert.False(t, holds(harmless), harmless)
	}
}
