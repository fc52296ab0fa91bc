package wxclient

import (
	"os"
	"testing"
)

// skipWithoutVectors skips a test of outside vectors where they are not at hand; CI fails instead, in TestOutsideVectors.
func skipWithoutVectors(t *testing.T) {
	t.Helper()
	if os.Getenv("POSAGENT_VECTORS") == "" {
		t.Skip("outside vectors not run")
	}
}
