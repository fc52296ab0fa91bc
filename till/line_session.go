package till

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posagent/payflow"
)

// lineSession is one connection. One goroutine answers, one reads, and one for each payment that the connection asked for waits for its
// changes.
type lineSession struct {
	l      *Line
	port   LinePort
	serial bool // noise does not end it: there is only this one line

	changes chan payflow.Entry
	follows map[payflow.OutTradeNo]*lineFollow
	order   []payflow.OutTradeNo // of follows, the oldest first
	waiting sync.WaitGroup

	met    bool // a line has meant something: a till is at the other end
	summed bool // the till's last line carried a checksum, so ours do
	bad    int  // lines in a row that meant nothing
	failed error

	heard    atomic.Int64 // when a line came last, in Unix nanoseconds
	followed atomic.Int32 // len(follows), for others
}

// lineFollow is a payment whose changes the connection is told by itself.
type lineFollow struct {
	stop  context.CancelFunc
	shown string // the line that was sent last
	as    uint64 // the payment's version that it tells
}

func newLineSession(l *Line, port LinePort, serial bool) *lineSession {
	c := &lineSession{l: l, port: port, serial: serial, changes: make(chan payflow.Entry), follows: map[payflow.OutTradeNo]*lineFollow{}}
	c.heard.Store(l.s.now().UnixNano())
	return c
}

func (c *lineSession) silentFor() time.Duration { return c.l.s.now().Sub(time.Unix(0, c.heard.Load())) }
func (c *lineSession) following() int           { return int(c.followed.Load()) }

// run answers until the port fails or ctx or the server ends.
func (c *lineSession) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(byWay(ctx, "line"))
	defer c.waiting.Wait()
	defer stop()
	unhook := context.AfterFunc(c.l.s.closing, stop)
	defer unhook()
	defer c.port.Close()
	lines, ended := make(chan lineIn, 8), make(chan error, 1)
	c.waiting.Go(func() { ended <- c.read(ctx, lines) })
	for c.failed == nil {
		select {
		case in := <-lines:
			c.heard.Store(c.l.s.now().UnixNano())
			c.take(ctx, in)
		case e := <-c.changes:
			c.tell(e)
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
	return c.failed
}

// read hands over the lines that come. A closed port is no fault.
func (c *lineSession) read(ctx context.Context, lines chan<- lineIn) error {
	var decoder lineDecoder
	buf := make([]byte, 512)
	for {
		n, err := c.port.Read(buf)
		for _, in := range decoder.feed(buf[:n], time.Now()) {
			select {
			case lines <- in:
			case <-ctx.Done():
				return nil
			}
		}
		switch {
		case errors.Is(err, io.EOF) && !c.serial, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed), errors.Is(err, io.ErrClosedPipe):
			return nil
		case err != nil:
			return err
		}
	}
}

// take answers one line.
func (c *lineSession) take(ctx context.Context, in lineIn) {
	c.summed = in.checked || in.fault != "" && c.summed
	if in.fault != "" {
		c.refuse(in.fault)
		return
	}
	words := strings.Fields(in.text)
	if len(words) == 0 || isLineAnswer(words[0]) {
		return // the echo of our own words, as a terminal or a loop plug gives it, is answered by nothing: it would go on for ever
	}
	word := strings.ToUpper(words[0])
	c.l.s.cfg.Log.Debug().Str("word", knownLineWord(word)).Msg("line protocol")
	answer, known := lineWords[word]
	switch {
	case !known && holdsCode(in.text, c.l.s.cfg.CodePrefixes):
		c.refuse(lineCode(HoldsCode))
	case !known, webRequest(words):
		c.refuse(lineUnknownWord)
	case len(words)-1 < answer.least || len(words)-1 > answer.most:
		c.refuse(lineBadLine)
	default:
		c.met, c.bad = true, 0
		answer.give(c, ctx, words[1:])
	}
}

// refuse answers a line that means nothing. Too many in a row are a wrong plug: a connection ends, a serial line falls silent. A connection
// that begins so ends at once: any web page can have a browser send HTTP here, whose body would be lines of ours. So does one that begins with a
// word of ours as the method: a page whose own name was made to point here (DNS rebinding) may choose any.
func (c *lineSession) refuse(code lineCode) {
	c.bad++
	stranger := !c.serial && !c.met && code != lineBadLine
	if c.bad <= lineBadMax {
		c.write(c.l.s.lineError(code))
	}
	switch {
	case stranger, c.bad > lineBadMax && !c.serial:
		c.failed = errLineNoise
	}
}

