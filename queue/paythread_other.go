//go:build !linux

package queue

import "errors"

// payThread is for Linux alone; elsewhere a pay call starts as any other goroutine.
type payThread struct{}

func newPayThread() (*payThread, error) { return nil, errors.New("for Linux alone") }

func (*payThread) start(func()) (release func(), ok bool) { return nil, false }

func (*payThread) end() {}
