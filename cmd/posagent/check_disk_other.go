//go:build !linux

package main

// strangeOwner is looked for on Linux alone, where the service has a user of its own.
func strangeOwner(string) string { return "" }

// fastCommit is a matter of Linux's ext4.
func (c *checker) fastCommit(string) {}
