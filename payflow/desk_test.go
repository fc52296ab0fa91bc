package payflow

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a person reads has two parts: what happened; what to do now.
func TestRefusalsSayWhatToDoNow(t *testing.T) {
	for _, err := range []error{
		ErrNoPayment, ErrNothingArmed, ErrScanBusy, ErrSameCode, ErrMisread, ErrKeyReused, ErrKeyMissing, ErrSaleRef, ErrNotAside, ErrJournalClosed,
		&TillBusyError{ID: "T1"}, &SaleOpenError{ID: "T1"}, &AlreadyPaidError{ID: "T1"}, &AlreadyPaidError{ID: "T1", Found: true}, &FoundOrderError{}, &GivenBackError{}, &WrongCodeError{Kind: CodeAlipay},
	} {
		what, now, ok := strings.Cut(err.Error(), "; ")
		if err == ErrJournalClosed {
			what, now, ok = strings.Cut(err.Error(), ": ")
		}
		assert.True(t, ok && len(what) > 10 && len(now) > 10, "%q does not say what to do now", err)
		assert.NotRegexp(t, regexp.MustCompile(`^[A-Z]|\.$|failed to`), err.Error())
	}
}

func TestRefusalsNameThePayment(t *testing.T) {
	for _, err := range []error{&TillBusyError{ID: "T42"}, &SaleOpenError{ID: "T42"}, &AlreadyPaidError{ID: "T42"},
		&WrongStateError{Entry: Entry{Payment: Payment{Order: Order{OutTradeNo: "T42"}, Status: Paid}}}} {
		assert.Contains(t, err.Error(), "T42")
	}
	assert.Equal(t, "payment T42 is paid already", (&WrongStateError{Entry: Entry{Payment: Payment{Order: Order{OutTradeNo: "T42"}, Status: Paid}}}).Error())
	assert.Equal(t, "sale_ref must be short", (&BadRequestError{Field: "sale_ref", Text: "must be short"}).Error())
	assert.Equal(t, "no network", (&NotReadyError{Code: "no_network", Text: "no network"}).Error())
}

func TestLostErrorKeepsItsCause(t *testing.T) {
	cause := errors.New("read answer: connection reset")
	err := error(&LostError{Lost: Lost{Reason: ReasonLink}, Err: cause})
	assert.ErrorIs(t, err, cause)
	assert.Equal(t, cause.Error(), err.Error())
}

func TestReasonsAreNamedOnce(t *testing.T) {
	seen := map[Reason]bool{}
	for _, r := range Reasons() {
		assert.False(t, seen[r], "%s stands twice", r)
		assert.Regexp(t, `^[a-z_]+$`, string(r))
		seen[r] = true
	}
}
