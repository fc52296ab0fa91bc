package till

import (
	"context"

	"posagent/payflow"
)

// via names in the context of a wish the way by which it came, for the journal.
func via(ctx context.Context) context.Context {
	return context.WithValue(ctx, payflow.ViaKey{}, callerOf(ctx).via)
}
