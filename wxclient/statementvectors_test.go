package wxclient

import (
	"bufio"
	"crypto/rsa"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The bill and the signed text of its digest are the official PHP SDK's.

func TestOutsideVectorsOfAStatementsDigest(t *testing.T) {
	skipWithoutVectors(t)
	var bill struct {
		CSV  string `json:"csv_base64"`
		SHA1 string `json:"sha1_hex"`
	}
	vectors(t, "bill_v2.json", &bill)
	text, err := base64.StdEncoding.DecodeString(bill.CSV)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.script(func(*http.Request, string) reply { return statementReplyBy(g, string(text), bill.SHA1, "") })
		got, err := c.Statement(t.Context(), "20190219", filepath.Join(t.TempDir(), "bill.csv"))
		require.NoError(t, err)
		assert.True(t, got.Verified)
		assert.Equal(t, bill.SHA1, got.SHA1)
	})
}

func TestOutsideVectorsOfAStatementsSignature(t *testing.T) {
	skipWithoutVectors(t)
	var file struct {
		Statement struct {
			SHA1      string `json:"sha1_hex"`
			Timestamp int64  `json:"timestamp,string"`
			Nonce     string
			Message   string
		} `json:"statement_message"`
	}
	vectors(t, "formatter.json", &file)
	v := file.Statement
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.Now = func() time.Time { return time.Unix(v.Timestamp, 0) }
		c := newClient(t, config)
		c.certificates.held = map[string]platformCertificate{"7A": {key: platformPublic(), PlatformCertificate: PlatformCertificate{Serial: "7A", NotAfter: time.Unix(v.Timestamp, 0).Add(time.Hour)}}}
		signature, err := sign(platformKey(), []byte(v.Message))
		require.NoError(t, err)
		a := answer{status: http.StatusOK, host: c.hosts.all[0], header: http.Header{}}
		for name, value := range map[string]string{headerTimestamp: v.Message[:strings.IndexByte(v.Message, '\n')], headerNonce: v.Nonce, headerSerial: "7A", headerSignature: signature} {
			a.header.Set(name, value)
		}
		s := statement{client: c}
		require.NoError(t, s.trust(t.Context(), a, v.SHA1))
		assert.True(t, s.Verified)
	})
}

func platformPublic() *rsa.PublicKey { return &platformKey().PublicKey }

func TestOutsideVectorsOfAStatementsColumns(t *testing.T) {
	skipWithoutVectors(t)
	var bill struct {
		CSV    string `json:"csv_base64"`
		Expect struct {
			Columns int
			Header  []string
		}
	}
	vectors(t, "bill_v2.json", &bill)
	text, err := base64.StdEncoding.DecodeString(bill.CSV)
	require.NoError(t, err)
	read := func(text string) []column {
		s := statementReader{lines: bufio.NewReader(strings.NewReader(text))}
		require.NoError(t, s.readHeader())
		return s.columns
	}
	assert.Equal(t, read(strings.Join(bill.Expect.Header, ",")), read(string(text)))
	assert.Len(t, read(string(text)), bill.Expect.Columns)
}
