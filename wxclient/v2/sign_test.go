package v2

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheDocumentsExample is the worked example of "General steps to create a signature" in the API v2 rules (2025.03.24).
func TestTheDocumentsExample(t *testing.T) {
	var f fields
	f.add("appid", "wxd930ea5d5a258f4f")
	f.add("mch_id", "10000100")
	f.add("device_info", "1000")
	f.add("body", "test")
	f.add("nonce_str", "ibuaiVcKdpRxkhJA")
	f.sort()
	s := signer{key: "192006250b4c09247ec02edce69f6a2d", kind: MD5}
	assert.Equal(t, "9A0A8659F005D6984697E2CA0A9CF3B7", s.sign(f, MD5))
	f.add("sign", s.sign(f, MD5))
	assert.Equal(t, "<xml><appid>wxd930ea5d5a258f4f</appid><body>test</body><device_info>1000</device_info><mch_id>10000100</mch_id>"+
		"<nonce_str>ibuaiVcKdpRxkhJA</nonce_str><sign>9A0A8659F005D6984697E2CA0A9CF3B7</sign></xml>", string(f.write()))
	m, err := readXML(f.write(), "xml")
	require.NoError(t, err)
	assert.NoError(t, s.verify(m))
}

func TestASignCoversAllThatWasReceived(t *testing.T) {
	s := signer{key: testKey, kind: MD5}
	for _, byHMAC := range []bool{false, true} {
		good := map[string]string{"return_code": "SUCCESS", "total_fee": "1", "unknown_to_us": "x", "empty": ""}
		good["sign"] = signOf(good, testKey, byHMAC)
		require.NoError(t, s.verify(good))
		for name, change := range map[string]func(message){
			"a value":            func(m message) { m["total_fee"] = "2" },
			"an unknown value":   func(m message) { m["unknown_to_us"] = "y" },
			"one more":           func(m message) { m["attach"] = "x" },
			"one less":           func(m message) { delete(m, "unknown_to_us") },
			"an empty one given": func(m message) { m["empty"] = "0" },
			"lower case":         func(m message) { m["sign"] = strings.ToLower(m["sign"]) },
			"cut":                func(m message) { m["sign"] = m["sign"][:31] },
		} {
			m := message{}
			for k, v := range good {
				m[k] = v
			}
			change(m)
			assert.ErrorIs(t, s.verify(m), errForged, name)
		}
		assert.ErrorIs(t, signer{key: "another"}.verify(good), errForged)
	}
	assert.ErrorIs(t, s.verify(message{"return_code": "SUCCESS"}), errUnsigned)
	assert.ErrorIs(t, s.verify(message{"return_code": "SUCCESS", "sign": ""}), errUnsigned)
}

// TestASignIsOverTheValuesThemselves: whatever the order and the writing of the XML.
func TestASignIsOverTheValuesThemselves(t *testing.T) {
	s := signer{key: testKey, kind: MD5}
	sign := signOf(map[string]string{"a": "x & <y>", "b": "支付 %20+", "B": "2"}, testKey, false)
	for _, text := range []string{
		"<xml><a><![CDATA[x & <y>]]></a><B>2</B><b>支付 %20+</b><sign>" + sign + "</sign></xml>",
		"<xml><sign>" + sign + "</sign><b><![CDATA[支付 %20+]]></b><a>x &amp; &lt;y&gt;</a><empty></empty><B>2</B></xml>",
	} {
		m, err := readXML([]byte(text), xmlRoot)
		require.NoError(t, err)
		assert.NoError(t, s.verify(m))
	}
}
