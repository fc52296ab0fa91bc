// Package health warns: it holds the one list of every warning that posagent can give, and keeps which of them hold now.
//
// A warning is data (warnings.go): a stable code, a severity, who sees it, how long its cause must last before anybody is alarmed, and
// two texts in each language: what happened, and what to do now. Page, check, log and API all read this one list, so that a person is
// told the same thing everywhere.
//
// The parts know nothing of warnings. They return conditions in types of their own; cmd/posagent maps each to a Code and tells the
// Tracker, which anything that shows warnings asks.
package health
