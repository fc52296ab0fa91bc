package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"posagent/payflow"
)

// exported reads a CSV as a spreadsheet does.
func exported(t *testing.T, text string) (rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll() // as many fields in each row
	require.NoError(t, err, text)
	assert.Equal(t, strings.Count(text, "\n"), strings.Count(text, "\r\n"), "RFC 4180 ends a line so")
	for _, row := range all[1:] {
		one := map[string]string{}
		for i, name := range all[0] {
			one[name] = row[i]
		}
		rows = append(rows, one)
	}
	return rows
}

func TestAnExportIsTheSameWithTheDaemonAndWithoutAndAgreesWithTheList(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	paid, _ := d.withPayments()
	_, err := d.engine.Cancel(t.Context(), payflow.OutTradeNo(d.newest()), "P001")
	require.NoError(t, err)
	status, _, stderr := d.run("refund", paid, "--amount", "2.50", "--reason", `=HYPERLINK("http://x","y"), a "quoted" cup`, "--operator", "@M001")
	require.Equal(t, ExitDone, status, stderr)
	newest, err := d.engine.Recent(1)
	require.NoError(t, err)
	day := newest[0].StoreDay
	_, list, _ := d.run("journal", "list", "--day", day, "--json")
	var lines []paymentLine
	require.NoError(t, json.Unmarshal([]byte(list), &lines))

	var byDaemon [2]string
	for round := range 2 {
		status, table, stderr := d.run("journal", "export", "--day", day)
		require.Equal(t, ExitDone, status, stderr)
		assert.Contains(t, stderr, "3 payments, 2 of them paid: HK$ 25.00; 1 refunds, given back for good: HK$ 2.50")
		rows := exported(t, table)
		require.Len(t, rows, 4)
		taken, back, wantTaken, wantBack := 0, 0, int64(0), int64(0)
		for _, row := range rows {
			n, err := strconv.Atoi(row["taken"])
			require.NoError(t, err)
			m, err := strconv.Atoi(row["given_back"])
			require.NoError(t, err)
			taken, back = taken+n, back+m
		}
		for _, l := range lines {
			wantBack += l.Refunded
			if l.Status == payflow.Paid {
				wantTaken += l.Amount
			}
		}
		assert.EqualValues(t, wantTaken, taken)
		assert.EqualValues(t, wantBack, back)
		refund := rows[2]
		assert.Equal(t, "refund", refund["kind"], "it stands behind its payment")
		assert.Equal(t, paid, refund["payment"])
		assert.Equal(t, `'=HYPERLINK("http://x","y"), a "quoted" cup`, refund["note"], "nothing is calculated")
		assert.Equal(t, "'@M001", refund["operator"])
		assert.Equal(t, "2.50", refund["amount"])

		_, objects, _ := d.run("journal", "export", "--from", day, "--to", day, "--json")
		assert.Equal(t, 3, strings.Count(objects, "\n"))
		var last exportRecord
		require.NoError(t, json.Unmarshal([]byte(strings.Split(objects, "\n")[1]), &last))
		assert.Equal(t, paid, string(last.ID))
		require.Len(t, last.Refunds, 1)
		assert.Equal(t, `=HYPERLINK("http://x","y"), a "quoted" cup`, last.Refunds[0].Reason, "JSON is no spreadsheet")
		if round == 0 {
			byDaemon = [2]string{table, objects}
			d.stop()
			continue
		}
		assert.Equal(t, byDaemon, [2]string{table, objects})
	}
	_, none, stderr := d.run("journal", "export", "--day", "2020-01-01")
	assert.Len(t, exported(t, none), 0)
	assert.Contains(t, stderr, "no payments on these days")
}

func (d *deskPC) newest() string {
	newest, err := d.engine.Recent(1)
	require.NoError(d.t, err)
	return string(newest[0].OutTradeNo)
}

func TestAnExportToAFileIsThereWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	name := filepath.Join(t.TempDir(), "day.csv")
	newest, err := d.engine.Recent(1)
	require.NoError(t, err)
	status, out, stderr := d.run("journal", "export", "--day", newest[0].StoreDay, "--output", name)
	require.Equal(t, ExitDone, status, stderr)
	assert.Empty(t, out)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Len(t, exported(t, string(text)), 3)

	p := &program{stdout: io.Discard, stderr: io.Discard}
	err = p.export(t.Context(), brokenBook{}, exportOptions{format: exportCSV, output: name}, []string{"2026-03-10"}, time.UTC)
	assert.ErrorContains(t, err, "not written whole")
	kept, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(text, kept), "the older one stays")
	beside, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	assert.Len(t, beside, 1)
}

