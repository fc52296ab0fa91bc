package receipt

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAWideCharacterTakesTwoCells(t *testing.T) {
	for text, want := range map[string]int{"": 0, "HK$ 12.50": 9, "金额": 4, "，": 2, "ｱ": 1, "￥": 2, "¥": 1, "€": 1, "e\u0301": 1, "한": 2, "😀": 2, "①": 1} {
		assert.Equal(t, want, cells(text), text)
	}
}

func TestLinesBreakWhereAReaderExpectsIt(t *testing.T) {
	assert.Equal(t, []string{"Keep this", "slip."}, wrap("Keep this slip.", 10))
	assert.Equal(t, []string{"请保留此凭", "条。"}, wrap("请保留此凭条。", 10))
	assert.Equal(t, []string{"请保留此", "凭，好"}, wrap("请保留此凭，好", 10), "no line begins with a comma")
	assert.Equal(t, []string{"ABCDEFGHIJ", "KLM"}, wrap("ABCDEFGHIJKLM", 10), "a long word is cut")
	assert.Equal(t, []string{"see", "ABCDEFGHIJ", "K now"}, wrap("see ABCDEFGHIJK now", 10))
	assert.Equal(t, []string{"银行卡最多", "5 个工作日"}, wrap("银行卡最多 5 个工作日", 10))
	assert.Empty(t, wrap("", 10))
}

func TestAPairThatDoesNotFitTakesTwoLines(t *testing.T) {
	p := paper{width: 12}
	p.pair("Till", "T1")
	p.pair("金额", "HK$ 12.50")
	p.pair("Operator", "")
	assert.Equal(t, "Till      T1\n金额\n   HK$ 12.50\n", p.String())
}