// webRequest reports the first line of a browser's request, whatever its method.
func webRequest(words []string) bool { return strings.HasPrefix(words[len(words)-1], "HTTP/") }

// lineWord is a word of the till: how many fields it takes, and what it does.
type lineWord struct {
	least, most int
	give        func(c *lineSession, ctx context.Context, fields []string)
}

// lineWords are all words that a till may say.
var lineWords = map[string]lineWord{
	"PAY":     {2, 2, (*lineSession).pay},
	"AGAIN":   {1, 1, (*lineSession).again},
	"CANCEL":  {0, 1, (*lineSession).cancel},
	"STATE":   {0, 1, (*lineSession).state},
	"LAST":    {0, 0, (*lineSession).last},
	"UNTOLD":  {0, 0, (*lineSession).untold},
	"ACK":     {1, 2, (*lineSession).acknowledge},
	"TEST":    {0, 0, (*lineSession).test},
	"REPRINT": {0, 1, (*lineSession).reprint},
	"DAYEND":  {0, 0, (*lineSession).dayEnd},
}

func knownLineWord(word string) string {
	if _, known := lineWords[word]; known {
		return word
	}
	return "unknown"
}

// pay arms a payment, or returns the one that the sale has at this amount, in whatever state it is.
func (c *lineSession) pay(ctx context.Context, fields []string) {
	s := c.l.s
	sale, minor, code := payFields(fields)
	if code == "" {
		if p := s.refuseSecrets(map[string]string{"sale_ref": fields[0], "amount": fields[1]}); p != nil {
			code = lineCode(p.Code)
		}
	}
	if code != "" {
		c.write(s.lineError(code))
		return
	}
	amount, err := payflow.NewAmount(minor, string(s.cfg.Currency))
	if err != nil {
		c.write(s.lineError(lineBadAmount))
		return
	}
	known, found, err := c.known(sale, amount)
	switch {
	case err != nil:
		c.fail(ctx, err)
	case found && !known.FinalAt.IsZero() && s.now().Sub(known.FinalAt) > lineSaleAge:
		c.write(s.lineError(lineSaleUsed))
	case found:
		c.answer(ctx, known)
	default:
		c.arm(ctx, sale, amount, "pay "+string(sale)+" "+fields[1])
	}
}

// payFields reads a sale's number and an amount; a code says what is wrong with one of them.
func payFields(fields []string) (payflow.SaleRef, int64, lineCode) {
	sale, text := fields[0], fields[1]
	if len(sale) > lineSaleMax || !printable(sale) {
		return "", 0, lineBadSale
	}
	if len(text) > lineAmountDigits || strings.Trim(text, "0123456789") != "" || text[0] == '0' {
		return "", 0, lineBadAmount
	}
	minor, err := strconv.ParseInt(text, 10, 64)
	if err != nil || minor > lineAmountMax {
		return "", 0, lineBadAmount
	}
	return payflow.SaleRef(sale), minor, ""
}

// The bounds of PAY's fields, which are those of the API.
const (
	lineSaleMax      = 64
	lineAmountDigits = 11
	lineAmountMax    = 10_000_000_000
)

// known is the payment that a sale has at an amount: the newest that is paid, whose money is still here and whose goods may still go; else the
// newest. A further tender that failed, which only the API can make, takes nothing from a sale that has its money.
func (c *lineSession) known(sale payflow.SaleRef, amount payflow.Amount) (payflow.Entry, bool, error) {
	if c.l.cfg.BySale == nil {
		return payflow.Entry{}, false, nil
	}
	all, err := c.l.cfg.BySale(sale)
	if err != nil {
		return payflow.Entry{}, false, err
	}
	var newest payflow.Entry
	found := false
	for _, e := range slices.Backward(all) {
		if e.Amount != amount {
			continue
		}
		now, err := c.l.s.cfg.Desk.Payment(e.OutTradeNo)
		if err != nil {
			return payflow.Entry{}, false, err
		}
		if !found {
			newest, found = now, true
		}
		if c.l.s.stillPaid(now) && c.l.s.now().Sub(now.FinalAt) <= lineSaleAge {
			return now, true, nil
		}
	}
	return newest, found, nil
}

