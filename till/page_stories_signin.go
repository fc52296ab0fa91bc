package till

import (
	"fmt"

	"posagent/health"
	"posagent/payflow"
)

// signInPage is what the page holds of a sign-in.
type signInPage struct {
	Open   string `json:"open"`
	Chosen string `json:"chosen"`
	Digits int    `json:"digits"`
	Page   int    `json:"page"`
	Said   string `json:"said"`
	Wait   int    `json:"wait"`
	Busy   bool   `json:"busy"`
}

// signIns are the states of signing in, and of the page with somebody signed in.
func (b *storyBook) signIns() {
	cashier, manager := Person{"P001", "陳小明", RoleCashier}, Person{"M001", "Lee Ka Yan", RoleManager}
	session := func(change ...func(*Session)) *Session {
		s := &Session{SetUp: true, PINToSell: true, LockAfter: 600, Operators: []Person{cashier, manager, {"I001", "Maria Fernanda Gonçalves de Albuquerque", RoleInstaller}}}
		for _, c := range change {
			c(s)
		}
		return s
	}
	with := func(s *Session, page signInPage) func(*story) {
		return func(of *story) { of.Page.Session, of.Page.Signin = s, &page }
	}
	many := session(func(s *Session) {
		for i := range 14 {
			s.Operators = append(s.Operators, Person{fmt.Sprintf("P1%02d", i), "Chan Siu Ming", RoleCashier})
		}
	})
	here := session(func(s *Session) { s.Operator = &cashier })
	b.add("signin-names", nil, with(session(), signInPage{}))
	b.add("signin-many-names", nil, with(many, signInPage{}))
	warnedToo := func(s *story) {
		s.Status.Warnings = append(warned(health.GatewayUnreachable, ""), warned(health.ScannerAway, "/dev/posagent-scanner")...)
	}
	b.add("signin-names-warned", nil, with(session(), signInPage{}), warnedToo)
	b.add("signin-names-offline", nil, with(session(), signInPage{}), func(s *story) {
		s.Status.Ready, s.Status.NotReady = false, b.server.notReady(&payflow.NotReadyError{Code: "journal", Text: "journal"})
	})
	b.add("signin-pin-warned", nil, with(session(), signInPage{Chosen: "P001", Digits: 6}), warnedToo)
	b.add("signin-pin", nil, with(session(), signInPage{Chosen: "P001", Digits: 6}))
	b.add("signin-long-name", nil, with(session(), signInPage{Chosen: "I001"}))
	b.add("signin-wrong", nil, with(session(), signInPage{Chosen: "P001", Said: "signin_wrong"}))
	b.add("signin-wait", nil, with(session(), signInPage{Chosen: "P001", Said: "signin_wait", Wait: 900}))
	b.add("signin-manager", paidStory(), with(here, signInPage{Open: "manager"}))
	b.add("signin-manager-refused", paidStory(), with(here, signInPage{Open: "manager", Said: "signin_no_manager"}))
	b.add("idle-signed-in", nil, with(here, signInPage{}))
	b.add("idle-free-to-sign-in", nil, with(session(func(s *Session) { s.PINToSell = false }), signInPage{}))
	b.add("paid-signed-out", paidStory(), with(session(), signInPage{}))
}
