package queue

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestTheLongestIDsMakeANumberThatWeChatPayTakes(t *testing.T) {
	day := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	no := outTradeNo(strings.Repeat("Z", storeIDMax), strings.Repeat("9", tillIDMax), day, 1<<63, "ZZZZZ")
	assert.Len(t, string(no), payflow.OutTradeNoMax)
	_, err := payflow.ParseOutTradeNo(string(no))
	assert.NoError(t, err)
	assert.True(t, CheckOutTradeNo(no))
}

func TestANumberSaysStoreTillDayAndCount(t *testing.T) {
	b := newBook(t)
	b.now = time.Date(2026, 3, 1, 16, 0, 1, 0, time.UTC) // the second of March in Hong Kong
	first, second := b.arm("key 1", "A-1").OutTradeNo, b.arm("key 2", "A-2").OutTradeNo
	assert.True(t, strings.HasPrefix(string(first), "SZTX001T12603020001"), first)
	assert.True(t, strings.HasPrefix(string(second), "SZTX001T12603020002"), second)
	assert.Equal(t, first[19:24], second[19:24], "the random part is this start's")
	b.reopen()
	third := b.arm("key 3", "A-3").OutTradeNo
	assert.True(t, strings.HasPrefix(string(third), "SZTX001T12603020003"), "the count goes on")
	assert.NotEqual(t, first[19:24], third[19:24], "each start draws its own, because a copy of the journal may be in use elsewhere")
}

func TestAWrongOrSwappedCharacterIsNoticed(t *testing.T) {
	no := outTradeNo("SZTX001", "T1", time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), 46655, "K3XQ9")
	require.True(t, CheckOutTradeNo(no))
	for at := range len(no) {
		for _, other := range digits36 {
			if byte(other) != no[at] {
				assert.False(t, CheckOutTradeNo(no[:at]+payflow.OutTradeNo(other)+no[at+1:]))
			}
		}
		if at > 0 && no[at] != no[at-1] {
			assert.False(t, CheckOutTradeNo(no[:at-1]+no[at:at+1]+no[at-1:at]+no[at+1:]))
		}
	}
	for _, wrong := range []payflow.OutTradeNo{"", "A", "sztx001t12603020001K3XQ9A", no + "0", no[1:]} {
		assert.False(t, CheckOutTradeNo(wrong), wrong)
	}
}

func TestTheCounterGoesOnAfterItHasComeRound(t *testing.T) {
	assert.Equal(t, "0001", base36(1))
	assert.Equal(t, "ZZZZ", base36(36*36*36*36-1))
	assert.Equal(t, "0000", base36(36*36*36*36))
}

func TestIDsThatNoNumberCanCarryAreRefused(t *testing.T) {
	for _, ids := range [][2]string{{"", "T1"}, {"S", ""}, {"ABCDEFGHIJKLM", "T1"}, {"S", "TILL1"}, {"s", "T1"}, {"S-1", "T1"}} {
		b := bookIn(t, t.TempDir())
		b.cfg.StoreID, b.cfg.TillID = ids[0], ids[1]
		_, err := OpenJournal(b.cfg)
		assert.ErrorContains(t, err, "0-9 and A-Z", ids)
	}
}

func TestTwoJournalsOfTheSameTillDrawDifferentNumbers(t *testing.T) {
	one, other := newBook(t), newBook(t)
	assert.NotEqual(t, one.arm("key", "A-1").OutTradeNo, other.arm("key", "A-1").OutTradeNo)
}

func TestANumberThatIsTakenIsPassedOver(t *testing.T) {
	b := newBook(t)
	first := b.arm("key 1", "A-1")
	// The counter comes round to the same four digits on the same day.
	b.setCounter(36*36*36*36 + 0)
	second := b.arm("key 2", "A-2")
	assert.NotEqual(t, first.OutTradeNo, second.OutTradeNo)
	assert.Equal(t, "0002", string(second.OutTradeNo[15:19]))
}
