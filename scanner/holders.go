package scanner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holder is a program that has a device's node open.
type Holder struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
}

// holdersMax bounds the programs that are named: more than a few help nobody.
const holdersMax = 8

// holdersOf lists the processes that have node open, below proc (usually /proc). Without root only one's own can be
// seen.
func holdersOf(proc, node string) []Holder {
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*")) // the pattern is sound
	var found []Holder
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != node {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(process))
		same := func(h Holder) bool { return h.PID == pid }
		if err == nil && len(found) < holdersMax && !slices.ContainsFunc(found, same) {
			found = append(found, Holder{PID: pid, Program: attr(process, "comm")})
		}
	}
	return found
}

// allSeen reports whether the open files of every process below proc can be seen.
func allSeen(proc string) bool {
	folders, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/fd")) // the pattern is sound
	for _, folder := range folders {
		if _, err := os.ReadDir(folder); os.IsPermission(err) {
			return false
		}
	}
	return len(folders) > 0
}

// runs reports a process of this name below proc.
func runs(proc, program string) bool {
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/comm")) // the pattern is sound
	return slices.ContainsFunc(files, func(file string) bool { return attr(filepath.Dir(file), "comm") == program })
}

// describeHolders names programs for a person; it is empty where none is known.
func describeHolders(holders []Holder) string {
	var words []string
	for _, h := range holders {
		words = append(words, fmt.Sprintf("%s (process %d)", orDefault(h.Program, "a program"), h.PID))
	}
	return strings.Join(words, ", ")
}
