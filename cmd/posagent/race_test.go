//go:build race

package main

// underRace shortens what calls the whole program thousands of times: the race detector makes it ten times slower, and the same
// goroutines run in a third of the calls. It leaves out the browser, as till's tests do.
const underRace = true
