//go:build !(linux && amd64)

package main

import "errors"

// becomeIntercepted is for Linux on amd64 alone.
func becomeIntercepted() error { return errors.ErrUnsupported }
