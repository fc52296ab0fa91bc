package till

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posagent/payflow"
)

// backupWithin is how long a call waits for a backup, below the time-outs of server and client. One of a large journal takes longer, and goes on.
const backupWithin = 45 * time.Second

// FoundOrder is an order that WeChat Pay holds and the restored journal lost.
type FoundOrder struct {
	ID            payflow.OutTradeNo    `json:"id"`
	State         payflow.TradeState    `json:"state" doc:"WeChat Pay's, when it was asked for."`
	SaleRef       payflow.SaleRef       `json:"sale_ref,omitempty" doc:"The sale that it was made for, where the order itself names it: no new payment is armed for that sale, but for an additional tender."`
	Amount        int64                 `json:"amount" doc:"Minor units."`
	Currency      payflow.Currency      `json:"currency"`
	TransactionID payflow.TransactionID `json:"transaction_id,omitempty"`
	SuccessTime   time.Time             `json:"success_time,omitempty,omitzero"`
	FoundAt       time.Time             `json:"found_at"`
	SettledAt     time.Time             `json:"settled_at,omitempty,omitzero"`
	Operator      string                `json:"operator,omitempty" doc:"Who settled it."`
	Note          string                `json:"note,omitempty"`
}

// FoundList is the answer to GET /v1/found-after-restore.
type FoundList struct {
	Orders []FoundOrder `json:"orders" nullable:"false"`
}

// SettleBody is the body of POST /v1/found-after-restore/{id}/settle.
type SettleBody struct {
	Operator string `json:"operator" minLength:"1" maxLength:"64"`
	Note     string `json:"note" minLength:"1" maxLength:"200" doc:"What became of goods and money; it is journaled."`
}

type (
	backupOutput struct{ Body Backup }
	foundOutput  struct{ Body FoundList }
	settleInput  struct {
		ID   string `path:"id"`
		Body SettleBody
	}
	settleOutput struct{ Body FoundOrder }
)

func (s *Server) registerBackups(api huma.API) {
	huma.Register(api, call{
		id: "make-backup", method: http.MethodPost, path: "/v1/backups", summary: "Back the journal up now, in the till's own folder",
		scopes: []Scope{ScopeAdmin}, status: http.StatusCreated, problems: []ProblemCode{BackupFailed, BackupGoesOn, NotTaken, Stopping},
	}.operation(api), s.makeBackup)
	huma.Register(api, call{
		id: "list-found", method: http.MethodGet, path: "/v1/found-after-restore", summary: "Orders that a restored journal lost and that a person must look at",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{NotTaken},
	}.operation(api), s.foundAfterRestore)
	huma.Register(api, call{
		id: "settle-found", method: http.MethodPost, path: "/v1/found-after-restore/{id}/settle", summary: "A person's word on what became of such an order; it moves no money",
		scopes: []Scope{ScopePay, ScopeRefund}, needs: needsManager, status: http.StatusOK, problems: []ProblemCode{NoPayment, NotTaken, Stopping},
	}.operation(api), s.settleFound)
}

func (s *Server) makeBackup(ctx context.Context, _ *struct{}) (*backupOutput, error) {
	if s.cfg.Backups == nil {
		return nil, newProblem(BackupFailed, "this till makes no backups")
	}
	ctx, stop := context.WithTimeout(ctx, backupWithin)
	defer stop()
	made, err := s.cfg.Backups.MakeBackup(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, newProblem(BackupGoesOn, "")
	}
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &backupOutput{Body: made}, nil
}

func (s *Server) foundAfterRestore(ctx context.Context, _ *struct{}) (*foundOutput, error) {
	out := &foundOutput{Body: FoundList{Orders: []FoundOrder{}}}
	if s.cfg.Backups == nil {
		return out, nil
	}
	found, err := s.cfg.Backups.FoundAfterRestore()
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	for _, f := range found {
		out.Body.Orders = append(out.Body.Orders, foundOrder(f))
	}
	return out, nil
}

func (s *Server) settleFound(ctx context.Context, in *settleInput) (*settleOutput, error) {
	id, problem := s.wish(in.ID, map[string]string{"operator": in.Body.Operator, "note": in.Body.Note})
	if problem != nil {
		return nil, problem
	}
	if s.cfg.Backups == nil {
		return nil, newProblem(NoPayment, "")
	}
	settled, err := s.cfg.Backups.SettleFound(via(ctx), id, callerOf(ctx).decides(in.Body.Operator), in.Body.Note)
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &settleOutput{Body: foundOrder(settled)}, nil
}

func foundOrder(f payflow.FoundAfterRestore) FoundOrder {
	return FoundOrder{ID: f.OutTradeNo, State: f.State, SaleRef: f.SaleRef(), Amount: f.Amount.Minor, Currency: f.Amount.Currency, TransactionID: f.TransactionID,
		SuccessTime: f.SuccessTime, FoundAt: f.FoundAt, SettledAt: f.Settled.At, Operator: f.Settled.Operator, Note: f.Settled.Note}
}

// MakeBackup has the daemon back its journal up, and waits until that is done. A *Problem with BackupGoesOn says that it takes longer: the
// status shows when it is there.
func (c *Client) MakeBackup(ctx context.Context) (Backup, error) {
	var made Backup
	err := c.sendWithin(ctx, backupWithin+clientCallTimeout, http.MethodPost, "/v1/backups", nil, nil, &made)
	return made, err
}

// FoundAfterRestore returns the orders that a restored journal lost and that a person must look at.
func (c *Client) FoundAfterRestore(ctx context.Context) (FoundList, error) {
	return callFor[FoundList](ctx, c, http.MethodGet, "/v1/found-after-restore", nil)
}

// SettleFound says what became of one of them.
func (c *Client) SettleFound(ctx context.Context, id payflow.OutTradeNo, body SettleBody) (FoundOrder, error) {
	return callFor[FoundOrder](ctx, c, http.MethodPost, "/v1/found-after-restore/"+string(id)+"/settle", body)
}
