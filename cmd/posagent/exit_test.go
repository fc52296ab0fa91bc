package main

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnErrorHidesWhatMayBeASecret(t *testing.T) {
	for text, want := range map[string]string{
		"134650720866361395 is no amount":                            "(hidden) is no amount",
		"log level kJ8sD72mQx0PzRt5LwEyVb3NcGh9UaFi is not known":    "log level (hidden) is not known",
		"no proxy: http://till:Tr0ub4dor@127.0.0.1:3128":             "no proxy: http(hidden)127.0.0.1:3128",
		"unknown command 000134650720866361395":                      "unknown command (hidden)",
		"payment SZTX001V12611240001K2W0OJ is not in the journal":    "payment SZTX001V12611240001K2W0OJ is not in the journal",
		"payment SZTX00123456T1K2611240001K2W0OJX is not there":      "payment SZTX00123456T1K2611240001K2W0OJX is not there",
		"can't listen on 127.0.0.1:7080: address already in use 98.": "can't listen on 127.0.0.1:7080: address already in use 98.",
	} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			tellError(&out, errors.New(text), asJSON)
			assert.Contains(t, out.String(), want, asJSON)
		}
	}
}

// A first start that cannot write all of its journal is tried again by systemd, and says what is in the way.
func TestAFirstStartWhoseMemoCannotBeWritten(t *testing.T) {
	pc := newStorePC(t)
	inTheWay := keyFileOf(pc.path("journal.db")) + ".head.new"
	require.NoError(t, os.MkdirAll(inTheWay, 0o700))
	for range 2 {
		status, _, stderr := pc.run("run")
		assert.Equal(t, ExitFailed, status, stderr)
		assert.Contains(t, stderr, "journal.key.head.new")
	}
	require.NoError(t, os.Remove(inTheWay))
	a := pc.agent()
	assert.NoError(t, a.readOnly)
	a.close()
}
