package till

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The PINs of the tests.
const (
	pinOfManager = "2580"
	pinOfCashier = "147369"
	pinOfFitter  = "90210"
)

// someOperators has a manager M001, a cashier P001 and an installer I001; trying their PINs costs little.
func someOperators(t *testing.T) *Operators {
	t.Helper()
	o := openedOperators(t, filepath.Join(t.TempDir(), "operators.json"))
	for _, k := range []struct {
		id, name string
		role     Role
		pin      string
	}{{"M001", "Lee Ka Yan", RoleManager, pinOfManager}, {"P001", "陳小明", RoleCashier, pinOfCashier}, {"I001", "Fitter", RoleInstaller, pinOfFitter}} {
		_, err := o.Add(k.id, k.name, k.role, k.pin)
		require.NoError(t, err)
	}
	return o
}

func openedOperators(t *testing.T, file string) *Operators {
	t.Helper()
	o, err := OpenOperators(file)
	require.NoError(t, err)
	o.cost = pinCost{MemoryKiB: 8, Passes: 1}
	return o
}

func TestAPINIsKeptAsASlowHash(t *testing.T) {
	file := filepath.Join(t.TempDir(), "operators.json")
	o, err := OpenOperators(file)
	require.NoError(t, err)
	_, err = o.Add("M001", "Lee Ka Yan", RoleManager, "735192")
	require.NoError(t, err)
	held, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(held), "735192")
	assert.Contains(t, string(held), `"argon2id"`)
	assert.Contains(t, string(held), `"memory_kib": 12288`)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	again, err := OpenOperators(file)
	require.NoError(t, err)
	who, trouble, err := again.SignIn(PINSeat{}, "M001", "735192", time.Now())
	require.NoError(t, errorsOf(trouble, err))
	assert.Equal(t, "Lee Ka Yan", who.Name)
}

func errorsOf(trouble, err error) error {
	if trouble != nil {
		return trouble
	}
	return err
}

func TestTwoOperatorsWithOnePINHaveDifferentHashes(t *testing.T) {
	cost := pinCost{MemoryKiB: 8, Passes: 1}
	assert.NotEqual(t, hashPIN("2580", cost).Sum, hashPIN("2580", cost).Sum)
}

func TestWhatAPINMustBe(t *testing.T) {
	for _, good := range []string{"2580", "90210", "14736985", "1230", "0012"} {
		assert.NoError(t, CheckPIN(good), good)
	}
	for _, bad := range []string{"", "123", "258025802", "25a0", " 2580", "٢٥٨٠", "0000", "99999999", "1234", "4321", "7890", "2109"} {
		err := CheckPIN(bad)
		require.Error(t, err, bad)
		if bad != "" {
			assert.NotContains(t, err.Error(), `"`+bad)
		}
	}
}

func TestWrongPINsMakeTheNextOneWaitAndNoLongerThanAQuarterOfAnHour(t *testing.T) {
	o := someOperators(t)
	now := noon()
	wrong := func() time.Duration {
		_, trouble, err := o.SignIn(PINSeat{}, "P001", "0001", now)
		require.NoError(t, trouble)
		var w *WrongPINError
		require.ErrorAs(t, err, &w)
		return w.Wait
	}
	waits := []time.Duration{0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 15 * time.Minute, 15 * time.Minute}
	for _, want := range waits {
		got := wrong()
		assert.Equal(t, want, got)
		if got > 0 {
			_, _, err := o.SignIn(PINSeat{}, "P001", pinOfCashier, now.Add(got-time.Second))
			var w *PINWaitError
			require.ErrorAs(t, err, &w, "the right one is not looked at before its time")
			assert.Equal(t, time.Second, w.Wait)
		}
		now = now.Add(got)
	}
	_, _, err := o.SignIn(PINSeat{}, "M001", pinOfManager, now)
	assert.NoError(t, err, "another operator does not wait")
	_, _, err = o.SignIn(PINSeat{}, "P001", pinOfCashier, now)
	require.NoError(t, err, "after the wait the right one is taken")
	assert.Zero(t, wrong(), "and the count begins anew")
}