// again makes one more try of a sale whose payment ended unpaid. It names that payment, so that the same line twice is one try.
func (c *lineSession) again(ctx context.Context, fields []string) {
	e, ok := c.named(ctx, fields[0])
	switch {
	case !ok:
	case !e.Status.Final() || e.Status == payflow.Paid:
		c.answer(ctx, e)
	default:
		c.arm(ctx, e.SaleRef, e.Amount, "again "+string(e.OutTradeNo))
	}
}

// arm arms under a key that the line itself makes: whatever is sent twice is one payment, across any number of restarts.
func (c *lineSession) arm(ctx context.Context, sale payflow.SaleRef, amount payflow.Amount, key string) {
	sum := sha256.Sum256([]byte(key))
	e, err := c.l.s.cfg.Desk.Arm(ctx, payflow.ArmRequest{Amount: amount, SaleRef: sale, IdempotencyKey: "line-" + hex.EncodeToString(sum[:20])})
	if err != nil {
		c.fail(ctx, err)
		return
	}
	c.answer(ctx, e)
}

func (c *lineSession) cancel(ctx context.Context, fields []string) {
	var e payflow.Entry
	if len(fields) == 0 {
		holding, some := c.l.s.cfg.Desk.Holding()
		if !some {
			c.idle()
			return
		}
		e = holding
	} else {
		named, ok := c.named(ctx, fields[0])
		if !ok {
			return
		}
		e = named
	}
	after, err := c.l.s.cfg.Desk.Cancel(ctx, e.OutTradeNo, "")
	var wrong *payflow.WrongStateError
	switch {
	case errors.As(err, &wrong):
		c.answer(ctx, wrong.Entry) // it has moved on: what it is now is the answer
	case err != nil:
		c.fail(ctx, err)
	default:
		c.answer(ctx, after)
	}
}

func (c *lineSession) state(ctx context.Context, fields []string) {
	if len(fields) == 1 {
		if e, ok := c.named(ctx, fields[0]); ok {
			c.show(ctx, e)
		}
		return
	}
	e, some := c.l.s.cfg.Desk.Holding()
	if !some {
		c.idle()
		return
	}
	c.show(ctx, e)
}

// idle says that nothing holds the till, and how many results nobody has acknowledged.
func (c *lineSession) idle() {
	n, err := c.l.s.cfg.Desk.CountUnannounced()
	if err != nil {
		c.write(c.l.s.lineError(lineCode(Internal)))
		return
	}
	c.write("IDLE " + strconv.Itoa(n))
}

func (c *lineSession) last(ctx context.Context, _ []string) {
	newest, err := c.l.s.cfg.Desk.Recent(1)
	switch {
	case err != nil:
		c.fail(ctx, err)
	case len(newest) == 0:
		c.idle()
	default:
		c.show(ctx, newest[0])
	}
}

func (c *lineSession) untold(ctx context.Context, _ []string) {
	all, err := c.l.s.cfg.Desk.Unannounced()
	if err != nil {
		c.fail(ctx, err)
		return
	}
	for _, e := range all[max(0, len(all)-lineListMax):] {
		c.write(paymentLine(e))
		c.write(c.l.s.verdictLine(e))
	}
	c.write("END " + strconv.Itoa(len(all)))
}

func (c *lineSession) acknowledge(ctx context.Context, fields []string) {
	wished, ok := payflow.Handover(""), true
	if len(fields) == 2 {
		wished, ok = lineHandovers[strings.ToUpper(fields[1])]
	}
	if !ok {
		c.write(c.l.s.lineError(lineBadLine))
		return
	}
	e, ok := c.named(ctx, fields[0])
	if !ok {
		return
	}
	how, problem := handover(e, wished)
	if problem != nil {
		c.write(c.l.s.lineError(lineBadHandover))
		return
	}
	if money(e, how) && c.l.s.signIns.setUp() {
		c.write(c.l.s.lineError(lineManagerNeeded)) // no line says whose hand it is
		return
	}
	e, err := c.l.s.cfg.Desk.Acknowledge(ctx, e.OutTradeNo, payflow.Acknowledgement{At: c.l.s.now(), How: how})
	if err != nil {
		c.fail(ctx, err)
		return
	}
	c.write("ACKED " + string(e.OutTradeNo) + " " + string(e.Acknowledged.How))
}

