package payflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseOutTradeNo(t *testing.T) {
	for _, text := range []string{"0", "T1000042K7Q", strings.Repeat("Z", OutTradeNoMax)} {
		no, err := ParseOutTradeNo(text)
		require.NoError(t, err)
		assert.Equal(t, OutTradeNo(text), no)
	}
	for _, text := range []string{"", "t1", "T-1", "T_1", "T|1", "T*1", "T 1", "T/1", "Ｔ1", "T1\n", strings.Repeat("Z", OutTradeNoMax+1), "../x"} {
		_, err := ParseOutTradeNo(text)
		assert.ErrorContains(t, err, "1 to 32 of 0-9 and A-Z", "%q", text)
	}
}

func TestAttachTagIsFoundInFrontOnly(t *testing.T) {
	tag := AttachTag(ourTag)
	assert.Len(t, ourTag, AttachTagLength)
	assert.Equal(t, ourTag, tag.Attach(""))
	assert.Equal(t, ourTag+" table 4", tag.Attach("table 4"))
	for _, attach := range []string{tag.Attach(""), tag.Attach("table 4"), tag.Attach(" ")} {
		assert.True(t, tag.Carries(attach), "%q", attach)
	}
	for _, attach := range []string{"", "table 4", theirTag, ourTag + "x", " " + ourTag, "table 4 " + ourTag, strings.ToUpper(ourTag), ourTag[:15]} {
		assert.False(t, tag.Carries(attach), "%q", attach)
	}
	assert.False(t, AttachTag("").Carries(""), "no tag carries nothing")
	assert.False(t, AttachTag("").Carries(" table 4"))
}

func TestAnOrderNamesItsSaleWhereTheCallerSaysNothing(t *testing.T) {
	tag := AttachTag("ABCDEFGHIJKLMNOP")
	assert.Equal(t, SaleRef("A-1001 b"), SaleOfAttach(tag.Attach(AttachOfSale("A-1001 b"))))
	assert.True(t, tag.Carries(tag.Attach(AttachOfSale("A-1001"))))
	for _, other := range []string{"", string(tag), tag.Attach("their text"), tag.Attach("a sale=A-1001"), "sale=A-1001"} {
		assert.Empty(t, SaleOfAttach(other), other)
	}
	longest := AttachOfSale(SaleRef(strings.Repeat("x", 64)))
	assert.LessOrEqual(t, len(tag.Attach(longest)), 127, "what WeChat Pay takes")
}
