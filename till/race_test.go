//go:build race

package till

// underRace leaves out the browser: it loads what is told by stories, its waiting takes most of the detector's time, and the same requests are
// made without one.
const underRace = true