var lineHandovers = map[string]payflow.Handover{"GOODS": payflow.GoodsGiven, "BACK": payflow.MoneyGivenBack, "SEEN": payflow.Seen}

func (c *lineSession) test(ctx context.Context, _ []string) {
	err := c.l.s.cfg.Desk.Ready()
	var why *payflow.NotReadyError
	switch {
	case err == nil:
		c.write("READY")
	case errors.As(err, &why):
		c.write("NOTREADY " + why.Code + " " + c.l.s.noticeText(why.Code))
	default:
		c.write("NOTREADY " + c.l.s.problemLine(ctx, err))
	}
}

// named returns the payment of an id, or says why there is none.
func (c *lineSession) named(ctx context.Context, text string) (payflow.Entry, bool) {
	id, problem := paymentID(text)
	if problem != nil {
		c.write(c.l.s.lineError(lineCode(problem.Code)))
		return payflow.Entry{}, false
	}
	e, err := c.l.s.cfg.Desk.Payment(id)
	if err != nil {
		c.fail(ctx, err)
		return payflow.Entry{}, false
	}
	return e, true
}

func (c *lineSession) fail(ctx context.Context, err error) {
	c.write("ERR " + c.l.s.problemLine(ctx, err))
}

// show answers with the payment, and then with what it comes to.
func (c *lineSession) show(ctx context.Context, e payflow.Entry) {
	c.write(paymentLine(e))
	c.answer(ctx, e)
}

// answer says what a payment comes to, and follows it to its end.
func (c *lineSession) answer(ctx context.Context, e payflow.Entry) {
	line := c.l.s.verdictLine(e)
	c.write(line)
	if e.Status.Final() {
		c.forget(e.OutTradeNo)
		return
	}
	if f := c.follows[e.OutTradeNo]; f != nil {
		f.shown, f.as = line, e.Version
		return
	}
	if len(c.order) == lineFollowMax {
		c.forget(c.order[0])
	}
	ctx, stop := context.WithCancel(ctx)
	c.follows[e.OutTradeNo] = &lineFollow{stop: stop, shown: line, as: e.Version}
	c.order = append(c.order, e.OutTradeNo)
	c.followed.Store(int32(len(c.order)))
	c.waiting.Go(func() { c.follow(ctx, e) })
}

// follow hands over each change of a payment until it is final.
func (c *lineSession) follow(ctx context.Context, e payflow.Entry) {
	for !e.Status.Final() && ctx.Err() == nil {
		next, err := c.l.s.cfg.Desk.WaitFor(ctx, e.OutTradeNo, e.Version)
		if err != nil || next.Version <= e.Version {
			return // the engine or the connection has ended
		}
		e = next
		select {
		case c.changes <- e:
		case <-ctx.Done():
		}
	}
}

// tell sends a followed payment's line where it says something new.
func (c *lineSession) tell(e payflow.Entry) {
	f := c.follows[e.OutTradeNo]
	if f == nil || e.Version <= f.as {
		return // what was asked for meanwhile was newer
	}
	f.as = e.Version
	if line := c.l.s.verdictLine(e); line != f.shown {
		f.shown = line
		c.write(line)
	}
	if e.Status.Final() {
		c.forget(e.OutTradeNo)
	}
}

func (c *lineSession) forget(id payflow.OutTradeNo) {
	f := c.follows[id]
	if f == nil {
		return
	}
	f.stop()
	delete(c.follows, id)
	c.order = slices.DeleteFunc(c.order, func(other payflow.OutTradeNo) bool { return other == id })
	c.followed.Store(int32(len(c.order)))
}

// write sends one line. A reader that takes nothing for lineWriteMax is cut off: what it missed it can ask for.
func (c *lineSession) write(line string) {
	if c.failed != nil {
		return
	}
	line = cutLine(line)
	if c.summed {
		line = summed(line)
	}
	_ = c.port.SetWriteDeadline(time.Now().Add(lineWriteMax)) // where a port has none, its write ends with the port
	if _, err := io.WriteString(c.port, line+"\r\n"); err != nil {
		c.failed = err
	}
}
