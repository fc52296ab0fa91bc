package queue

import "posagent/payflow"

// plant is a bug that is planted for a world. Each field stands where the engine, the journal, the client or the till would have it.
type plant struct {
	name      string
	invariant string // that must name it
	worlds    int    // how many are lived through for it

	step        func(*worldBoot, payflow.Payment, payflow.Event) (payflow.Payment, []payflow.Command)
	durable     func(b *worldBoot, before, after payflow.Payment) bool
	committed   func(*worldBoot)
	payEarly    bool
	heard       func(*fastCall, *heard)
	late        func(*fastCall, heard)
	arm         func(b *worldBoot, r *payflow.ArmRequest, again bool)
	refusedScan func(b *worldBoot, c *worldCode, entry payflow.Entry, err error)
	shape       func(*worldScript) // makes what the bug needs likelier
}

// noPlant is posagent as it is.
var noPlant = &plant{}
