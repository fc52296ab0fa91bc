package queue

import (
	"time"

	"posagent/payflow"
)

// hooks are what the engine's loop takes from elsewhere: the step, what of it must be on disk, and the time. The simulation puts its own
// clock and its planted bugs there; nothing outside this package can.
type hooks struct {
	step    func(payflow.Payment, payflow.Event) (payflow.Payment, []payflow.Command)
	durable func(before, after payflow.Payment) bool
	now     func() time.Time // with this process's monotonic reading
}

// whole puts the real thing where nothing was put.
func (h hooks) whole() hooks {
	if h.step == nil {
		h.step = payflow.Step
	}
	if h.durable == nil {
		h.durable = payflow.Durable
	}
	if h.now == nil {
		h.now = time.Now
	}
	return h
}
