package wxclient

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

func TestMeaningsAreTheTables(t *testing.T) {
	for code, m := range payCodes {
		kind, reason, listed := PayMeaning(strings.ToLower(code))
		assert.True(t, listed)
		assert.Equal(t, m, meaning{kind, reason}, code)
	}
	_, _, listed := PayMeaning("SYSTEMERROR")
	assert.False(t, listed)
	for code, want := range refundCodes {
		kind, listed := RefundMeaning(code)
		assert.True(t, listed)
		assert.Equal(t, want, kind)
	}
	assert.True(t, SaysAbsent("ORDER_NOT_EXIST"))
	assert.True(t, SaysTooLate("REVERSE_EXPIRE"))
	assert.True(t, SaysConfiguration("NO_AUTH"))
	assert.True(t, SaysPassword("USER_PAYING"))
	assert.True(t, SaysNoRefund("REFUNDNOTEXIST"))
	assert.Equal(t, "A", NormalCode(" a_ "))
	assert.Len(t, NormalCode(strings.Repeat("A", 500)), 64)
	assert.Equal(t, payflow.RefundStateAbnormal, RefundStateOf("CHANGE"))
	assert.Equal(t, payflow.RefundFromRecharge, RefundSourceOf("REFUND_SOURCE_REchARGE_FUNDS"))
}

func TestANonceOfNoLengthIsNeverFresh(t *testing.T) {
	var n Nonces
	now := time.Now()
	assert.False(t, n.Fresh("", now))
	assert.False(t, n.Fresh(strings.Repeat("x", 65), now))
	assert.True(t, n.Fresh("x", now))
	assert.False(t, n.Fresh("x", now.Add(9*time.Minute)))
	assert.True(t, n.Fresh("x", now.Add(10*time.Minute)))
}

func TestAClaimIsNoMoreThanThat(t *testing.T) {
	unsignedOne := errors.New("it carries no sign")
	refused := lostOf(t, Claim(payflow.Outcome{Kind: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough}, nil, unsignedOne))
	assert.Equal(t, payflow.Lost{Claim: payflow.Refused, Code: "NOTENOUGH", Reason: payflow.ReasonNotEnough}, refused)
	paid := lostOf(t, Claim(payflow.Outcome{Kind: payflow.Found, Trade: payflow.Trade{State: payflow.TradeSuccess}}, nil, unsignedOne))
	assert.Equal(t, payflow.Lost{Reason: payflow.ReasonUnverified}, paid)
}

func TestAFileThatCannotBeKeptIsItsOwnFault(t *testing.T) {
	kept := StatementFile{File: filepath.Join(t.TempDir(), "nowhere", "file")}
	err := kept.Keep(strings.NewReader("x"), func() error { return nil })
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.True(t, NotKept(err))
	kept.File = filepath.Join(t.TempDir(), "file")
	bad := errors.New("not good")
	err = kept.Keep(strings.NewReader("x"), func() error { return bad })
	assert.ErrorIs(t, err, bad)
	assert.False(t, NotKept(err))
	assert.NoFileExists(t, kept.File)
}
