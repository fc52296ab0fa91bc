package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// mistakesMax bounds how many mistakes of one file are told: a page of them is enough to begin with.
const mistakesMax = 20

// Position is a place in a file; both count from 1, the column in characters.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Mistake is one thing that is wrong in a configuration file.
type Mistake struct {
	Position
	Setting string `json:"setting"` // "[flow] reverse_after"; "" where the text is no TOML at all
	Value   string `json:"value"`   // as written, shortened; "" where there is none or where it could be a secret
	Must    string `json:"must"`    // what is wrong or what it must be, and what to write instead
}

// ConfigError is all that is wrong with a configuration file, in the order of its lines, at most 20 mistakes.
type ConfigError struct {
	File     string    `json:"file"`
	Mistakes []Mistake `json:"mistakes"`
	More     int       `json:"more"` // mistakes beyond the first 20
}

// Error tells one mistake a line: file:line:column: setting = value: what it must be.
func (e *ConfigError) Error() string {
	lines := make([]string, 0, len(e.Mistakes)+1)
	for _, m := range e.Mistakes {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", filepath.Base(e.File), m.Line, m.Column, m))
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// String is the mistake without its place.
func (m Mistake) String() string {
	switch {
	case m.Setting == "":
		return m.Must
	case m.Value == "":
		return m.Setting + ": " + m.Must
	}
	return fmt.Sprintf("%s = %s: %s", m.Setting, m.Value, m.Must)
}

// newConfigError sorts and bounds the mistakes; it returns nil for none.
func newConfigError(file string, mistakes []Mistake) error {
	if len(mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	told := mistakes[:min(len(mistakes), mistakesMax)]
	return &ConfigError{File: file, Mistakes: told, More: len(mistakes) - len(told)}
}
