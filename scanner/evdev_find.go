package scanner

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// keyNodes lists the input devices of the HID interface at dir that can type digits, as nodes below dev. A keyboard has
// others besides: for media keys, or for switching the computer off.
func keyNodes(dir, dev string) []string {
	var found []string
	for _, pattern := range []string{"*/input/input*/event*", "input/input*/event*"} {
		events, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are sound
		for _, event := range events {
			if typesDigits(attr(filepath.Dir(event), "capabilities/key")) {
				found = append(found, filepath.Join(dev, "input", filepath.Base(event)))
			}
		}
	}
	slices.Sort(found)
	return found
}

// The key codes of both digit rows: 1 to 0, and the keypad's 7 to 9, 4 to 6, 1 to 3 and 0.
var digitCodes = [][]int{{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {71, 72, 73, 75, 76, 77, 79, 80, 81, 82}}

// typesDigits reads a list of keys as sysfs writes it: words of a machine word's bits in hexadecimal, the lowest last.
func typesDigits(keys string) bool {
	words := strings.Fields(keys)
	slices.Reverse(words)
	has := func(code int) bool {
		if code/strconv.IntSize >= len(words) {
			return false
		}
		bits, err := strconv.ParseUint(words[code/strconv.IntSize], 16, 64)
		return err == nil && bits>>(code%strconv.IntSize)&1 == 1
	}
	return slices.ContainsFunc(digitCodes, func(row []int) bool {
		return !slices.ContainsFunc(row, func(code int) bool { return !has(code) })
	})
}
