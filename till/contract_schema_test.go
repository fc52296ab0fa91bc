package till

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// schema is what the document says of a value. It is read from the document's text, by none of the code that made it.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       oneOrMore         `json:"type"`
	Format     string            `json:"format"`
	Enum       []any             `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Additional json.RawMessage   `json:"additionalProperties"` // false, or what each must be
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	MinLength  *int              `json:"minLength"`
	MaxLength  *int              `json:"maxLength"`
	MinItems   *int              `json:"minItems"`
}

// oneOrMore is a type, or several.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

type (
	// written is the document as a reader of its text has it.
	written struct {
		Paths      map[string]map[string]writtenCall `json:"paths"`
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	writtenCall struct {
		OperationID string           `json:"operationId"`
		Description string           `json:"description"`
		Security    []map[string]any `json:"security"`
		Parameters  []struct {
			Name, In string
			Required bool
			Schema   schema
		} `json:"parameters"`
		RequestBody *struct {
			Required bool
			Content  map[string]struct{ Schema schema }
		} `json:"requestBody"`
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema schema }
		} `json:"responses"`
	}
)

func readDocument(t *testing.T, text string) written {
	t.Helper()
	var d written
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	return d
}

// deref follows a reference.
func (d written) deref(s schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// misfits are all ways in which a value is not what the schema says.
func (d written) misfits(at string, s schema, v any) []string {
	s = d.deref(s)
	if len(s.Type) > 0 && !slices.ContainsFunc(s.Type, func(name string) bool { return isOfType(name, v) }) {
		return []string{fmt.Sprintf("%s is %T, not %v", at, v, s.Type)}
	}
	var bad []string
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		bad = append(bad, fmt.Sprintf("%s is %v, not one of %v", at, v, s.Enum))
	}
	switch v := v.(type) {
	case map[string]any:
		bad = append(bad, d.misfitsOfObject(at, s, v)...)
	case []any:
		if s.MinItems != nil && len(v) < *s.MinItems {
			bad = append(bad, at+" has too few")
		}
		for i, item := range v {
			if s.Items != nil {
				bad = append(bad, d.misfits(fmt.Sprintf("%s[%d]", at, i), *s.Items, item)...)
			}
		}
	case string:
		n := utf8.RuneCountInString(v)
		if s.MinLength != nil && n < *s.MinLength || s.MaxLength != nil && n > *s.MaxLength {
			bad = append(bad, fmt.Sprintf("%s has %d characters", at, n))
		}
		if _, err := time.Parse(time.RFC3339, v); s.Format == "date-time" && err != nil {
			bad = append(bad, at+" is no time")
		}
	case float64:
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			bad = append(bad, fmt.Sprintf("%s is %v", at, v))
		}
	}
	return bad
}

func (d written) misfitsOfObject(at string, s schema, v map[string]any) []string {
	var bad []string
	for _, name := range s.Required {
		if _, there := v[name]; !there {
			bad = append(bad, at+"."+name+" is missing")
		}
	}
	for name, value := range v {
		if of, known := s.Properties[name]; known {
			bad = append(bad, d.misfits(at+"."+name, of, value)...)
			continue
		}
		var of schema
		switch {
		case string(s.Additional) == "false":
			bad = append(bad, at+"."+name+" is not in the document")
		case len(s.Additional) > 0 && json.Unmarshal(s.Additional, &of) == nil:
			bad = append(bad, d.misfits(at+"."+name, of, value)...)
		}
	}
	return bad
}

func isOfType(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	}
	return name == "object"
}

// A validator that finds nothing would let everything through.
func TestTheValidatorFindsWhatDoesNotFit(t *testing.T) {
	d := readDocument(t, `{"components":{"schemas":{"Thing":{"type":"object","additionalProperties":false,"required":["id"],"properties":{
		"id":{"type":"string","minLength":2,"maxLength":3},"n":{"type":"integer","minimum":1,"maximum":9},"at":{"type":"string","format":"date-time"},
		"kind":{"type":"string","enum":["a","b"]},"list":{"type":["array","null"],"minItems":1,"items":{"type":"boolean"}},
		"map":{"type":"object","additionalProperties":{"type":"integer"}},"part":{"$ref":"#/components/schemas/Thing"}}}}}}`)
	for text, fits := range map[string]bool{
		`{"id":"ab","n":9,"at":"2026-11-24T12:00:00Z","kind":"b","list":[true],"map":{"x":1},"part":{"id":"abc"}}`: true,
		`{"id":"ab","list":null}`: true, `{}`: false, `{"id":"a"}`: false, `{"id":"abcd"}`: false, `{"id":1}`: false, `[]`: false, `null`: false, `{"id":"ab","n":0}`: false,
		`{"id":"ab","n":10}`: false, `{"id":"ab","n":1.5}`: false, `{"id":"ab","at":"noon"}`: false, `{"id":"ab","kind":"c"}`: false, `{"id":"ab","list":[1]}`: false,
		`{"id":"ab","list":[]}`: false, `{"id":"ab","map":{"x":"1"}}`: false, `{"id":"ab","part":{}}`: false, `{"id":"ab","more":1}`: false,
	} {
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		assert.Equal(t, fits, len(d.misfits("it", schema{Ref: "#/components/schemas/Thing"}, v)) == 0, text)
	}
}
