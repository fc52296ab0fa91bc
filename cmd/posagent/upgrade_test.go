package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/health"
	"posagent/payflow"
	"posagent/till"
	"posagent/wxsim"
)

// openAPITill is a till of a trial, not started yet.
func openAPITill(t *testing.T, gateway *trial, c trialConfig) *trialTill {
	t.Helper()
	tt, err := openTrialTill(filepath.Join(t.TempDir(), c.TillID), c.TillID, c)
	require.NoError(t, err)
	tt.extra = []string{asPosagent + "=1"}
	t.Cleanup(func() { tt.kill(); _ = tt.pty.Close() })
	return tt
}

// killedWhilePaying arms and scans a payment, and kills the daemon once its pay call has arrived.
func killedWhilePaying(t *testing.T, gateway *trial, tt *trialTill) till.Payment {
	t.Helper()
	require.NoError(t, tt.start(t.Context()))
	require.NoError(t, tt.awaitReady(t.Context()))
	p, err := tt.arm(t.Context(), "A-1", 1250)
	require.NoError(t, err)
	require.NoError(t, tt.scan(gateway.code("answer-late")))
	require.NoError(t, gateway.awaitArrival(t.Context(), p.ID))
	tt.kill()
	return p
}

// The setting api is changed while an order of the old API is undecided (API upgrade instructions: ids and certificate stay).
func TestAnOpenOrderIsFinishedByTheAPIThatMadeIt(t *testing.T) {
	for _, way := range []struct{ from, to payflow.API }{{payflow.APIv2, payflow.APIv3}, {payflow.APIv3, payflow.APIv2}} {
		t.Run(fmt.Sprintf("%s to %s", way.from, way.to), func(t *testing.T) {
			t.Parallel()
			gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), way.from)
			require.NoError(t, err)
			t.Cleanup(gateway.close)
			config := trialConfig{StoreID: "SZTX001", TillID: "U1", Account: gateway.account()}
			tt := openAPITill(t, gateway, config)
			first := killedWhilePaying(t, gateway, tt)

			gateway.api = way.to
			config.Account = gateway.account() + fmt.Sprintf("api_%s_key = %q\n", way.from, filepath.Join(gateway.dir, fmt.Sprintf("api_%s_key", way.from)))
			config.Scanner = tt.pty.Path()
			require.NoError(t, writeTrialConfig(tt.dir, config))
			require.NoError(t, tt.start(t.Context()))
			first, err = tt.client.WaitFinal(t.Context(), first.ID, nil)
			require.NoError(t, err)
			assert.Equal(t, payflow.Paid, first.Status)

			require.NoError(t, tt.awaitReady(t.Context()))
			second, err := tt.arm(t.Context(), "A-2", 1350)
			require.NoError(t, err)
			require.NoError(t, tt.scan(gateway.code("pays-at-once")))
			second, err = tt.client.WaitFinal(t.Context(), second.ID, nil)
			require.NoError(t, err)
			assert.Equal(t, payflow.Paid, second.Status)
			made := func(id payflow.OutTradeNo) wxsim.API {
				order, known := gateway.sim.Books().Order(string(id))
				require.True(t, known)
				return order.API
			}
			assert.Equal(t, wxsim.API(way.from), made(first.ID))
			assert.Equal(t, wxsim.API(way.to), made(second.ID))
			judgeKilled(t, []*trialTill{tt}, gateway.books())
		})
	}
}

func TestAnOpenOrderWhoseAPIHasNoKeyIsNeverGuessedAt(t *testing.T) {
	w := &ways{api: payflow.APIv3}
	_, err := w.of("query", payflow.APIv2, "N1")
	require.ErrorContains(t, err, "put api_v2_key back")
	var lost *payflow.LostError
	assert.ErrorAs(t, err, &lost, "not known is never no")
}

func TestATillOfAPIv2WithoutACertificateStartsAndTakesNoPayment(t *testing.T) {
	t.Parallel()
	gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), payflow.APIv2)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	account := strings.Replace(gateway.account(), "apiclient_cert.p12", "nosuch.p12", 1)
	tt := openAPITill(t, gateway, trialConfig{StoreID: "SZTX001", TillID: "W1", Account: account})
	require.NoError(t, tt.start(t.Context()))
	require.Eventually(t, func() bool {
		status, err := tt.client.Status(t.Context())
		return err == nil && status.NotReady != nil && status.NotReady.Reason == "no_certificate"
	}, 30*time.Second, 50*time.Millisecond)
	_, err = tt.arm(t.Context(), "A-1", 1250)
	require.ErrorContains(t, err, "certificate")
}

