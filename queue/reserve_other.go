//go:build !linux

package queue

// freeBytes is not known here: what is written shows whether there is room.
func freeBytes(string) (free uint64, ok bool) { return 0, false }
