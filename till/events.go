package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"posagent/payflow"
)

const (
	// aliveEvery is how often a stream says that the agent runs: a page has to show a lost connection within 2 s.
	aliveEvery = time.Second
	// eventWriteTimeout ends a stream whose reader takes nothing.
	eventWriteTimeout = 5 * time.Second
	// replayPage is how many journal entries are read at one time.
	replayPage = 200
	// eventRetry is how soon a browser connects again.
	eventRetry = time.Second
)

// Alive is the data of an alive event.
type Alive struct {
	Now      time.Time `json:"now"`
	Ready    bool      `json:"ready" doc:"A payment can be armed now."`
	Warnings int       `json:"warnings" doc:"How many hold; /v1/status has them."`
	// Notice is what no payment tells, because none held the till.
	Notice *NoticeView `json:"notice,omitempty" doc:"A scan that was refused within the last seconds while no payment held the till."`
	// BillLooking comes at once, in an alive event of its own, where it changes.
	BillLooking bool `json:"bill_looking,omitempty" doc:"The till's own scanner has read the number on a customer's bill, and it is being looked up; the answer comes to the call that waits for it."`
}

// noticeFor is how long a scan that was refused is told with the alive events: as long as a page says it.
const noticeFor = 12 * time.Second

type eventsInput struct {
	Last  string `header:"Last-Event-ID" maxLength:"20" doc:"The last event that was seen: the stream goes on behind it, without a gap. One that the journal has not come to is refused: it was put back from a backup."`
	After string `query:"after" maxLength:"20" doc:"The same, for readers that can't send the header."`
}

func (s *Server) registerEvents(api huma.API) {
	op := call{
		id: "events", method: http.MethodGet, path: "/v1/events", summary: "What happens, as it happens (server-sent events)",
		scopes: []Scope{ScopePay, ScopeReport}, status: http.StatusOK, problems: []ProblemCode{TooMany},
	}.operation(api)
	op.Description += " Events: journal (data: a journal entry; id: its sequence; none is left out behind Last-Event-ID), " +
		"payment (data: a payment as it is now, after its journal entries), refund (data: a refund as it is now, likewise), alive (each second, and where bill_looking changes). " +
		"A stream begins with the payment that holds the till."
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{
		Type: huma.TypeString, Description: "Lines of server-sent events; data is one of JournalEntry, Payment, Refund, Alive."}}}}
	schemaOf[JournalEntry](api)
	schemaOf[Alive](api)
	huma.Register(api, op, s.events)
}

// events checks what can be refused, then streams.
func (s *Server) events(asked context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	from, known, problem := startOf(in)
	if problem != nil {
		return nil, problem
	}
	if known && !s.reached(from) {
		return nil, fieldProblem("Last-Event-ID", "must be an event of this journal, which has not come so far: it was put back from a backup, or the event is another till's. "+
			"Read the payments anew, and begin a stream without it")
	}
	caller := placeOf(asked)
	if !s.streams.enter(caller) {
		return nil, newProblem(TooMany, "")
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer s.streams.leave(caller)
		r, w := humago.Unwrap(ctx)
		if r.Method == http.MethodHead { // its reader would never see the end, and hold a stream's place
			w.Header().Set("Content-Type", "text/event-stream")
			return
		}
		s.stream(w, r, from, known)
	}}, nil
}

// startOf is the sequence behind which the stream goes on, if the reader names one.
func startOf(in *eventsInput) (uint64, bool, *Problem) {
	text := in.Last
	if text == "" {
		text = in.After
	}
	if text == "" {
		return 0, false, nil
	}
	from, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fieldProblem("Last-Event-ID", fieldRules["header.Last-Event-ID"])
	}
	return from, true, nil
}

// reached reports that the journal has come to an entry. One that it has not come to was seen before the journal was put back from a backup, or
// at another till: to go on behind it would leave out, without a word, whatever came since.
func (s *Server) reached(sequence uint64) bool {
	if sequence <= s.cfg.Status().Journal.Sequence {
		return true
	}
	page, err := s.cfg.Desk.JournalEvents(sequence-1, 1) // just written
	return err == nil && len(page) > 0
}

