//go:build !race

package till

const underRace = false
