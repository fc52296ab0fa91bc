//go:build race

package queue

// underRace shortens the simulations: the race detector makes them many times slower, and shuffles what runs next, so that a world's log
// is not the same twice.
const underRace = true