// guessed has strangers try a wrong PIN, each in a session of its own, until none is tried any more, and returns how many were.
func guessed(o *Operators, id string, now time.Time) (tried int) {
	for i := range 200 {
		_, _, err := o.SignIn(PINSeat{Session: fmt.Sprint("stranger ", now.Unix(), i), Known: "made up"}, id, "0001", now)
		var wrong *WrongPINError
		if errors.As(err, &wrong) {
			tried++
		}
	}
	return tried
}

// seatOf signs an operator in at a new browser.
func newSeatOf(t *testing.T, o *Operators, id, pin string, now time.Time) PINSeat {
	t.Helper()
	who, _, err := o.SignIn(PINSeat{Session: "page"}, id, pin, now)
	require.NoError(t, err)
	require.NotEmpty(t, who.Seat)
	return PINSeat{Session: "page", Known: who.Seat}
}

func TestARestartForgivesNoGuesser(t *testing.T) {
	o := someOperators(t)
	page := newSeatOf(t, o, "P001", pinOfCashier, noon())
	assert.Equal(t, strangersPINs.burst, guessed(o, "P001", noon()))
	for range 3 {
		_, _, err := o.SignIn(page, "P001", "0001", noon())
		require.Error(t, err)
	}
	again := openedOperators(t, o.file.path)
	assert.Zero(t, guessed(again, "P001", noon().Add(time.Minute)))
	_, _, err := again.SignIn(page, "P001", pinOfCashier, noon().Add(29*time.Second))
	var w *PINWaitError
	require.ErrorAs(t, err, &w)
	assert.Equal(t, time.Second, w.Wait)
	waits, err := again.Waiting(noon().Add(10 * time.Second))
	require.NoError(t, err)
	assert.Equal(t, map[string]time.Duration{"P001": strangersPINs.every - 10*time.Second}, waits)

	text, err := os.ReadFile(again.tries.file.path)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "0001", "how many, never which")
	assert.NotContains(t, string(text), page.Known, "what makes a browser a known one is not in the file")
}

func TestAClockThatRanAheadMakesNobodyWaitForIt(t *testing.T) {
	o := someOperators(t)
	page := newSeatOf(t, o, "P001", pinOfCashier, noon())
	ahead := noon().AddDate(1, 0, 0)
	guessed(o, "P001", ahead)
	for range 3 {
		_, _, _ = o.SignIn(page, "P001", "0001", ahead)
	}
	_, _, err := o.SignIn(page, "P001", pinOfCashier, noon())
	var w *PINWaitError
	require.ErrorAs(t, err, &w)
	assert.Equal(t, 30*time.Second, w.Wait, "nobody waits a year")
	_, _, err = o.SignIn(page, "P001", pinOfCashier, noon().Add(30*time.Second))
	assert.NoError(t, err, "and the wait ends")
	assert.Equal(t, 1, guessed(o, "P001", noon().Add(30*time.Second+strangersPINs.every)))
}

// Whoever guesses on other sessions keeps nobody out: a browser in which the operator has signed in waits for nothing but its own slips, and a
// new one for those that all others have used up.
func TestAGuesserKeepsNobodyOut(t *testing.T) {
	o := someOperators(t)
	page := newSeatOf(t, o, "P001", pinOfCashier, noon())
	for range 5 {
		_, _, _ = o.SignIn(PINSeat{Session: "guesser"}, "P001", "0001", noon())
	}
	_, _, err := o.SignIn(PINSeat{Session: "new browser"}, "P001", pinOfCashier, noon())
	require.NoError(t, err, "another session's slips are its own")
	tried, now := 0, noon()
	for range 24 * 60 {
		tried += guessed(o, "P001", now)
		now = now.Add(time.Minute)
		if now.Minute() == 37 {
			who, _, err := o.SignIn(page, "P001", pinOfCashier, now)
			require.NoError(t, err)
			assert.Empty(t, who.Seat, "the browser keeps what it has")
		}
	}
	assert.LessOrEqual(t, tried, strangersPINs.burst+int(24*time.Hour/strangersPINs.every), "however many sessions and signing in beside it")
	assert.Greater(t, tried, 90)
	assert.Equal(t, []string{"P001"}, o.Guessed(), "the store is told, though the operator signs in all the time")
	now = now.Add(guessQuiet)
	_, _, err = o.SignIn(page, "P001", pinOfCashier, now)
	require.NoError(t, err)
	assert.Empty(t, o.Guessed(), "until it is quiet")
}

