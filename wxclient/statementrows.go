package wxclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"posagent/payflow"
)

// The bounds of a statement's text.
const (
	statementLineMax    = 64 << 10 // bytes
	statementColumnsMax = 128
)

// statementZone is the zone of every time in a statement: GMT+8, without saying so.
var statementZone = time.FixedZone("GMT+8", 8*60*60)

// StatementSummary is what the end of a statement says of the whole, and what was read.
type StatementSummary struct {
	Rows   int               // read
	Told   bool              // the file ends with a summary; where it does not, it may have been cut short
	Count  int               // rows, by the summary
	Totals map[string]string // the summary as it stands in the file, by its own names
}

// ReadStatement reads the plain text of a statement (API v3, download reconciliation) or a bill (API v2, downloadbill) and gives each
// of its rows to each, in the file's order. It holds one line at a time. Columns are found by the names in the first line, English
// or Chinese, so their order and number do not matter. Amounts, which stand in major units, become minor units exactly; one with
// more decimals than its currency has is an error, as is a row that does not fit the header, text behind the summary, and a
// summary that counts other than the rows. An error of each ends the reading and is returned as it is.
func ReadStatement(r io.Reader, each func(payflow.StatementRow) error) (StatementSummary, error) {
	s := statementReader{lines: bufio.NewReaderSize(r, statementLineMax), each: each}
	if err := s.readHeader(); err != nil {
		return s.summary, s.at(err)
	}
	if err := s.readRows(); err != nil {
		return s.summary, s.at(err)
	}
	return s.summary, nil
}

type statementReader struct {
	lines   *bufio.Reader
	line    int
	each    func(payflow.StatementRow) error
	columns []column
	summary StatementSummary
}

// rowError is the caller's.
type rowError struct{ err error }

func (e *rowError) Error() string { return e.err.Error() }

func (s *statementReader) at(err error) error {
	if own := (*rowError)(nil); errors.As(err, &own) {
		return own.err
	}
	return fmt.Errorf("read statement, line %d: %w", s.line, err)
}

// next returns the next line that is not empty, without its end, or io.EOF.
func (s *statementReader) next() ([]byte, error) {
	for {
		s.line++
		line, err := s.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("it is longer than %d bytes", statementLineMax)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 {
			if err == io.EOF {
				err = nil
			}
			return line, err
		}
		if err != nil {
			return nil, err
		}
	}
}

var errNoStatement = errors.New("it is no statement: the first line names no columns")

func (s *statementReader) readHeader() error {
	line, err := s.next()
	if err == io.EOF {
		return errNoStatement
	}
	if err != nil {
		return err
	}
	names := strings.Split(strings.TrimPrefix(string(line), "\ufeff"), ",")
	if len(names) > statementColumnsMax {
		return fmt.Errorf("it has %d columns", len(names))
	}
	found := map[column]bool{}
	for _, name := range names {
		c := statementColumns[columnName(name)]
		if c != "" && found[c] {
			return fmt.Errorf("two columns are named as %q is", name)
		}
		found[c] = true
		s.columns = append(s.columns, c)
	}
	for _, needed := range []column{columnTime, columnTransactionID, columnOutTradeNo, columnState, columnCurrency} {
		if !found[needed] {
			return fmt.Errorf("%w (no %s)", errNoStatement, needed)
		}
	}
	if !found[columnAmount] && !found[columnSettledAmount] {
		return fmt.Errorf("%w (no %s)", errNoStatement, columnAmount)
	}
	return nil
}

// readRows reads up to the end: rows, each value behind a backtick, then perhaps a second header without backticks and one row under it.
func (s *statementReader) readRows() error {
	for {
		line, err := s.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line[0] != '`' {
			return s.readSummary(strings.Split(string(line), ","))
		}
		row, err := s.row(splitRow(line))
		if err != nil {
			return err
		}
		s.summary.Rows++
		if err := s.each(row); err != nil {
			return &rowError{err}
		}
	}
}

// splitRow splits at comma and backtick, because a value may hold a comma.
func splitRow(line []byte) []string {
	return strings.Split(string(line[1:]), ",`")
}

