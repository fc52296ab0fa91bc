package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
)

// Exit statuses, for scripts and for the unit (which does not restart on ExitUsage).
const (
	ExitDone      = 0 // done
	ExitFailed    = 1 // failed
	ExitUsage     = 2 // wrong usage or configuration
	ExitUncertain = 3 // done, but a payment is still uncertain
)

// Failure is an error that a person reads: what happened, and what to do now.
type Failure struct {
	What string
	Next string // "" where nothing can be done
	Code int    // exit status; 0 counts as ExitFailed
	Err  error  // the cause, for errors.Is; its text is not printed
}

// Error is what happened and, behind a semicolon, what to do.
func (f *Failure) Error() string {
	if f.Next == "" {
		return f.What
	}
	return f.What + "; " + f.Next
}

func (f *Failure) Unwrap() error { return f.Err }

// exitStatus is the status that an error ends the program with.
func exitStatus(err error) int {
	var failure *Failure
	var config *ConfigError
	var credentials *CredentialsError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &config), errors.As(err, &credentials):
		return ExitUsage
	case errors.As(err, &failure) && failure.Code != 0:
		return failure.Code
	}
	return ExitFailed
}

// told is an error as --json prints it on standard error.
type told struct {
	Error    string    `json:"error"`
	NextStep string    `json:"next_step,omitempty"`
	Exit     int       `json:"exit"`
	File     string    `json:"file,omitempty"`
	Mistakes []Mistake `json:"mistakes,omitempty"`
}

// tellError prints an error for a person, or as one JSON object for a script.
func tellError(w io.Writer, err error, asJSON bool) {
	t := told{Error: err.Error(), Exit: exitStatus(err)}
	var failure *Failure
	if errors.As(err, &failure) {
		t.Error, t.NextStep = failure.What, failure.Next
	}
	t.Error = withoutSecrets(t.Error)
	var config *ConfigError
	if errors.As(err, &config) {
		t.NextStep, t.File, t.Mistakes = "correct the file, then run: posagent check", config.File, mistakesWithoutSecrets(config.Mistakes)
	}
	if asJSON {
		_ = json.NewEncoder(w).Encode(t) // nothing is left to be told if standard error is closed
		return
	}
	fmt.Fprintf(w, "posagent: %s\n", t.Error)
	if t.NextStep != "" {
		fmt.Fprintf(w, "what to do: %s\n", t.NextStep)
	}
}

// secretShaped is what a scanner types or a clipboard holds: the 18 digits of a payment code, the 32 characters of an API key, or an
// address with a password.
var secretShaped = regexp.MustCompile(`[0-9]{18,}|\b[0-9A-Za-z]{32}\b|://[^/\s@]*:[^/\s@]*@`)

// withoutSecrets hides in an error what may be a secret that was given in the wrong place: errors repeat wrong arguments, and those of a
// service stand in the system log. An order number has 32 characters at most too, but no small letter.
func withoutSecrets(text string) string {
	return secretShaped.ReplaceAllStringFunc(text, func(found string) string {
		if isNumberOfOrder(found) {
			return found
		}
		return "(hidden)"
	})
}

func mistakesWithoutSecrets(mistakes []Mistake) []Mistake {
	told := make([]Mistake, len(mistakes))
	for i, m := range mistakes {
		m.Setting, m.Value, m.Must = withoutSecrets(m.Setting), withoutSecrets(m.Value), withoutSecrets(m.Must)
		told[i] = m
	}
	return told
}

func isNumberOfOrder(text string) bool {
	return strings.ContainsFunc(text, unicode.IsUpper) && !strings.ContainsFunc(text, unicode.IsLower)
}
