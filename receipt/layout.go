package receipt

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// paper is a slip in the making: lines of at most width cells.
type paper struct {
	width int
	lines []string
}

func (p *paper) String() string { return strings.Join(p.lines, "\n") + "\n" }

func (p *paper) blank() { p.lines = append(p.lines, "") }

func (p *paper) rule() { p.lines = append(p.lines, strings.Repeat("-", p.width)) }

// text sets lines from the left; an empty text sets none.
func (p *paper) text(text string) { p.lines = append(p.lines, wrap(text, p.width)...) }

// centre sets lines in the middle.
func (p *paper) centre(text string) {
	for _, line := range wrap(text, p.width) {
		p.lines = append(p.lines, strings.Repeat(" ", (p.width-cells(line))/2)+line)
	}
}

// pair sets a label on the left and its value on the right, below the label where both do not fit on a line. An empty value sets nothing.
func (p *paper) pair(label, value string) {
	if value == "" {
		return
	}
	if gap := p.width - cells(label) - cells(value); gap >= 1 {
		p.lines = append(p.lines, label+strings.Repeat(" ", gap)+value)
		return
	}
	p.text(label)
	for _, line := range wrap(value, p.width) {
		p.lines = append(p.lines, strings.Repeat(" ", p.width-cells(line))+line)
	}
}

// cells returns how many cells a text takes: two for a wide character, none for one that is set upon the one before it.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

func cellsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks a text at blanks and between wide characters into lines of at most most cells. A word that is longer than a line is cut.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, unit := range units(text) {
		if cells(line)+cells(strings.TrimRight(unit, " ")) > most {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		for cells(strings.TrimRight(unit, " ")) > most {
			head := firstCells(unit, most)
			lines, unit = append(lines, head), unit[len(head):]
		}
		line += unit
	}
	lines = append(lines, strings.TrimRight(line, " "))
	return notEmpty(lines)
}

// units cuts a text where a line may break: after a blank, and on both sides of a wide character, but not before a mark that closes.
func units(text string) []string {
	var all []string
	start, breakable := 0, false
	for i, r := range text {
		wide := cellsOf(r) == 2
		if i > start && (breakable || wide) && !closes(r) {
			all, start = append(all, text[start:i]), i
		}
		breakable = r == ' ' || wide || breakable && closes(r)
	}
	return append(all, text[start:])
}

// closes reports characters that no line begins with, blanks and combining marks among them.
func closes(r rune) bool {
	return r == ' ' || cellsOf(r) == 0 || strings.ContainsRune("，。；：、！？）」』》”’", r)
}

// firstCells returns the longest beginning of at most most cells, and at least one character.
func firstCells(text string, most int) string {
	n := 0
	for i, r := range text {
		if n += cellsOf(r); n > most && i > 0 {
			return text[:i]
		}
	}
	return text
}

func notEmpty(lines []string) []string {
	kept := lines[:0]
	for _, line := range lines {
		if line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}
