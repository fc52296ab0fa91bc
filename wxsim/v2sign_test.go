package wxsim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// API Rules, general steps to create a signature: the example of the page.
func TestTheExampleOfTheAPIRulesIsSignedAsPrinted(t *testing.T) {
	fields := map[string]string{"appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000", "body": "test", "nonce_str": "ibuaiVcKdpRxkhJA"}
	const key = "192006250b4c09247ec02edce69f6a2d"
	assert.Equal(t, "9A0A8659F005D6984697E2CA0A9CF3B7", signV2(fields, key, signMD5))
	fields["attach"], fields["sign"] = "", "ANYTHING"
	assert.Equal(t, "9A0A8659F005D6984697E2CA0A9CF3B7", signV2(fields, key, signMD5), "empty values and sign itself are left out")
	fields["Attach"] = "x"
	assert.NotEqual(t, "9A0A8659F005D6984697E2CA0A9CF3B7", signV2(fields, key, signMD5), "names are case-sensitive")
}

// outside reads known answers that nobody here wrote; POSAGENT_VECTORS names their folder.
func outside(t *testing.T, name string, into any) {
	t.Helper()
	folder := os.Getenv("POSAGENT_VECTORS")
	switch {
	case folder == "" && os.Getenv("CI") == "true":
		t.Fatal("POSAGENT_VECTORS is not set, and CI must run the outside vectors")
	case folder == "":
		t.Skip("outside vectors not run")
	}
	text, err := os.ReadFile(filepath.Join(folder, name))
	require.NoError(t, err, "the outside vectors are not in the folder")
	require.NoError(t, json.Unmarshal(text, into))
}

func TestOutsideVectorsOfSignaturesAreSignedAlike(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, Key, Sign string
			SignType      string `json:"sign_type"`
			Params        map[string]string
		}
	}
	outside(t, "v2_sign.json", &file)
	require.NotEmpty(t, file.Cases)
	for _, v := range file.Cases {
		assert.Equal(t, v.Sign, signV2(v.Params, v.Key, v.SignType), v.ID)
	}
}
