//go:build fasttime

package wxsim

// pace divides every time that the documents give: see pace.go.
const pace = 50