// Whatever serves another port of this machine can put cookies of its own into the browser.
func TestASeatThatSomebodyElsePutIntoTheBrowserIsNotTheirsToKnow(t *testing.T) {
	o := someOperators(t)
	theirs := newSeatOf(t, o, "I001", pinOfFitter, noon())
	for _, planted := range []string{"made up", theirs.Known} {
		who, _, err := o.SignIn(PINSeat{Session: "page", Known: planted}, "P001", pinOfCashier, noon())
		require.NoError(t, err)
		require.NotEmpty(t, who.Seat)
		assert.NotEqual(t, planted, who.Seat)
		assert.False(t, o.KnownSeat(PINSeat{Known: planted}, "P001"))
		assert.True(t, o.KnownSeat(PINSeat{Known: who.Seat}, "P001"))
		assert.Equal(t, planted == theirs.Known, o.KnownSeat(PINSeat{Known: who.Seat}, "I001"), "who has signed in at this browser before stays known there")
	}
	for range 3 * seatsMax {
		newSeatOf(t, o, "P001", pinOfCashier, noon())
	}
	assert.Len(t, o.tries.tries["P001"].Seats, seatsMax)
	assert.Len(t, o.tries.tries["I001"].Seats, 1, "nobody else's seats make room")
	_, err := o.Remove("I001")
	require.NoError(t, err)
	assert.NotContains(t, o.tries.tries, "I001")
}

