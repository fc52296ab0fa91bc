package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheDaemonRefusesAPIv2InOnePlace(t *testing.T) {
	pc := newStorePC(t)
	pc.set["api"] = `"v2"`
	pc.set["api_v2_key"] = tomlText(pc.file("api_v2_key", "22222222222222222222222222222222"))
	status, _, stderr := pc.run("run")
	assert.Equal(t, ExitUsage, status)
	assert.Contains(t, stderr, "does not speak API v2 yet")
	assert.Contains(t, stderr, "posagent check says what that needs")
}