// stream is one reader's events. Journal entries always come from the journal itself, in its order, so that none is missing, whatever
// the announcements leave out; an announcement only says that it is time to look.
type stream struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	last  uint64 // the sequence that was sent last
	known bool   // last is meant

	looking bool // a bill is being looked up, as the reader was told last
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, from uint64, known bool) {
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	defer context.AfterFunc(s.closing, stop)()
	changes := s.cfg.Desk.Subscribe(ctx) // before the journal is read: what happens in between is seen
	st := &stream{s: s, w: w, rc: http.NewResponseController(w), last: from, known: known}
	mark := ""
	if !known {
		mark = st.fromNow()
	}
	if st.begin(mark) != nil {
		return
	}
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		looking, looked := s.billScans.looks()
		if looking != st.looking && st.alive() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case a, ok := <-changes:
			if !ok || st.change(a) != nil {
				return // the reader connects again, and goes on behind the last event it saw
			}
		case <-looked:
		case <-tick.C:
			if st.alive() != nil {
				return
			}
		}
	}
}

// begin sends what the reader missed, then the payment that holds the till.
func (st *stream) begin(mark string) error {
	st.w.Header().Set("Content-Type", "text/event-stream")
	st.w.Header().Set("X-Accel-Buffering", "no")
	st.w.WriteHeader(http.StatusOK)
	if err := st.write("retry: " + strconv.FormatInt(eventRetry.Milliseconds(), 10) + "\n" + mark + "\n"); err != nil {
		return err
	}
	if err := st.journal(); err != nil {
		return err
	}
	if held, ok := st.s.cfg.Desk.Holding(); ok {
		if err := st.send("payment", 0, st.s.view(held, st.s.now())); err != nil {
			return err
		}
	}
	return st.alive()
}

// fromNow begins behind the journal's present end, and tells the reader so: a connection that is lost before the first event goes on
// from here.
func (st *stream) fromNow() string {
	st.last = st.s.cfg.Status().Journal.Sequence
	st.known = st.last > 0
	if !st.known {
		return ""
	}
	return "id: " + strconv.FormatUint(st.last, 10) + "\n"
}

// change sends the journal up to the change, then the payment or the refund.
func (st *stream) change(a payflow.Announcement) error {
	if !st.known && a.Sequence > 0 {
		st.last, st.known = a.Sequence-1, true
	}
	if err := st.journal(); err != nil {
		return err
	}
	if a.Refund != nil {
		return st.send("refund", 0, st.s.viewRefund(*a.Refund, st.s.now()))
	}
	return st.send("payment", 0, st.s.view(a.Entry, st.s.now()))
}

// journal sends every entry behind the last one.
func (st *stream) journal() error {
	for st.known {
		page, err := st.s.cfg.Desk.JournalEvents(st.last, replayPage)
		if err != nil {
			return err
		}
		for _, j := range page {
			if err := st.send("journal", j.Sequence, journalEntry(j)); err != nil {
				return err
			}
			st.last = j.Sequence
		}
		if len(page) < replayPage {
			return nil
		}
	}
	return nil
}

func (st *stream) alive() error {
	if err := st.journal(); err != nil {
		return err
	}
	warnings := 0
	if st.s.cfg.Health != nil {
		warnings = len(st.s.cfg.Health.List())
	}
	alive := Alive{Now: st.s.now(), Ready: st.s.cfg.Desk.Ready() == nil, Warnings: warnings}
	if n := st.s.cfg.Desk.LastNotice(); n.Kind == payflow.NoticeNothingArmed && alive.Now.Sub(n.At) < noticeFor {
		alive.Notice = st.s.notice(n)
	}
	alive.BillLooking, _ = st.s.billScans.looks()
	st.looking = alive.BillLooking
	return st.send("alive", 0, alive)
}

// send writes one event; id 0 leaves the reader's last id as it is.
func (st *stream) send(event string, id uint64, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("write a %s event: %w", event, err)
	}
	line := "event: " + event + "\n"
	if id > 0 {
		line += "id: " + strconv.FormatUint(id, 10) + "\n"
	}
	return st.write(line + "data: " + string(text) + "\n\n")
}

func (st *stream) write(text string) error {
	if err := st.rc.SetWriteDeadline(time.Now().Add(eventWriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.rc.Flush()
}
