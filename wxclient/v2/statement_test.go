package v2

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxclient"
)

const bill = "\ufeff交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号\r\n`2019-02-19 05:01:46,`wx,`1,`0,`T1,`42,`A1\r\n总交易单数,应结订单总金额\r\n`1.0,`0.47\r\n"

func zipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := io.WriteString(zip, text)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return packed.String()
}

func TestABillIsKeptAsAFile(t *testing.T) {
	long := bill + strings.Repeat("`2019-02-19 05:01:46,`wx,`1,`0,`T1,`42,`A1\r\n", 1<<16)
	for name, c := range map[string]struct {
		reply reply
		want  string
	}{
		"packed by us":        {reply{raw: zipped(t, bill)}, bill},
		"plain":               {reply{raw: bill}, bill},
		"packed on the way":   {reply{raw: zipped(t, bill), header: map[string]string{"Content-Encoding": "gzip"}}, bill},
		"packed twice":        {reply{raw: zipped(t, zipped(t, bill)), header: map[string]string{"Content-Encoding": "gzip"}}, bill},
		"longer than any XML": {reply{raw: long}, long},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bill.csv")
			synctest.Test(t, func(t *testing.T) {
				g, client := inTown(t)
				g.always(c.reply)
				got, err := client.Statement(t.Context(), "20190219", file)
				require.NoError(t, err)
				sum := sha1.Sum([]byte(c.want))
				assert.Equal(t, wxclient.StatementFile{Day: "20190219", File: file, Bytes: int64(len(c.want)), SHA1: hex.EncodeToString(sum[:]), Doubt: billDoubt}, got)
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				assert.Equal(t, c.want, string(text))
				sent := g.last().with
				assert.Equal(t, []string{"20190219", "ALL", "GZIP", "20000100"}, []string{sent["bill_date"], sent["bill_type"], sent["tar_type"], sent["sub_mch_id"]})
				assert.False(t, g.last().shown)
			})
			onlyFile(t, file)
		})
	}
}

// onlyFile checks that nothing is left beside a file, or where it is empty nothing at all.
func onlyFile(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	require.NoError(t, err)
	hidden, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	require.NoError(t, err)
	assert.Empty(t, hidden)
	for _, name := range left {
		assert.Equal(t, file, name)
	}
}

func TestADayWithoutABillIsSaidSo(t *testing.T) {
	for _, text := range []string{"<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[No Bill Exist]]></return_msg></xml>",
		"<xml><return_code>FAIL</return_code><return_msg>?</return_msg><error_code>20002</error_code></xml>"} {
		file := filepath.Join(t.TempDir(), "bill.csv")
		synctest.Test(t, func(t *testing.T) {
			g, c := inTown(t)
			g.always(reply{raw: text})
			got, err := c.Statement(t.Context(), "20190219", file)
			require.NoError(t, err)
			assert.True(t, got.None)
			assert.NotEmpty(t, got.Doubt)
		})
		assert.NoFileExists(t, file)
		onlyFile(t, file)
	}
}

func TestWhatIsNoBillLeavesNoFile(t *testing.T) {
	cut := zipped(t, bill)
	for name, p := range map[string]reply{
		"a refusal": {raw: "<xml><return_code>FAIL</return_code><return_msg>system error</return_msg></xml>"}, "a page": {raw: "<html>login</html>"}, "nothing": {},
		"down": {status: 503, raw: "x"}, "a text": {raw: "hello"}, "an archive cut short": {raw: cut[:len(cut)-5]}, "an archive of nothing": {raw: zipped(t, "")},
		"a page in an archive": {raw: zipped(t, "<html>a,b,c,d,e,f,g</html>")}, "no archive": {raw: "\x1f\x8bnothing of the kind"}, "signed, and no bill": paid(testOrder(), ""), "hung up": {drop: true},
		"junk behind the archive": {raw: zipped(t, bill) + "junk"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bill.csv")
			require.NoError(t, os.WriteFile(file, []byte("the old one"), 0o600))
			synctest.Test(t, func(t *testing.T) {
				g, c := inTown(t)
				g.always(p)
				_, err := c.Statement(t.Context(), "20190219", file)
				lostOf(t, err)
			})
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, "the old one", string(text))
			onlyFile(t, file)
		})
	}
}

func TestABillOfNoDayIsNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := inTown(t)
		_, err := c.Statement(t.Context(), "2019-02-19", filepath.Join(t.TempDir(), "bill"))
		assert.Equal(t, payflow.ReasonConfiguration, lostOf(t, err).Reason)
		assert.Zero(t, g.count(billPath))
		g.always(reply{raw: bill})
		_, err = c.Statement(t.Context(), "20190219", filepath.Join(t.TempDir(), "nowhere", "bill"))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func FuzzTakeBill(f *testing.F) {
	t := &testing.T{}
	f.Add([]byte(bill))
	f.Add([]byte(zipped(t, bill)))
	f.Add([]byte("<xml><return_code>FAIL</return_code><return_msg>No Bill Exist</return_msg></xml>"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, came []byte) {
		file := filepath.Join(folder, strconv.Itoa(os.Getpid()))
		kept := wxclient.StatementFile{Day: "20190219", File: file}
		err := takeBill(&kept, wxclient.Answer{Status: 200}, bytes.NewReader(came))
		if err == nil && !kept.None {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.EqualValues(t, len(text), kept.Bytes)
			_, _ = wxclient.ReadStatement(bytes.NewReader(text), func(payflow.StatementRow) error { return nil })
		}
		require.False(t, kept.Verified)
	})
}
