package till

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"posagent/payflow"
)

// While the journal cannot be written no answer comes: nobody may wait for one, and nobody may charge what is undecided.
func TestAnOpenPaymentSaysThatItStandsStillWhileTheJournalCannotBeWritten(t *testing.T) {
	shown := func(readOnly bool, status payflow.Status, reason payflow.Reason) Payment {
		a := newTill(t, func(c *Config) { c.ReadOnly, c.Words = readOnly, loadedWords(t) })
		return a.server.view(anEntry(status, reason), time.Now())
	}
	assert.Regexp(t, "^NOT PAID - nothing was sent", shown(true, payflow.Waiting, payflow.ReasonWaiting).Message.EN)
	assert.Regexp(t, "Do not scan", shown(true, payflow.Waiting, payflow.ReasonWaiting).NextStep.EN)
	for _, status := range []payflow.Status{payflow.Paying, payflow.Confirming} {
		assert.Regexp(t, "^NOT DECIDED", shown(true, status, payflow.ReasonUnknown).Message.EN)
		assert.Regexp(t, "do not charge this sale again yet", shown(true, status, payflow.ReasonUnknown).NextStep.EN)
	}
	backThere, standing := shown(true, payflow.Reversing, payflow.ReasonTakingBack), shown(false, payflow.Reversing, payflow.ReasonTakingBack)
	assert.True(t, backThere.SaleMayUseOtherMeans)
	assert.Equal(t, standing.NextStep, backThere.NextStep, "the sale may take other means, whatever the disk does")
	assert.Equal(t, shown(false, payflow.Paid, payflow.ReasonPaid).Message, shown(true, payflow.Paid, payflow.ReasonPaid).Message, "what is decided stays as it is")
	assert.NotRegexp(t, "NOT PAID", shown(false, payflow.Waiting, payflow.ReasonWaiting).Message.EN)
}
