//go:build !race

package payflow

const underRace = false
