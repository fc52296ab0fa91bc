package queue

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keyPair makes a pair as age-keygen does: the public key, and the file with the private one.
func keyPair(t *testing.T) (recipient, identityFile string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "backup.identity")
	require.NoError(t, os.WriteFile(file, []byte("# public key: "+identity.Recipient().String()+"\n"+identity.String()+"\n"), 0o600))
	return identity.Recipient().String(), file
}

func TestAPublicKeyIsToldFromEverythingElse(t *testing.T) {
	recipient, file := keyPair(t)
	assert.NoError(t, CheckRecipient(recipient))
	private, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, wrong := range []string{"", "age1", recipient[:len(recipient)-1], recipient + "q", "ssh-ed25519 AAAA", string(private)} {
		err := CheckRecipient(wrong)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "AGE-SECRET-KEY-1Q", "a private key given in its place is not repeated")
	}
}

func TestAFileWithoutAPrivateKeyIsNamedAndNotRepeated(t *testing.T) {
	recipient, file := keyPair(t)
	identities, err := readIdentities(file)
	require.NoError(t, err)
	assert.Len(t, identities, 1)
	wrong := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(wrong, []byte(recipient+"\n"), 0o600))
	_, err = readIdentities(wrong)
	require.ErrorContains(t, err, wrong)
	assert.NotContains(t, err.Error(), recipient)
	_, err = readIdentities(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
