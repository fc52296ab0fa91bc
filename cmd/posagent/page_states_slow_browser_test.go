package main

import (
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/wxsim"
)

// lateStateStories are the tills whose states take their time: taken back for good, found out after the end, refused a reverse.
func lateStateStories() []stateStory {
	return []stateStory{
		{name: "never arrived", meets: meetNeverArrived}, {name: "reverse refused", meets: meetReverseRefused}, {name: "revoked", meets: meetRevoked},
		{name: "short", meets: meetShort, wish: pageTillWish{scanWithin: "10s", more: "suffix = \"CR\"\n"}},
	}
}

// taken makes WeChat Pay hold the money of an order that it did not have, as where a pay call arrives after everything.
func (s *stateTill) taken(id payflow.OutTradeNo) {
	s.t.Helper()
	e, err := s.agent.engine.Payment(id)
	require.NoError(s.t, err)
	require.NoError(s.t, s.gateway.sim.Place(wxsim.Foreign{Number: string(id), Attach: e.Tag.Attach(e.Attach), Total: e.Amount.Minor, Currency: string(e.Amount.Currency), State: wxsim.Success}))
}

func meetNeverArrived(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	id := s.meet("request-lost")
	s.becomes(id, payflow.Reversed) // 75 s after the scan
	s.sees("reversed-never-arrived", "states.reversed.never_arrived")
	s.taken(id)
	mend := s.slowly(wxsim.Reverse, 8*time.Second)
	_, err := s.agent.engine.LookAgain(s.t.Context(), id, "P001")
	require.NoError(s.t, err)
	s.sees("paid-after-the-end", "")
	mend()
	s.sees("paid-after-the-end-given-back", "")
	s.press(kb.Enter)
	onScreen(s.t, s.window, "idle")

	refused := s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Pay, Kind: wxsim.Refuse, Status: 403, Code: "NOT_ENOUGH", Processed: true})
	hidden := s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.Refuse, Status: 404, Code: "ORDER_NOT_EXIST", Times: -1})
	id = s.meet("pays-at-once")
	onScreen(s.t, s.window, "declined")
	refused()
	hidden()
	s.press("k")
	onScreen(s.t, s.window, "idle")
	order, known := s.gateway.sim.Books().Order(string(id))
	require.True(s.t, known)
	defer s.slowly(wxsim.Reverse, 20*time.Second)()
	s.bill(order.TransactionID, "bill-late", "notices.bill_late")
}

func meetReverseRefused(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	s.gateway.sim.Behave(wxsim.Behaviour{RevokeAfter: time.Hour})
	s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Reverse, Kind: wxsim.Refuse, Status: 403, Code: "TRADE_ERROR", Times: -1})
	id := s.meet("password-never")
	onScreen(s.t, s.window, "password")
	_, err := s.agent.engine.Cancel(s.t.Context(), id, "P001")
	require.NoError(s.t, err)
	s.eventually("the reverse was refused often", func() bool { e, err := s.agent.engine.Payment(id); return err == nil && e.Attention != "" })
	s.sees("attention-reverse-refused", "")
}

func meetRevoked(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	s.gateway.sim.Behave(wxsim.Behaviour{RevokeAfter: 8 * time.Second})
	mend := s.gateway.sim.Inject(wxsim.Fault{On: wxsim.Query, Kind: wxsim.DropUnread, Times: -1}) // it is never seen unpaid
	s.meet("answer-lost-unpaid")
	time.Sleep(9 * time.Second)
	mend()
	s.sees("reversed-revoked", "states.reversed.revoked")
}

func meetShort(s *stateTill) {
	onScreen(s.t, s.window, "idle")
	s.sell()
	_, err := s.pty.Write([]byte("1312345678")) // the line loses what follows
	require.NoError(s.t, err)
	s.sees("wrong-code-misread", "notices.misread")
	s.sees("cancelled-no-scan", "states.cancelled", "no_scan")
}