// What nobody can finish, a person must be told of: the log alone is read by nobody.
func TestOpenOrdersWhoseAPIHasNoKeyAreWarnedOf(t *testing.T) {
	t.Parallel()
	gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), payflow.APIv2)
	require.NoError(t, err)
	t.Cleanup(gateway.close)
	config := trialConfig{StoreID: "SZTX001", TillID: "U2", Account: gateway.account()}
	tt := openAPITill(t, gateway, config)
	killedWhilePaying(t, gateway, tt)

	gateway.api = payflow.APIv3
	config.Account, config.Scanner = gateway.account(), tt.pty.Path()
	require.NoError(t, writeTrialConfig(tt.dir, config))
	cfg, err := LoadConfig(filepath.Join(tt.dir, "posagent.toml"))
	require.NoError(t, err)
	a, err := newAgent(cfg, agentOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	defer a.close()
	assert.True(t, a.health.Holds(health.APIv2KeyWrong))
	assert.False(t, a.health.Holds(health.APIKeyWrong))
}

// A payment is refunded by the API that made it, also after the till has changed to the other one: as long as its key is installed.
func TestAPaymentIsRefundedByTheAPIThatMadeIt(t *testing.T) {
	for _, way := range []struct{ from, to payflow.API }{{payflow.APIv2, payflow.APIv3}, {payflow.APIv3, payflow.APIv2}} {
		t.Run(fmt.Sprintf("%s to %s", way.from, way.to), func(t *testing.T) {
			t.Parallel()
			gateway, err := openTrial(filepath.Join(t.TempDir(), "wechat-pay"), way.from)
			require.NoError(t, err)
			t.Cleanup(gateway.close)
			config := trialConfig{StoreID: "SZTX001", TillID: "U3", Account: gateway.account()}
			tt := openAPITill(t, gateway, config)
			require.NoError(t, tt.start(t.Context()))
			require.NoError(t, tt.awaitReady(t.Context()))
			p, err := tt.arm(t.Context(), "A-1", 1250)
			require.NoError(t, err)
			require.NoError(t, tt.scan(gateway.code("pays-at-once")))
			p, err = tt.client.WaitFinal(t.Context(), p.ID, nil)
			require.NoError(t, err)
			require.Equal(t, payflow.Paid, p.Status)
			require.NoError(t, tt.stop())

			gateway.api = way.to
			restart := func(account string) {
				config.Account, config.Scanner = account, tt.pty.Path()
				require.NoError(t, writeTrialConfig(tt.dir, config))
				require.NoError(t, tt.start(t.Context()))
				require.NoError(t, tt.awaitReady(t.Context()))
			}
			restart(gateway.account())
			_, err = tt.client.Refund(t.Context(), p.ID, till.RefundBody{Amount: 250, Reason: "returned"}, "r1")
			var refused *till.Problem
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, till.NotTaken, refused.Code)
			assert.Equal(t, "other_api", refused.Reason)
			assert.Contains(t, refused.Detail, fmt.Sprintf("put api_%s_key back", way.from))
			require.NoError(t, tt.stop())

			restart(gateway.account() + fmt.Sprintf("api_%s_key = %q\n", way.from, filepath.Join(gateway.dir, fmt.Sprintf("api_%s_key", way.from))))
			refund, err := tt.client.Refund(t.Context(), p.ID, till.RefundBody{Amount: 250, Reason: "returned"}, "r1")
			require.NoError(t, err, "what was refused was not journaled, so that its key is free")
			refund, err = tt.client.FollowRefund(t.Context(), refund.ID, nil)
			require.NoError(t, err)
			assert.Equal(t, payflow.RefundDone, refund.Status)
			order, known := gateway.sim.Books().Order(string(p.ID))
			require.True(t, known)
			require.Len(t, order.Refunds, 1)
			assert.EqualValues(t, 250, order.Refunds[0].Amount)
			require.NoError(t, tt.stop())
			_, refunds, err := tt.book(t.Context())
			require.NoError(t, err)
			assert.Empty(t, compareRefunds(gateway.books(), refunds))
		})
	}
}
