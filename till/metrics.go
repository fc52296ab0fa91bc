package till

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"posagent/payflow"
)

// Metric is one number of GET /metrics, of a kind that goes up (counter) or up and down (gauge). Labels come in pairs, name and value; each
// value is one of a list that this program has: never an id, a text from outside or a secret.
type Metric struct {
	Name, Help string
	Counter    bool
	Labels     []string
	Value      float64
}

const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// verdictBounds are the upper bounds of the histogram of seconds from the pay call to the verdict.
var verdictBounds = []float64{0.5, 1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 150, 300}

// countedMax bounds how many ended payments are remembered so that none is counted twice.
const countedMax = 512

// meter counts what has ended since this process began.
type meter struct {
	mu       sync.Mutex // guards all below
	payments map[[2]string]uint64
	refunds  map[string]uint64
	verdicts []uint64 // by bound, and one more for what is above all
	seconds  float64
	seen     []string // that were counted, the newest last
}

func newMeter() *meter {
	return &meter{payments: map[[2]string]uint64{}, refunds: map[string]uint64{}, verdicts: make([]uint64, len(verdictBounds)+1)}
}

// CountMetrics follows the desk and counts what ends, until ctx ends. Without it /metrics has no payments and no refunds.
func (s *Server) CountMetrics(ctx context.Context) {
	began := s.now()
	for ctx.Err() == nil {
		for a := range s.cfg.Desk.Subscribe(ctx) {
			s.meter.take(a, began)
		}
		select { // the desk has stopped, or this reader was too slow
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// take counts an end that came after began, once.
func (m *meter) take(a payflow.Announcement, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := a.Refund; r != nil {
		if !r.FinalAt.Before(began) && !r.FinalAt.IsZero() && m.first(string(r.OutRefundNo)) {
			m.refunds[string(r.Status)]++
		}
		return
	}
	e := a.Entry
	if !e.Status.Final() || e.FinalAt.Before(began) || !m.first(string(e.OutTradeNo)) {
		return
	}
	m.payments[[2]string{string(e.Status), string(e.Reason)}]++
	if e.FirstPayAt.IsZero() {
		return
	}
	took := e.FinalAt.Sub(e.FirstPayAt).Seconds()
	i, _ := slices.BinarySearch(verdictBounds, took)
	m.verdicts[i]++
	m.seconds += took
}

func (m *meter) first(id string) bool {
	if slices.Contains(m.seen, id) {
		return false
	}
	if m.seen = append(m.seen, id); len(m.seen) > countedMax {
		m.seen = slices.Delete(m.seen, 0, countedMax/2)
	}
	return true
}

func (s *Server) registerMetrics(api huma.API) {
	op := call{
		id: "get-metrics", method: http.MethodGet, path: "/metrics", summary: "Numbers for monitoring, in the text format of Prometheus",
		scopes: []Scope{ScopeReport}, needs: needsManagersEye, status: http.StatusOK,
	}.operation(api)
	op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	huma.Register(api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			_, w := humago.Unwrap(ctx)
			w.Header().Set("Content-Type", metricsType)
			_, _ = w.Write([]byte(s.metricsText()))
		}}, nil
	})
}

