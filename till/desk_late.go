package till

import (
	"context"

	"posagent/payflow"
)

// LateDesk knows what was learnt of payments after their end: the engine. All methods may be called by several goroutines at once.
type LateDesk interface {
	// LateTruths returns the final payments whose late truth a person should see, the oldest first.
	LateTruths() ([]payflow.Entry, error)
	// LookAgain asks WeChat Pay once more about a final payment that was not paid; else a *payflow.WrongStateError.
	LookAgain(ctx context.Context, id payflow.OutTradeNo, operator string) (payflow.Entry, error)
	// SettleLate records that a person saw to a late truth; a *payflow.WrongStateError while the till is still at it.
	SettleLate(ctx context.Context, id payflow.OutTradeNo, operator, note string) (payflow.Entry, error)
	// SuspectedDuplicates returns the payments of a store day (2006-01-02) that look like one made twice.
	SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error)
	// OpenEntries returns every payment that is not final.
	OpenEntries() []payflow.Entry
}
