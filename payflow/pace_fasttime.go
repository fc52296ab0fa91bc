//go:build fasttime

package payflow

// Pace divides every time of the rules: see pace.go.
const Pace = 50
