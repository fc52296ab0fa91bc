package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
	"posagent/scanner"
	"posagent/till"
	"posagent/wxclient"
)

// signInStories are the tills with operators.
func signInStories() []stateStory {
	return []stateStory{
		{name: "signing in", meets: meetSigningIn, wish: pageTillWish{more: "[operators]\npin_to_sell = true\n", prepare: someStaff}},
		{name: "free to sign in", meets: meetFreeToSignIn, wish: pageTillWish{prepare: someStaff}},
	}
}

// staffPIN are the PINs of those who work at the stories' tills.
var staffPIN = map[string]string{"M001": "135790", "P001": "246824", "I001": "192837"}

func someStaff(dir string, _ *trial) {
	staff, err := till.OpenOperators(filepath.Join(dir, "operators.json"))
	for _, who := range []till.Person{{ID: "M001", Name: "Lee Ka Yan", Role: till.RoleManager}, {ID: "P001", Name: "陳小明", Role: till.RoleCashier}, {ID: "I001", Name: "Maria Fernanda Gonçalves de Albuquerque", Role: till.RoleInstaller}} {
		if err == nil {
			_, err = staff.Add(who.ID, who.Name, who.Role, staffPIN[who.ID])
		}
	}
	if err != nil {
		panic("the stories' operators: " + err.Error())
	}
}

// choose presses the number that stands before a name.
func (s *stateTill) choose(name string) {
	s.t.Helper()
	reads(s.t, s.window, name)
	number, err := chromedp.Run(s.window, chromedp.Evaluate[string](fmt.Sprintf(`[...document.querySelectorAll('button.name')].find((b) => b.querySelector('.who').textContent === %q)?.querySelector('kbd').textContent || ''`, name)))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, number, "%s is not on the screen", name)
	s.press(number)
}

func (s *stateTill) types(text string) { s.t.Helper(); s.press(strings.Split(text, "")...) }

// says waits until a label's words are on the screen.
func (s *stateTill) says(label string) {
	s.t.Helper()
	reads(s.t, s.window, s.tour.words.text("en", "labels."+label))
}

func meetSigningIn(s *stateTill) {
	s.sees("signin-names", "labels.signin_title|")
	s.agent.journalAt.set("a payment was changed")
	s.sees("signin-names-offline", "")
	s.agent.journalAt.set("")
	another := scanner.Event{Kind: scanner.KindState, Device: "hid:1", State: scanner.Lost, At: time.Now()}
	s.agent.feed.take(s.t.Context(), another)
	s.happens(wxclient.Condition{Kind: wxclient.GatewayUnreachable, Text: "no answer"})
	s.sees("signin-names-warned", "labels.signin_title|")
	s.choose("陳小明")
	s.types("246825")
	s.sees("signin-pin-warned", "labels.signin_pin|")
	s.press(kb.Escape)
	another.State = scanner.Ready
	s.agent.feed.take(s.t.Context(), another)
	s.happens(wxclient.Condition{Kind: wxclient.GatewayUnreachable, Over: true})
	s.sees("signin-names", "labels.signin_title|")
	s.choose("Maria Fernanda Gonçalves de Albuquerque")
	s.sees("signin-long-name", "labels.signin_pin|")
	reads(s.t, s.window, "Maria Fernanda Gonçalves de Albuquerque")
	for _, said := range []string{"signin_wrong", "signin_wrong", "signin_wait"} { // the third has to be waited for
		s.types("000000")
		s.press(kb.Enter)
		s.says(said)
	}
	s.sees("signin-wait", "labels.signin_pin|")
	s.press(kb.Escape)
	s.choose("陳小明")
	s.types("246825")
	s.sees("signin-pin", "labels.signin_pin|")
	s.press(kb.Enter)
	s.says("signin_wrong")
	s.sees("signin-wrong", "labels.signin_pin|")
	s.types(staffPIN["P001"])
	s.press(kb.Enter)
	s.sees("idle-signed-in", "labels.enter_amount|")
	reads(s.t, s.window, "陳小明")
	id := s.meet("pays-at-once")
	onScreen(s.t, s.window, "paid")
	_, err := s.agent.operators.SetPIN("P001", "864202") // signs out whoever had the old one
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool {
		gone, err := chromedp.Run(s.window, chromedp.Evaluate[bool](`!document.querySelector('header .person')`))
		return err == nil && gone
	}, time.Minute, 50*time.Millisecond, "the page still names who has been signed out")
	s.sees("paid-signed-out", "states.paid")
	require.NoError(s.t, chromedp.Do(s.window, chromedp.Navigate("http://"+s.line.address()+"/")))
	onScreen(s.t, s.window, "not_announced") // to whom it was shown has left
	s.press("b", kb.Enter)                   // giving money back takes somebody, and then a manager
	s.choose("陳小明")
	s.types("864202")
	s.press(kb.Enter)
	s.sees("signin-manager", "labels.signin_manager|")
	s.types("000000")
	s.press(kb.Enter)
	s.says("signin_wrong")
	_, err = s.agent.operators.Add("M002", "Chan Tai Man", till.RoleManager, "998877")
	require.NoError(s.t, err)
	s.choose("Chan Tai Man")
	s.types("998877")
	_, err = s.agent.operators.SetRole("M002", till.RoleCashier) // while the PIN is being typed
	require.NoError(s.t, err)
	s.press(kb.Enter)
	s.says("signin_no_manager")
	s.sees("signin-manager-refused", "labels.signin_manager|")
	s.press(kb.Escape)
	s.answer(id, payflow.GoodsGiven)
	for n := range 14 {
		_, err := s.agent.operators.Add(fmt.Sprintf("P1%02d", n), fmt.Sprintf("Chan Siu Ming %d", n), till.RoleCashier, fmt.Sprintf("5555%02d", n))
		require.NoError(s.t, err)
	}
	tap(s.t, s.window, "signin_out")
	s.sees("signin-many-names", "labels.signin_title|")
}

func meetFreeToSignIn(s *stateTill) {
	s.sees("idle-free-to-sign-in", "labels.enter_amount|")
	s.says("signin_go")
}
