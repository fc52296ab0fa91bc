//go:build race

package payflow

// underRace shortens the walk: the race detector makes it many times slower, and a pure function has no races to find.
const underRace = true
