package wxclient

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// statementReply is a statement as WeChat Pay sends it: packed, and signed over its digest; seal as reply's.
func statementReply(g *gateway, text, seal string) reply {
	digest := sha1.Sum([]byte(text))
	return statementReplyBy(g, text, hex.EncodeToString(digest[:]), seal)
}

func statementReplyBy(g *gateway, text, digest, seal string) reply {
	h := http.Header{}
	g.seal(h, reply{body: `{"sha1":"` + digest + `"}`, seal: seal})
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	p := reply{status: 200, body: packed.String(), seal: "none", header: map[string]string{"Content-Encoding": "gzip", "Wechatpay-Statement-Sha1": digest}}
	for name := range h {
		p.header[name] = h.Get(name)
	}
	return p
}

// The call of the document: "Downloading Reconciliation API".
func TestStatementIsStreamedToAFileAndChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		config := testConfig(g, newPipes(g, firstHost).dial, firstHost)
		config.Merchant = payflow.Merchant{Mode: payflow.Direct, AppID: "wx1", MerchantID: "1900000000"}
		c := newClient(t, config)
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		text := strings.Repeat("`a line of a statement\r\n", 200_000) // 4.8 MB: more than a JSON body may have
		g.script(func(r *http.Request, _ string) reply {
			assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
			return statementReply(g, text, "")
		})
		file := filepath.Join(t.TempDir(), "20220401.csv")
		require.NoError(t, os.WriteFile(file, []byte("an older one"), 0o600))
		got, err := c.Statement(t.Context(), "20220401", file)
		require.NoError(t, err)
		digest := sha1.Sum([]byte(text))
		assert.Equal(t, StatementFile{Day: "20220401", File: file, Bytes: int64(len(text)), SHA1: hex.EncodeToString(digest[:]), Verified: true}, got)
		assert.Equal(t, 1, g.count("GET /v3/global/statements?date=20220401&mchid=1900000000"))
		onDisk, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, string(onDisk) == text)
		assertAlone(t, file)
	})
}

func assertAlone(t *testing.T, file string) {
	t.Helper()
	all, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	for _, entry := range all {
		assert.Equal(t, filepath.Base(file), entry.Name(), "left behind")
	}
}

func TestStatementThatIsWrongLeavesTheOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		file := filepath.Join(t.TempDir(), "statement.csv")
		require.NoError(t, os.WriteFile(file, []byte("an older one"), 0o600))
		good := statementReply(g, "text", "")
		another := statementReply(g, "another text", "")
		another.body = good.body
		torn := statementReply(g, strings.Repeat("text", 1000), "")
		torn.body = torn.body[:len(torn.body)-10]
		unpacked := statementReply(g, "text", "")
		unpacked.body = "text"
		for name, p := range map[string]reply{
			"another digest": another, "torn": torn, "not packed": unpacked, "forged": statementReply(g, "text", "forged"), "stranger": statementReply(g, "text", "stranger"),
			"stale": statementReply(g, "text", "stale"), "probe": statementReply(g, "text", "probe"), "a fault": {status: 500, body: "{}"}, "hung up": {drop: true},
			"an unlisted refusal": {status: 400, body: `{"code":"PARAM_ERROR"}`},
		} {
			g.always(p)
			got, err := c.Statement(t.Context(), "20220401", file)
			assert.Zero(t, got, name)
			lostOf(t, err)
			assert.ErrorContains(t, err, "statement of 20220401", name)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, "an older one", string(text), name)
			assertAlone(t, file)
		}
		_, err := c.Statement(t.Context(), "2022-04-01", file)
		assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason)
		g.always(statementReply(g, "text", ""))
		_, err = c.Statement(t.Context(), "20220401", filepath.Join(t.TempDir(), "no such folder", "file"))
		require.Error(t, err)
		assert.False(t, errors.As(err, new(*payflow.LostError)), "a full disk is no fault of the network's")
	})
}

func TestStatementWithADoubtIsKeptAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		file := filepath.Join(t.TempDir(), "statement.csv")
		unsigned := statementReply(g, "text", "")
		delete(unsigned.header, "Wechatpay-Signature") // as the page's list of headers has it
		for name, p := range map[string]reply{
			"no signature": unsigned,
			// The page's sample of the header.
			"no SHA-1":       statementReplyBy(g, "text", "WcO+t3D8Kg71dTlKwN7r9PzUOXeaBJwp8/FOuSxcuSkXsoVYxBpsAidprySCjHCjmaglNcjoKJQLJ28/Asl93joTW39FX6i07lXhnbPknezAlwmvPdnQuI01HZsZF9V1i6ggZjBiAd5lG8bZtTxZOJ87ub2i9GuJ3Nr/NUc9VeY=", ""),
			"nothing at all": statementReplyBy(g, "text", "", "none"),
		} {
			g.always(p)
			got, err := c.Statement(t.Context(), "20220401", file)
			require.NoError(t, err, name)
			assert.False(t, got.Verified, name)
			assert.NotEmpty(t, got.Doubt, name)
			assert.Equal(t, int64(4), got.Bytes)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, "text", string(text))
			require.NoError(t, os.Remove(file))
		}
		wrong := statementReply(g, "another text", "")
		wrong.body = unsigned.body
		delete(wrong.header, "Wechatpay-Signature")
		g.always(wrong)
		_, err := c.Statement(t.Context(), "20220401", file)
		lostOf(t, err)
		assert.NoFileExists(t, file, "a digest that is there must fit, signed or not")
	})
}

func TestStatementOfADayWithoutOneIsAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		file := filepath.Join(t.TempDir(), "statement.csv")
		for _, code := range []string{"NO_STATEMENT_EXIST", "NOSTATEMENTEXIST"} {
			g.always(reply{status: 400, body: `{"code":"` + code + `"}`})
			got, err := c.Statement(t.Context(), "20220401", file)
			require.NoError(t, err)
			assert.Equal(t, StatementFile{Day: "20220401", None: true}, got)
			g.always(reply{status: 400, body: `{"code":"` + code + `"}`, seal: "none"})
			_, err = c.Statement(t.Context(), "20220401", file)
			lostOf(t, err)
		}
		assert.NoFileExists(t, file)
		assert.Equal(t, 4, g.count("GET /v3/global/statements?date=20220401&sp_mchid=10000100&sub_mchid=20000100"))
	})
}

func TestStatementGoesToTheNextHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := newClient(t, testConfig(g, newPipes(g, firstHost, secondHost).dial, firstHost, secondHost))
		require.NoError(t, c.FirstRoundTrip(t.Context()))
		file := filepath.Join(t.TempDir(), "statement.csv")
		random := make([]byte, 1<<20) // does not pack
		for i := range random {
			random[i] = byte(rand.Uint32())
		}
		g.script(func(r *http.Request, _ string) reply {
			p := statementReply(g, string(random), "")
			if r.Host == firstHost {
				p.header["Content-Length"] = "2000000" // and then the gateway hangs up
			}
			return p
		})
		got, err := c.Statement(t.Context(), "20220401", file)
		require.NoError(t, err)
		assert.True(t, got.Verified)
		assert.Equal(t, int64(len(random)), got.Bytes)
		assert.Equal(t, 2, g.count("/statements"))
		assertAlone(t, file)
	})
}

func TestStatementThatStallsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		g.always(reply{hang: true})
		_, err := c.Statement(t.Context(), "20220401", filepath.Join(t.TempDir(), "statement.csv"))
		assert.Equal(t, payflow.ReasonTimeout, lostOf(t, err).Reason)
	})
}

func TestDownloadIsBounded(t *testing.T) {
	b := &bounded{from: strings.NewReader("12345"), left: 4}
	text, err := io.ReadAll(b)
	assert.Error(t, err)
	assert.Equal(t, "1234", string(text))
	assert.Equal(t, err, b.err)
}
