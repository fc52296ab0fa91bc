//go:build !linux

package scanner

func urgent() (end func()) { return func() {} }
