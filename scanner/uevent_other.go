//go:build !linux

package scanner

import (
	"errors"
	"io"
)

// listenUevents: these messages are Linux's.
func listenUevents() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }

func messagesLost(error) bool { return false }
