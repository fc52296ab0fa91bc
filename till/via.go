package till

import (
	"context"

	"posagent/payflow"
)

// via names in the context of a wish the way by which it came, for the journal.
func via(ctx context.Context) context.Context {
	return byWay(ctx, callerOf(ctx).via)
}

// byWay names a way that has no caller: the line protocol, the tap of a pole display.
func byWay(ctx context.Context, way string) context.Context {
	return context.WithValue(ctx, payflow.ViaKey{}, way)
}
