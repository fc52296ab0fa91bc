package till

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// libraryContext has a method called Context, so it can't be embedded under that name.
type libraryContext huma.Context

// tameContext lets an error of the API's library go out with the status that we give it.
type tameContext struct {
	libraryContext
	override int
}

// Unwrap gives the library the context below.
func (c *tameContext) Unwrap() huma.Context { return c.libraryContext }

// SetStatus sends the status, or the one that tameErrors chose instead.
func (c *tameContext) SetStatus(status int) {
	if c.override != 0 {
		status = c.override
	}
	c.libraryContext.SetStatus(status)
}

func tameStatus(ctx huma.Context, next func(huma.Context)) { next(&tameContext{libraryContext: ctx}) }

// tameErrors replaces every error that the library made itself. Those repeat what was sent, a payment code in a wrong field too; ours
// name the field and what it must be, both out of fieldRules.
func tameErrors(ctx huma.Context, _ string, v any) (any, error) {
	theirs, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problemOfLibrary(theirs)
	if c, ok := ctx.(*tameContext); ok {
		c.override = p.Status
	}
	return p, nil
}

func problemOfLibrary(theirs *huma.ErrorModel) *Problem {
	switch theirs.Status {
	case http.StatusRequestEntityTooLarge:
		return newProblem(TooLarge, "")
	case http.StatusUnsupportedMediaType:
		return newProblem(MediaType, "")
	case http.StatusRequestTimeout:
		return newProblem(TooSlow, "")
	case http.StatusInternalServerError:
		return problemOfBody(theirs)
	}
	p := newProblem(BadRequest, "")
	for _, e := range theirs.Errors {
		if e == nil {
			continue
		}
		if e.Location == "header.Idempotency-Key" {
			return newProblem(KeyMissing, "")
		}
		p.addFault(faultAt(placeOfFault(e)))
	}
	if len(p.Fields) > 0 {
		p.Detail = p.Fields[0].Field + " " + p.Fields[0].Text
	} else {
		p.Detail = "the request needs a JSON body; see /v1/openapi.json"
	}
	return p
}

// problemOfBody: the library calls it its own fault when a body breaks off or is longer than net/http lets through.
func problemOfBody(theirs *huma.ErrorModel) *Problem {
	if strings.HasPrefix(theirs.Detail, "cannot read request body") {
		return newProblem(TooSlow, "")
	}
	return newProblem(Internal, "")
}

func (p *Problem) addFault(f FieldFault) {
	for _, known := range p.Fields {
		if known == f {
			return
		}
	}
	p.Fields = append(p.Fields, f)
}

// fieldRules say what each field must be, by the library's name of its place.
var fieldRules = map[string]string{
	"body.amount":            "must be a whole number of minor units from 1 to 10000000000: 12.50 is 1250",
	"body.currency":          "must be the till's ISO 4217 code, such as \"HKD\"",
	"body.sale_ref":          "must be 1 to 64 printable characters: the till software's number of the sale",
	"body.description":       "must be text of at most 127 characters",
	"body.operator":          "must be text of at most 64 characters",
	"body.pin":               "must be the operator's PIN, 4 to 8 digits",
	"body.attach":            "must be text of at most 110 characters",
	"body.goods_tag":         "must be text of at most 32 characters",
	"body.limit_pay":         "must be \"no_credit\" or left out",
	"body.detail":            "must be an object of at most 6000 characters",
	"body.additional_tender": "must be true or false",
	"body.code":              "must be text of 1 to 512 characters",
	"body.how":               "must be goods_given, money_given_back or seen",
	"body.reason":            "must be text that says why: of a refund at most 80 bytes, else 1 to 200 characters",
	"body.note":              "must be text of at most 200 characters",
	"query.since":            "must be a payment's version: a whole number",
	"query.wait":             "must be seconds: a whole number from 0 to 120",
	"query.day":              "must be a day such as 2026-11-24",
	"query.sale_ref":         "must be text of at most 64 characters",
	"query.status":           "must be one of waiting, paying, confirming, reversing, paid, declined, reversed, cancelled",
	"query.cursor":           "must be the next_cursor of the page before",
	"query.limit":            "must be a whole number from 1 to 200",
	"query.after":            "must be a sequence of the journal: a whole number",
	"query.payment":          "must be a payment's id",
	"query.unannounced":      "must be true or false",
	"header.Last-Event-ID":   "must be the id of an event: a whole number",
}

var missingField = regexp.MustCompile(`^expected required property ([a-z_]+) to be present$`)

// placeOfFault is where a fault lies: of a body without a field that it needs, which the library says in words alone, that field.
func placeOfFault(e *huma.ErrorDetail) string {
	if missing := missingField.FindStringSubmatch(e.Message); missing != nil && e.Location == "body" {
		return "body." + missing[1]
	}
	return e.Location
}

// faultAt names a fault by its place. A place that is not in fieldRules may be a name that the caller made up: it isn't repeated.
func faultAt(location string) FieldFault {
	if rule, ok := fieldRules[location]; ok {
		_, field, _ := strings.Cut(location, ".")
		return FieldFault{Field: field, Text: rule}
	}
	part, _, _ := strings.Cut(location, ".")
	if part != "query" && part != "header" {
		part = "body"
	}
	return FieldFault{Field: part, Text: "holds something that this call does not take, or not in this form; see /v1/openapi.json"}
}

// authorize refuses a caller without one of the call's scopes.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	scopes, _ := ctx.Operation().Metadata["scopes"].([]Scope)
	c := callerOf(ctx.Context())
	r, w := humago.Unwrap(ctx)
	if len(scopes) == 0 || c.may(scopes) {
		needs, _ := ctx.Operation().Metadata["needs"].(need)
		if p := s.takes(needs, c, r); p != nil {
			p.write(w)
			return
		}
		next(ctx)
		return
	}
	if len(c.scopes) == 0 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="posagent"`)
		hangUp(w, newProblem(Unauthorized, ""))
		return
	}
	hangUp(w, newProblem(Forbidden, ""))
}

func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}