func (s *statementReader) readSummary(names []string) error {
	if summaryCount[columnName(names[0])] == "" {
		return errors.New("it is neither a row nor a summary")
	}
	line, err := s.next()
	if err != nil || line[0] != '`' {
		return errors.New("the summary has no values")
	}
	values := splitRow(line)
	if len(values) != len(names) || len(names) > statementColumnsMax {
		return fmt.Errorf("the summary has %d values for %d names", len(values), len(names))
	}
	s.summary.Told, s.summary.Totals = true, make(map[string]string, len(names))
	for i, name := range names {
		s.summary.Totals[strings.TrimSpace(name)] = values[i]
	}
	if s.summary.Count, err = wholeNumber(values[0]); err != nil || s.summary.Count != s.summary.Rows {
		return fmt.Errorf("the summary counts %.20q rows, and there are %d", values[0], s.summary.Rows)
	}
	if _, err := s.next(); err != io.EOF {
		return errors.New("there is text behind the summary")
	}
	return nil
}

// wholeNumber reads "45" and "45.0".
func wholeNumber(text string) (int, error) {
	n, err := decimal(text, 0)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, errors.New("no count")
	}
	return int(n), nil
}

// row makes a row of its values.
func (s *statementReader) row(values []string) (payflow.StatementRow, error) {
	if len(values) != len(s.columns) {
		return payflow.StatementRow{}, fmt.Errorf("the row has %d values for %d columns", len(values), len(s.columns))
	}
	v := make(rowValues, len(values))
	for i, c := range s.columns {
		v[c] = strings.TrimSpace(values[i])
	}
	at, err := time.ParseInLocation(time.DateTime, v[columnTime], statementZone)
	if err != nil {
		return payflow.StatementRow{}, fmt.Errorf("%.40q is no time", v[columnTime])
	}
	row := payflow.StatementRow{
		At:            at,
		MerchantID:    maskID(v[columnMerchantID], 32),
		SubMerchantID: v.number(columnSubMerchantID, 32),
		TransactionID: payflow.TransactionID(v.number(columnTransactionID, 32)),
		OutTradeNo:    payflow.OutTradeNo(v.number(columnOutTradeNo, 64)),
		TradeType:     maskText(v[columnTradeType], 32),
		State:         tradeState(v[columnState]),
		RefundID:      payflow.RefundID(v.number(columnRefundID, 32)),
		OutRefundNo:   payflow.OutRefundNo(v.number(columnOutRefundNo, outRefundNoMax)),
		BankType:      maskText(v[columnBankType], 32),
		Description:   maskText(v[columnDescription], 256),
		Attach:        maskID(v[columnAttach], 256),
		Fee:           maskText(v[columnFee], 32),
		Rate:          maskText(v[columnRate], 32),
	}
	if row.TransactionID == "" && row.OutTradeNo == "" {
		return payflow.StatementRow{}, errors.New("the row names no order")
	}
	if row.Amount, err = v.amount(columnCurrency, columnAmount, columnSettledAmount); err != nil {
		return payflow.StatementRow{}, err
	}
	if v[columnPayerAmount] != "" {
		row.PayerAmount, _ = v.amount(columnPayerCurrency, columnPayerAmount) // only shown
	}
	if row.RefundID == "" && row.OutRefundNo == "" {
		return row, nil
	}
	row.RefundState = refundState(v[columnRefundState])
	row.Refund, err = v.amount(columnCurrency, columnRefund, columnSettledRefund)
	return row, err
}

// rowValues are a row's values by column.
type rowValues map[column]string

// number returns a number that is there: the files write "0" for none. It is not masked: it is compared.
func (v rowValues) number(c column, limit int) string {
	if v[c] == "0" {
		return ""
	}
	return plain(v[c], limit)
}

// amount returns the amount of the first of these columns that the file has; an empty one is nothing.
func (v rowValues) amount(currency column, columns ...column) (payflow.Amount, error) {
	code, err := payflow.ParseCurrency(v[currency])
	if err != nil {
		return payflow.Amount{}, err
	}
	for _, c := range columns {
		text, has := v[c]
		if !has {
			continue
		}
		minor, err := decimal(orElse(text, "0"), code.Decimals())
		if err != nil {
			return payflow.Amount{}, fmt.Errorf("%s of %s: %w", c, code, err)
		}
		return payflow.Amount{Minor: minor, Currency: code}, nil
	}
	return payflow.Amount{}, fmt.Errorf("there is no column %s", columns[0])
}

// decimal reads a decimal number exactly, as so many of its smallest parts: "12.50" with two decimals is 1250. Zeros behind the last
// decimal are no matter; any other digit there is an error.
func decimal(text string, decimals int) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	fraction = strings.TrimRight(fraction, "0")
	if whole == "" || len(whole) > 13 || len(fraction) > decimals || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, fmt.Errorf("%.40q is no number with %d decimals", text, decimals)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	if negative {
		n = -n
	}
	return n, err
}
