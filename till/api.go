package till

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// newAPI registers every call. What the library would add of its own (pages with foreign scripts, links made from the Host header,
// errors that repeat values) is left out or replaced: see docs/decisions/local-api.md.
func (s *Server) newAPI() huma.API {
	config := huma.DefaultConfig("posagent local API", "1")
	config.Info.Description = "Arms WeChat Pay payments on this till and follows them to their one true answer. Amounts are in minor units. " +
		"Over TCP a program sends a bearer token; the unix socket takes none."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{tameErrors}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token of this till, with scopes."},
	}
	api := humago.New(s.mux, config)
	api.UseMiddleware(tameStatus, s.authorize)
	s.registerPayments(api)
	s.registerWishes(api)
	s.registerRefunds(api)
	s.registerAttention(api)
	s.registerLists(api)
	s.registerReceiptCode(api)
	s.registerBills(api)
	s.registerTraining(api)
	s.registerBillScan(api)
	s.registerEvents(api)
	s.registerStatus(api)
	s.registerMetrics(api)
	s.registerBackups(api)
	s.registerSession(api)
	s.registerPole(api)
	listCodes(api)
	s.serveDocument(api)
	s.serveProblems()
	return api
}

// call is one operation of the API before the library sees it.
type call struct {
	id, method, path, summary string
	scopes                    []Scope       // any of them opens it; none: it is open to everybody
	needs                     need          // whom it takes on the page, where operators are set up
	status                    int           // of success
	problems                  []ProblemCode // beside those that every call may answer
}

// operation documents a call with every status that it may answer.
func (c call) operation(api huma.API) huma.Operation {
	op := huma.Operation{
		OperationID: c.id, Method: c.method, Path: c.path, Summary: c.summary, DefaultStatus: c.status,
		MaxBodyBytes: bodyMax, BodyReadTimeout: bodyReadTimeout, Metadata: map[string]any{"scopes": c.scopes, "needs": c.needs}, Responses: map[string]*huma.Response{},
	}
	problems := append([]ProblemCode{BadRequest, BadHost, Unauthorized, TooManyWrong, Internal}, c.problems...)
	if len(c.scopes) > 0 {
		names := make([]string, len(c.scopes))
		for i, scope := range c.scopes {
			names[i] = string(scope)
		}
		op.Description = "Scope: " + joinOr(names) + "."
		op.Security = []map[string][]string{{"token": {}}}
		op.Description += c.needs.text()
		problems = append(problems, Forbidden)
		problems = append(problems, c.needs.problems()...)
	}
	if c.method == http.MethodPost {
		problems = append(problems, CrossOrigin, TooSlow, TooLarge, MediaType, HoldsCode, HoldsSecret)
	}
	for _, code := range problems {
		describeProblem(api, &op, code)
	}
	return op
}

// describeProblem adds a problem to the statuses of an operation; several share one.
func describeProblem(api huma.API, op *huma.Operation, code ProblemCode) {
	kind := problemKinds[code]
	status := strconv.Itoa(kind.status)
	text := string(code) + ": " + kind.title
	if known := op.Responses[status]; known != nil {
		known.Description += "; " + text
		return
	}
	op.Responses[status] = &huma.Response{
		Description: text,
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schemaOf[Problem](api)}},
	}
}

func joinOr(names []string) string {
	text := ""
	for i, n := range names {
		if i > 0 {
			text += " or "
		}
		text += n
	}
	return text
}
