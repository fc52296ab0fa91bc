package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// namedWay answers with its own name.
type namedWay struct {
	wechat
	name string
}

func (w namedWay) Refund(context.Context, payflow.RefundOrder) (payflow.RefundOutcome, error) {
	return payflow.RefundOutcome{Code: w.name}, nil
}

func (w namedWay) QueryRefund(context.Context, payflow.RefundOrder) (payflow.RefundOutcome, error) {
	return payflow.RefundOutcome{Code: w.name}, nil
}

func (w namedWay) Refunds(context.Context, payflow.Order) ([]payflow.RefundReport, error) {
	return []payflow.RefundReport{{Account: w.name}}, nil
}

// No document says that one API knows what the other has made: a refund goes the way of its payment.
func TestARefundGoesByTheAPIOfItsPayment(t *testing.T) {
	w := &ways{api: payflow.APIv3, wechat: namedWay{name: "v3"}, other: namedWay{name: "v2"}}
	for api, name := range map[payflow.API]string{payflow.APIv3: "v3", payflow.APIv2: "v2", "": "v3"} {
		asked, err := w.Refund(t.Context(), payflow.RefundOrder{API: api})
		require.NoError(t, err)
		queried, err := w.QueryRefund(t.Context(), payflow.RefundOrder{API: api})
		require.NoError(t, err)
		listed, err := w.Refunds(t.Context(), payflow.Order{API: api})
		require.NoError(t, err)
		assert.Equal(t, []string{name, name, name}, []string{asked.Code, queried.Code, listed[0].Account})
		assert.True(t, w.speaks(api))
	}
}

func TestARefundWhoseAPIHasNoKeyIsNeverGuessedAt(t *testing.T) {
	w := &ways{api: payflow.APIv3, wechat: namedWay{name: "v3"}}
	assert.False(t, w.speaks(payflow.APIv2))
	_, asked := w.Refund(t.Context(), payflow.RefundOrder{API: payflow.APIv2})
	_, queried := w.QueryRefund(t.Context(), payflow.RefundOrder{API: payflow.APIv2})
	_, listed := w.Refunds(t.Context(), payflow.Order{API: payflow.APIv2})
	for _, err := range []error{asked, queried, listed} {
		var lost *payflow.LostError
		require.ErrorAs(t, err, &lost, "not known is never no")
		assert.ErrorContains(t, err, "put api_v2_key back")
	}
}
