package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"posagent/scanner"
)

func scannerSetupCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "setup [MAKER]",
		Short: "Say which bar codes of its manual set a scanner up well: serial mode, and CR behind each code",
		Long: "Says for a maker's scanners which settings posagent likes best, and where its manual has the bar codes for them. Without MAKER it says\n" +
			"so for the scanners that are plugged in, or for all makers whose manuals were read. No bar code is drawn: the manuals do not write down\n" +
			"what theirs hold, and a wrong one can set a scanner so that it needs its maker's help.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.scannerSetup(strings.Join(args, ""), scanner.List())
		},
	}
}

func (p *program) scannerSetup(maker string, plugged []scanner.Found) error {
	setups := setupsFor(maker, plugged)
	if len(setups) == 0 {
		var known []string
		for _, s := range scanner.Setups() {
			known = append(known, s.Maker)
		}
		return &Failure{Code: ExitUsage, What: fmt.Sprintf("the manuals of %.30q were not read", maker), Next: "name one of " + strings.Join(known, ", ") + "; or none"}
	}
	return p.print(setups, func(w io.Writer) { writeSetups(w, setups) })
}

// setupsFor returns the named maker's, or else those of what is plugged in, or else all.
func setupsFor(maker string, plugged []scanner.Found) []scanner.Setup {
	var found []scanner.Setup
	for _, s := range scanner.Setups() {
		named := maker != "" && strings.Contains(strings.ToLower(s.Maker), strings.ToLower(maker))
		here := maker == "" && slices.ContainsFunc(plugged, func(f scanner.Found) bool { return slices.Contains(s.Vendors, f.VendorID) })
		if named || here {
			found = append(found, s)
		}
	}
	if len(found) == 0 && maker == "" {
		return scanner.Setups()
	}
	return found
}

func writeSetups(w io.Writer, setups []scanner.Setup) {
	for i, s := range setups {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", s.Maker)
		for _, step := range s.Steps {
			fmt.Fprintf(w, "  to %s:\n    scan %s\n    read in: %s\n", step.Wish, step.Look, step.Manual)
			if step.Know != "" {
				fmt.Fprintf(w, "    note: %s\n", step.Know)
			}
		}
	}
	fmt.Fprintln(w, "\nThen plug the scanner out and in, and write what posagent scanner list shows into the configuration.")
}
