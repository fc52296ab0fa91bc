package wxsim

import (
	"fmt"
	"strings"
)

// Table prints the scenarios, one a line: digits, the amount that chooses it, the name and what happens. doc.go holds the
// same lines.
func Table() string {
	var b strings.Builder
	for _, s := range Scenarios() {
		fmt.Fprintf(&b, "%s  %d.%02d  %-25s %s\n", s.Digits, s.Amount()/100, s.Amount()%100, s.Name, s.Does)
	}
	return b.String()
}
