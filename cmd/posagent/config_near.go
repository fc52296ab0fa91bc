package main

import "strings"

// nearest is the known word that was probably meant: the same but for case, dashes and blanks, or at most two slips away.
func nearest(word string, known []string) (string, bool) {
	plain := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(word))
	best, slips := "", 3
	for _, k := range known {
		if d := distance(plain, k); d < slips && d <= len(k)/2 {
			best, slips = k, d
		}
	}
	return best, best != ""
}

// distance counts the letters to put in, take out, change or swap with their neighbour to make a into b. Both are cut at 64 bytes.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	var older, old []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older, old, row = old, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := old[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
