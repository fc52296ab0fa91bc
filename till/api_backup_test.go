package till

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// fakeBackups is a desk of backups in memory, for many callers at once.
type fakeBackups struct {
	err error

	mu    sync.Mutex
	found []payflow.FoundAfterRestore
}

func (f *fakeBackups) MakeBackup(context.Context) (Backup, error) {
	return Backup{File: "/var/lib/posagent/backup/one.backup", At: noon(), Sequence: 12, Head: "12:ab", Bytes: 1, Verified: []string{"all"}, NotVerified: []string{}}, f.err
}

func (f *fakeBackups) FoundAfterRestore() ([]payflow.FoundAfterRestore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.found), nil
}

func (f *fakeBackups) SettleFound(_ context.Context, no payflow.OutTradeNo, operator, note string) (payflow.FoundAfterRestore, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.found {
		if f.found[i].OutTradeNo == no {
			f.found[i].Settled = payflow.FoundSettled{At: noon().Add(time.Hour), Operator: operator, Note: note}
			return f.found[i], nil
		}
	}
	return payflow.FoundAfterRestore{}, payflow.ErrNoPayment
}

func TestABackupIsMadeOnRequestAndAFailureSaysWhatToDo(t *testing.T) {
	a := newTill(t)
	desk := &fakeBackups{}
	a.server.cfg.Backups = desk
	assert.Equal(t, Forbidden, a.post("/v1/backups", "").problem().Code, "till software has no business with it")
	var err error
	a.token, _, err = a.server.cfg.Tokens.Create("manager", []Scope{ScopeAdmin})
	require.NoError(t, err)
	got := a.post("/v1/backups", "")
	require.Equal(t, http.StatusCreated, got.Status, got.Body)
	var made Backup
	require.NoError(t, json.Unmarshal([]byte(got.Body), &made))
	assert.EqualValues(t, 12, made.Sequence)

	desk.err = NewBackupProblem("there is no room on the disk; remove old backups")
	got = a.post("/v1/backups", "")
	assert.Equal(t, BackupFailed, got.problem().Code)
	assert.Contains(t, got.problem().Detail, "no room")
	desk.err = context.DeadlineExceeded
	assert.Equal(t, BackupGoesOn, a.post("/v1/backups", "").problem().Code)
	a.server.cfg.Backups = nil
	assert.Equal(t, BackupFailed, a.post("/v1/backups", "").problem().Code)
}

func TestWhatWasFoundAfterARestoreIsListedAndSettledByAPerson(t *testing.T) {
	a := newTill(t)
	assert.JSONEq(t, `{"orders":[]}`, a.get("/v1/found-after-restore").Body)
	no := payflow.OutTradeNo("SZTX001T1261124000001AB12C9")
	a.server.cfg.Backups = &fakeBackups{found: []payflow.FoundAfterRestore{{OutTradeNo: no, State: payflow.TradeSuccess,
		Amount: payflow.Amount{Minor: 1250, Currency: "HKD"}, TransactionID: "4200", FoundAt: noon()}}}
	var list FoundList
	require.NoError(t, json.Unmarshal([]byte(a.get("/v1/found-after-restore").Body), &list))
	require.Len(t, list.Orders, 1)
	assert.EqualValues(t, 1250, list.Orders[0].Amount)

	settle := "/v1/found-after-restore/" + string(no) + "/settle"
	assert.Equal(t, BadRequest, a.post(settle, `{"operator":"","note":"x"}`).problem().Code)
	assert.Equal(t, HoldsCode, a.post(settle, `{"operator":"ANNA","note":"134650720866361395"}`).problem().Code)
	assert.Equal(t, NoPayment, a.post("/v1/found-after-restore/NOBODY/settle", `{"operator":"ANNA","note":"goods were given"}`).problem().Code)
	got := a.post(settle, `{"operator":"ANNA","note":"goods were given"}`)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	assert.Contains(t, got.Body, "goods were given")
}
