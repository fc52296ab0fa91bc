//go:build race

package payflow

// underRace leaves the walks out: the race detector makes them many times slower, and a pure function has no races to find.
const underRace = true
