package till

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever typed the manager's PIN behind the number had it in the journal, in the API's answers and on the screen.
func TestAPINBehindAnOperatorsNumberIsNotJournaled(t *testing.T) {
	with, without := newTill(t, withOperators(t)), seatAt(newTill(t))
	for _, typed := range []string{"M001135790", "135790", "1357", "M1357", "M00113579", "TOOLONGAN"} {
		id := without.sold("A-" + typed)
		for _, path := range []string{"/v1/payments/" + string(id) + "/refunds", "/v1/payments/" + string(id) + "/settle-late", "/v1/payments/" + string(id) + "/set-aside", "/v1/refunds/SZTX001T1-ABC/acknowledge"} {
			got := without.post(path, `{"amount":250,"note":"seen","reason":"no end","operator":"`+typed+`"}`)
			assert.Equal(t, http.StatusBadRequest, got.Status, "%s %s: %s", path, typed, got.Body)
			assert.NotContains(t, got.Body, typed)
		}
		refunds, err := without.back.RefundsOfPayment(id)
		require.NoError(t, err)
		assert.Empty(t, refunds, typed)
	}
	id := without.sold("A-2")
	assert.Equal(t, http.StatusCreated, without.post("/v1/payments/"+string(id)+"/refunds", `{"amount":250,"operator":"M001"}`).Status)

	id = with.sold("A-3") // of a program at a till with operators
	for _, typed := range []string{"M001135790", "M001 1357", "m001/24680135", "M001.4826", "M001 pin 4826"} {
		got := with.refund(id, "k-"+typed[5:6]+typed[len(typed)-2:], `{"amount":250,"operator":"`+typed+`"}`)
		assert.Equal(t, HoldsSecret, got.problem().Code, typed)
		assert.NotContains(t, got.Body, typed)
		for _, path := range []string{"acknowledge", "cancel", "look-again"} {
			got := with.post("/v1/payments/"+string(id)+"/"+path, `{"operator":"`+typed+`"}`)
			assert.Equal(t, HoldsSecret, got.problem().Code, "%s %s", path, typed)
			assert.NotContains(t, got.Body, typed)
		}
		r := with.request(http.MethodPost, "/v1/payments", `{"amount":1,"sale_ref":"A-4","operator":"`+typed+`"}`)
		r.Header.Set("Idempotency-Key", "k4")
		assert.Equal(t, HoldsSecret, with.do(r).problem().Code, typed)
	}
	assert.Equal(t, http.StatusCreated, with.refund(id, "k-1", `{"amount":250,"operator":"M001"}`).Status)
	assert.Equal(t, http.StatusCreated, with.refund(id, "k-2", `{"amount":250,"operator":"clerk 12345678"}`).Status, "a program's own words stay")
}
