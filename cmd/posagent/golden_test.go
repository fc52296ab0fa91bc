package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var updateGolden = flag.Bool("update", false, "write the golden files of the commands' output again")

// steady replaces what differs from run to run in what a command prints.
var steady = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`/tmp/[^\s;,:)"]*/posagent\.toml`), "DIR/posagent.toml"},
	{regexp.MustCompile(`/tmp/[^\s;,:)"]*/([a-z.]+)`), "DIR/$1"},
	{regexp.MustCompile(`/tmp/[^\s;,:)"]*`), "DIR"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`in \d+ ms`), "in N ms"},
	{regexp.MustCompile(`\ds from WeChat`), "Ns from WeChat"},
	{regexp.MustCompile(`\d+ MiB free`), "N MiB free"},
	{regexp.MustCompile(`(kernel +)\S+[^\n]*`), "${1}KERNEL"},
	{regexp.MustCompile(`process \d+`), "process N"},
	{regexp.MustCompile(`SZTX001T1[0-9A-Z]+`), "NUMBER"},
	{regexp.MustCompile(`[0-9]+:[0-9a-f]{64}`), "HEAD"},
	{regexp.MustCompile(`(?m)^ +\d s  `), "   N s  "},
	{regexp.MustCompile(`version \S+ runs`), "version V runs"},
	{regexp.MustCompile(`(version +)\S+, running`), "${1}V, running"},
}

// golden compares what a person reads with the file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, s := range steady {
		got = s.pattern.ReplaceAllString(got, s.with)
	}
	file := filepath.Join("testdata", name+".txt")
	if *updateGolden {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update, and read what it wrote")
	assert.Equal(t, string(want), got)
}

// lineOf returns the line of a check's output that begins with a verdict and a check's name.
func lineOf(out, verdict, check string) string {
	for line := range strings.Lines(out) {
		if regexp.MustCompile(`^` + verdict + ` +` + regexp.QuoteMeta(check) + `  `).MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