// metricsText is the text format, version 0.0.4: each name's help, type and numbers together.
func (s *Server) metricsText() string {
	var text strings.Builder
	all := s.meter.list()
	all = append(all, s.stateMetrics()...)
	if s.cfg.Metrics != nil {
		all = append(all, s.cfg.Metrics()...)
	}
	slices.SortStableFunc(all, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	last := ""
	for _, m := range all {
		if m.Name != last {
			last = m.Name
			kind := "gauge"
			if m.Counter {
				kind = "counter"
			}
			writeHead(&text, m.Name, m.Help, kind)
		}
		text.WriteString(m.Name + labelsText(m.Labels) + " " + numberText(m.Value) + "\n")
	}
	s.meter.writeVerdicts(&text)
	return text.String()
}

func writeHead(text *strings.Builder, name, help, kind string) {
	text.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func labelsText(pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+`="`+labelEscapes.Replace(strings.ToValidUTF8(pairs[i+1], "?"))+`"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func numberText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (m *meter) list() []Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Metric
	for what, n := range m.payments {
		all = append(all, Metric{"posagent_payments_total", "Payments that have ended since this process began.", true, []string{"status", what[0], "reason", what[1]}, float64(n)})
	}
	for status, n := range m.refunds {
		all = append(all, Metric{"posagent_refunds_total", "Refunds that have ended since this process began.", true, []string{"status", status}, float64(n)})
	}
	slices.SortFunc(all, func(a, b Metric) int { return slices.Compare(a.Labels, b.Labels) })
	return all
}

func (m *meter) writeVerdicts(text *strings.Builder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	const name = "posagent_verdict_seconds"
	writeHead(text, name, "From the first pay call to the final status.", "histogram")
	var n uint64
	for i, bound := range verdictBounds {
		n += m.verdicts[i]
		text.WriteString(name + `_bucket{le="` + numberText(bound) + `"} ` + strconv.FormatUint(n, 10) + "\n")
	}
	n += m.verdicts[len(verdictBounds)]
	count := strconv.FormatUint(n, 10)
	text.WriteString(name + `_bucket{le="+Inf"} ` + count + "\n" + name + "_sum " + numberText(m.seconds) + "\n" + name + "_count " + count + "\n")
}

// stateMetrics are what the status shows, as numbers.
func (s *Server) stateMetrics() []Metric {
	st := s.cfg.Status()
	gauge := func(name, help string, v float64, labels ...string) Metric {
		return Metric{name, help, false, labels, v}
	}
	count := func(name, help string, v uint64, labels ...string) Metric {
		return Metric{name, help, true, labels, float64(v)}
	}
	all := []Metric{
		gauge("posagent_ready", "1 where a payment can be armed now.", float64(one(s.cfg.Desk.Ready() == nil))),
		gauge("posagent_build_info", "1, with the version.", 1, "version", st.Version),
		gauge("posagent_journal_sequence", "The journal's last entry.", float64(st.Journal.Sequence)),
		gauge("posagent_open_payments", "Payments without a final status.", float64(st.Journal.Open)),
		gauge("posagent_gateway_reachable", "1 where the last call reached WeChat Pay.", float64(one(st.Gateway.Reachable))),
	}
	if !st.StartedAt.IsZero() {
		all = append(all, gauge("posagent_start_time_seconds", "When this process began, in Unix time.", float64(st.StartedAt.Unix())))
	}
	if n, err := s.cfg.Desk.CountUnannounced(); err == nil {
		all = append(all, gauge("posagent_unacknowledged_payments", "Ended payments that nobody has acknowledged.", float64(n)))
	}
	if s.cfg.Refunds != nil {
		all = append(all, gauge("posagent_open_refunds", "Refunds without an end, or that need a person.", float64(len(s.cfg.Refunds.OpenRefunds()))))
	}
	if st.Clock.Known {
		all = append(all, gauge("posagent_clock_offset_seconds", "How far this machine's clock is ahead of WeChat Pay's.", float64(st.Clock.OffsetSeconds)))
	}
	soonest := map[string]int{}
	for _, c := range st.Certificates {
		if days, known := soonest[c.Name]; !known || c.DaysLeft < days {
			soonest[c.Name] = c.DaysLeft
		}
	}
	for name, days := range soonest {
		all = append(all, gauge("posagent_certificate_remaining_seconds", "Whole days, in seconds, until the first certificate of its kind ends.", float64(days)*86400, "kind", name))
	}
	if s.cfg.Health != nil {
		for _, w := range s.cfg.Health.List() {
			all = append(all, gauge("posagent_warning", "1 for each warning that holds.", 1, "code", string(w.Code), "severity", string(w.Severity)))
		}
	}
	for _, d := range st.Devices { // as many as are configured, by the names in the configuration
		all = append(all, gauge("posagent_device_ready", "1 where the device is ready.", float64(one(d.Ready)), "device", d.Name))
		if d.Statistics == nil {
			continue
		}
		n := d.Statistics
		all = append(all,
			count("posagent_scans_good_total", "Scans that were taken as a payment code.", n.Good, "device", d.Name),
			count("posagent_scans_lost_total", "Scans that were lost because this program was slow.", n.Overrun, "device", d.Name),
			count("posagent_device_unplugs_total", "How often the device went away.", n.Unplugs, "device", d.Name),
			Metric{"posagent_device_ready_seconds_total", "How long the device was ready.", true, []string{"device", d.Name}, n.ReadyHours * time.Hour.Seconds()})
		for reason, times := range n.Refused {
			all = append(all, count("posagent_scans_refused_total", "Scans that were not taken, by the reason that the cashier was told.", times, "device", d.Name, "reason", reason))
		}
		for trouble, times := range n.Misread {
			all = append(all, count("posagent_scans_misread_total", "What came from the device and was no whole scan.", times, "device", d.Name, "trouble", trouble))
		}
		if !n.LastSeenAt.IsZero() {
			all = append(all, gauge("posagent_last_scan_time_seconds", "The last scan of any sort, in Unix time.", float64(n.LastSeenAt.Unix()), "device", d.Name))
		}
	}
	slices.SortFunc(all, func(a, b Metric) int {
		return slices.Compare(append([]string{a.Name}, a.Labels...), append([]string{b.Name}, b.Labels...))
	})
	return all
}