func TestManyWrongPINsAtOnceAreAllCounted(t *testing.T) {
	o := someOperators(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	tried := 0
	for range 40 {
		all.Go(func() {
			_, _, err := o.SignIn(PINSeat{}, "P001", "0001", noon())
			var wrong *WrongPINError
			if !assert.Error(t, err) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &wrong) {
				tried++
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, tried, 3, "the third makes all others wait, however many came at once")
}

func TestTheFileOfWrongPINsKeepsNobodyOut(t *testing.T) {
	o := someOperators(t)
	require.NoError(t, os.WriteFile(o.tries.file.path, []byte("{"), 0o600))
	_, trouble, err := o.SignIn(PINSeat{}, "P001", pinOfCashier, noon())
	assert.ErrorContains(t, trouble, "wrong PINs")
	assert.NoError(t, err)
	require.NoError(t, os.Remove(o.tries.file.path))
	require.NoError(t, os.Mkdir(o.tries.file.path, 0o700)) // nothing can be written there
	for range 3 {
		_, trouble, err = o.SignIn(PINSeat{}, "P001", "0001", noon())
		assert.Error(t, trouble)
		assert.Error(t, err)
	}
	_, _, err = o.SignIn(PINSeat{}, "P001", pinOfCashier, noon())
	var w *PINWaitError
	assert.ErrorAs(t, err, &w, "and it is counted all the same")
}

func TestANewPINEndsTheWaitAndTheOldPIN(t *testing.T) {
	o := someOperators(t)
	command := openedOperators(t, o.file.path)
	before, _ := o.Find("P001")
	for range 5 {
		_, _, _ = o.SignIn(PINSeat{}, "P001", "0001", noon())
	}
	_, err := command.SetPIN("P001", "369147")
	require.NoError(t, err)
	_, _, err = o.SignIn(PINSeat{}, "P001", pinOfCashier, noon())
	var wrong *WrongPINError
	require.ErrorAs(t, err, &wrong)
	after, _, err := o.SignIn(PINSeat{}, "P001", "369147", noon())
	require.NoError(t, err)
	assert.NotEqual(t, before.Mark, after.Mark, "what was signed in before is at its end")
}

func TestThereIsAlwaysAManager(t *testing.T) {
	o := openedOperators(t, filepath.Join(t.TempDir(), "operators.json"))
	_, err := o.Add("P001", "Chan", RoleCashier, pinOfCashier)
	assert.ErrorContains(t, err, "add a manager first")
	_, err = o.Add("M001", "Lee", RoleManager, pinOfManager)
	require.NoError(t, err)
	_, err = o.Add("P001", "Chan", RoleCashier, pinOfCashier)
	require.NoError(t, err)
	_, err = o.Remove("M001")
	assert.ErrorContains(t, err, "last manager")
	_, err = o.SetRole("M001", RoleInstaller)
	assert.ErrorContains(t, err, "last manager")
	_, err = o.SetRole("P001", RoleManager)
	require.NoError(t, err)
	_, err = o.Remove("M001")
	require.NoError(t, err)
	_, err = o.Remove("P001")
	assert.NoError(t, err, "the last of all may go: the till is as it was before the first")
	list, err := o.List()
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestAnOperatorNeedsAnIDANameARoleAndAPIN(t *testing.T) {
	o := someOperators(t)
	for _, c := range []struct {
		id, name string
		role     Role
		pin      string
		says     string
	}{
		{"p2", "Chan", RoleCashier, "2580", "id has"}, {"", "Chan", RoleCashier, "2580", "id has"}, {"P 2", "Chan", RoleCashier, "2580", "id has"},
		{strings.Repeat("P", 17), "Chan", RoleCashier, "2580", "id has"}, {"P2", " ", RoleCashier, "2580", "needs a name"}, {"P2", "a\nb", RoleCashier, "2580", "needs a name"},
		{"P2", aCode, RoleCashier, "2580", "needs a name"}, {"P2", "Chan", "boss", "2580", "is no role"}, {"P2", "Chan", RoleCashier, "12", "4 to 8 digits"},
		{"P001", "Chan", RoleCashier, "2580", "already"},
	} {
		_, err := o.Add(c.id, c.name, c.role, c.pin)
		assert.ErrorContains(t, err, c.says, c.id)
	}
	_, err := o.SetRole("NONE", RoleManager)
	assert.ErrorContains(t, err, "no operator")
	_, err = o.SetRole("P001", "boss")
	assert.ErrorContains(t, err, "is no role")
}

func TestAnOperatorsFileOfSomebodyElseOpensNothing(t *testing.T) {
	o := someOperators(t)
	text, err := os.ReadFile(o.file.path)
	require.NoError(t, err)
	for what, bad := range map[string]string{
		"a hash of unbounded cost": strings.Replace(string(text), `"memory_kib": 8`, `"memory_kib": 4000000`, 1),
		"a role that is none":      strings.Replace(string(text), `"manager"`, `"owner"`, 1),
		"another version":          strings.Replace(string(text), `"version": 1`, `"version": 2`, 1),
		"no JSON":                  "{",
	} {
		require.NoError(t, os.WriteFile(o.file.path, []byte(bad), 0o600))
		_, err := OpenOperators(o.file.path)
		assert.ErrorContains(t, err, "operators file", what)
		_, ok := o.Find("M001")
		assert.False(t, ok, what)
	}
	require.NoError(t, os.WriteFile(o.file.path, text, 0o600))
	require.NoError(t, os.Chmod(o.file.path, 0o640))
	_, err = OpenOperators(o.file.path)
	assert.ErrorContains(t, err, "chmod 600")
}

func TestOfManyWritersAtOnceNoneLosesAnOperator(t *testing.T) {
	o := someOperators(t)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			_, err := openedOperators(t, o.file.path).Add("C"+string(rune('A'+i)), "Chan", RoleCashier, "2580")
			assert.NoError(t, err)
		})
	}
	all.Wait()
	list, err := o.List()
	require.NoError(t, err)
	assert.Len(t, list, 13)
	var held operatorsFile
	text, err := os.ReadFile(o.file.path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &held))
	assert.Len(t, held.Operators, 13)
}

func TestAStoreIsToldOfWhoIsGuessedAt(t *testing.T) {
	o := someOperators(t)
	guess := func(id string, at time.Time) {
		_, _, err := o.SignIn(PINSeat{}, id, "0001", at)
		var wrong *WrongPINError
		require.ErrorAs(t, err, &wrong)
	}
	now := noon()
	for range ManyWrongPINs {
		assert.Empty(t, o.Guessed())
		guess("P001", now)
		now = now.Add(time.Hour)
	}
	assert.Equal(t, []string{"P001"}, o.Guessed())
	guess("X999", now)
	assert.Equal(t, []string{"P001"}, o.Guessed(), "who is no operator can't be guessed at")
	_, _, err := o.SignIn(PINSeat{}, "P001", pinOfCashier, now)
	require.NoError(t, err)
	assert.Empty(t, o.Guessed(), "the right PIN ends it")
}
