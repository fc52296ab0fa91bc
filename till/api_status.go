package till

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"posagent/health"
	"posagent/payflow"
)

// Health is the answer to /healthz: the process runs and answers.
type Health struct {
	OK bool `json:"ok"`
}

type (
	statusOutput struct{ Body StatusReport }
	healthOutput struct{ Body Health }
)

func (s *Server) registerStatus(api huma.API) {
	huma.Register(api, call{
		id: "get-status", method: http.MethodGet, path: "/v1/status", summary: "Devices, clock, gateway, certificates, journal, warnings",
		scopes: Scopes(), status: http.StatusOK,
	}.operation(api), s.status)
	huma.Register(api, call{
		id: "get-health", method: http.MethodGet, path: "/healthz", summary: "The process answers", status: http.StatusOK,
	}.operation(api), func(context.Context, *struct{}) (*healthOutput, error) {
		return &healthOutput{Body: Health{OK: true}}, nil
	})
	huma.Register(api, call{
		id: "get-ready", method: http.MethodGet, path: "/readyz", summary: "A payment can be armed now", status: http.StatusOK,
		problems: []ProblemCode{NotTaken},
	}.operation(api), s.ready)
}

func (s *Server) ready(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	if err := s.cfg.Desk.Ready(); err != nil {
		return nil, s.problemOf(ctx, err)
	}
	return &healthOutput{Body: Health{OK: true}}, nil
}

func (s *Server) status(ctx context.Context, _ *struct{}) (*statusOutput, error) {
	unannounced, err := s.cfg.Desk.CountUnannounced()
	if err != nil {
		return nil, s.problemOf(ctx, err)
	}
	report := StatusReport{
		Status: filled(s.cfg.Status()), Now: s.now(), Ready: true, Store: s.cfg.Store, Till: s.cfg.Till, Currency: string(s.cfg.Currency),
		Language: s.language(), CodeInAPI: s.cfg.AllowCodeInAPI, Unannounced: unannounced, Operators: s.signIns.state(),
		Warnings: []health.Active{},
		Training: s.cfg.Practice != nil, MayTrain: s.cfg.Training != nil && s.cfg.Practice == nil,
	}
	if err := s.countMoneyBack(&report); err != nil {
		return nil, s.problemOf(ctx, err)
	}
	if err := s.cfg.Desk.Ready(); err != nil {
		report.Ready, report.NotReady = false, s.notReady(err)
	}
	if held, ok := s.cfg.Desk.Holding(); ok {
		report.HoldingID = string(held.OutTradeNo)
	}
	if s.cfg.Health != nil {
		report.Warnings = s.cfg.Health.List()
	}
	return &statusOutput{Body: report}, nil
}

// countMoneyBack counts what goes back and what needs a person, without reading any payment but the late ones.
func (s *Server) countMoneyBack(report *StatusReport) error {
	if s.cfg.Refunds != nil {
		for _, r := range s.cfg.Refunds.OpenRefunds() {
			report.OpenRefunds += one(r.Open())
			report.NeedPerson += one(r.Attention != "")
		}
	}
	if s.cfg.Late == nil {
		return nil
	}
	late, err := s.cfg.Late.LateTruths()
	for _, e := range late {
		report.LateSuccess += one(heldLate(e.Late))
		report.NeedPerson += one(e.Late.Attention != "" || e.BackTwice())
	}
	for _, e := range s.cfg.Late.OpenEntries() {
		report.NeedPerson += one(e.Attention != "")
	}
	return err
}

func one(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

func (s *Server) notReady(err error) *NotReady {
	var why *payflow.NotReadyError
	if !errors.As(err, &why) {
		why = &payflow.NotReadyError{Code: "internal", Text: problemKinds[Internal].title}
	}
	_, next := s.cfg.Words.Notice(why.Code)
	return &NotReady{Reason: why.Code, Message: why.Text, NextStep: inAll(next)}
}

// filled makes lists of nothing where a part has reported none, so that they are lists in every answer.
func filled(st Status) Status {
	if st.Devices == nil {
		st.Devices = []Device{}
	}
	if st.Certificates == nil {
		st.Certificates = []Certificate{}
	}
	return st
}

func (s *Server) language() string {
	if s.cfg.Language == "" {
		return "en"
	}
	return s.cfg.Language
}

// listCodes puts every stable code into the document.
func listCodes(api huma.API) {
	reasons := payflow.Reasons()
	payment := api.OpenAPI().Components.Schemas.Map()["Payment"].Properties
	payment["reason"].Enum = anyOf(reasons)
	payment["attention"].Enum = anyOf(append([]payflow.Reason{""}, reasons...))
	refund := api.OpenAPI().Components.Schemas.Map()["Refund"].Properties
	refund["why"].Enum = anyOf(payflow.RefundReasons())
	refund["attention"].Enum = anyOf(append([]payflow.Reason{""}, payflow.RefundReasons()...))
	api.OpenAPI().Components.Schemas.Map()["Problem"].Properties["code"].Enum = anyOf(slices.Sorted(maps.Keys(problemKinds)))
}

func anyOf[T ~string](codes []T) []any {
	list := make([]any, len(codes))
	for i, c := range codes {
		list[i] = string(c)
	}
	return list
}

// serveDocument answers with the OpenAPI document, without what the library put in for errors that never leave. Its text is made
// when somebody first asks: it takes longer than all else of a start.
func (s *Server) serveDocument(api huma.API) {
	doc := api.OpenAPI()
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	text := sync.OnceValue(func() []byte { return document(doc) })
	s.mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text())
	})
}

func document(doc *huma.OpenAPI) []byte {
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic("till: the API's document does not marshal: " + err.Error())
	}
	return append(text, '\n')
}