// brokenBook ends in the middle of a day.
type brokenBook struct{ book }

func (brokenBook) day(_ context.Context, _ string, each func(exportRecord) error) error {
	return fmt.Errorf("%w after %v", io.ErrUnexpectedEOF, each(exportRecord{}))
}

func TestWhatASpreadsheetWouldCalculateIsMadeHarmless(t *testing.T) {
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"} {
		assert.Equal(t, "'"+text, noFormula(text))
	}
	for _, text := range []string{"", "A-1001", "1=1", "退款"} {
		assert.Equal(t, text, noFormula(text))
	}
}

func TestAnExportOfWrongDaysIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	for _, args := range [][]string{{}, {"--day", "yesterday"}, {"--from", "2026-03-10"}, {"--from", "2026-03-10", "--to", "2026-03-09"}, {"--day", "2026-03-10", "--to", "2026-03-10"},
		{"--from", "2006-03-10", "--to", "2026-03-10"}, {"--day", "2026-03-10", "--format", "xlsx"}} {
		status, out, stderr := d.run(append([]string{"journal", "export"}, args...)...)
		assert.Equal(t, ExitUsage, status, args)
		assert.Empty(t, out)
		assert.Contains(t, stderr, "what to do: ")
	}
	status, _, stderr := d.run("journal", "export", "--day", "2026-03-10", "--output", "/nosuch/folder/x.csv")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "what to do: ")
}

func TestTailShowsTheNewestEntriesAndThenEachNewOne(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.withPayments()
	entries, err := d.engine.Recent(1)
	require.NoError(t, err)
	newest := entries[0].Sequence

	type ended struct {
		status      int
		out, stderr string
	}
	done := make(chan ended, 1)
	go func() {
		status, out, stderr := d.run("journal", "tail", "--last", "2", "--count", "3", "--json")
		done <- ended{status, out, stderr}
	}()
	time.Sleep(200 * time.Millisecond)
	_, err = d.engine.Cancel(t.Context(), payflow.OutTradeNo(d.newest()), "P001")
	require.NoError(t, err)
	got := <-done
	require.Equal(t, ExitDone, got.status, got.stderr)
	var sequences []uint64
	lines := json.NewDecoder(strings.NewReader(got.out))
	for lines.More() {
		var e struct{ Sequence uint64 }
		require.NoError(t, lines.Decode(&e))
		sequences = append(sequences, e.Sequence)
	}
	assert.Equal(t, []uint64{newest - 1, newest, newest + 1}, sequences)

	status, out, stderr := d.run("journal", "tail", "--last", "1000", "--count", strconv.Itoa(int(newest)))
	require.Equal(t, ExitDone, status, stderr)
	assert.EqualValues(t, newest, strings.Count(out, "\n"), "from the first entry on")
	for _, args := range [][]string{{"--last", "-1"}, {"--count", "-1"}, {"--last", "1001"}, {"--file", "x"}} {
		status, _, stderr := d.run(append([]string{"journal", "tail"}, args...)...)
		assert.Equal(t, ExitUsage, status, args)
		assert.Contains(t, stderr, "what to do: ")
	}
	d.stop()
	status, _, stderr = d.run("journal", "tail")
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "systemctl status posagent", "without the daemon nothing is written that could be followed")
}

// An export as root to /dev/null must leave /dev/null what it is, for every program of the PC.
func TestAnExportReplacesNothingThatIsNoFile(t *testing.T) {
	t.Parallel()
	d := newDeskPC(t)
	d.sold("A-1001")
	newest, err := d.engine.Recent(1)
	require.NoError(t, err)
	day := newest[0].StoreDay
	dir := t.TempDir()

	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	read := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(pipe)
		read <- string(text)
	}()
	status, _, stderr := d.run("journal", "export", "--day", day, "--output", pipe)
	require.Equal(t, ExitDone, status, stderr)
	info, err := os.Lstat(pipe)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type(), "it is a pipe still")
	assert.Len(t, exported(t, <-read), 1)

	status, _, stderr = d.run("journal", "export", "--day", day, "--output", dir)
	assert.Equal(t, ExitFailed, status)
	assert.Contains(t, stderr, "is a folder")

	file, link := filepath.Join(dir, "export.csv"), filepath.Join(dir, "link.csv")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	status, _, stderr = d.run("journal", "export", "--day", day, "--output", link)
	require.Equal(t, ExitDone, status, stderr)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Len(t, exported(t, string(text)), 1)
	info, err = os.Lstat(link)
	require.NoError(t, err)
	assert.Equal(t, os.ModeSymlink, info.Mode().Type())
}
