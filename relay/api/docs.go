package api

import (
	"bytes"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"omnirelay/relay/helpdesk"
)

//go:embed docs.html
var docsTemplate string

// docsCall is a row of the route table as the page shows it.
type docsCall struct {
	Method, Path, ID, Summary, Doc string
	Permission                     string
	Fields                         []docsField
	Errors                         []*Error
}

type docsField struct {
	Name, In, Kind, Rule, Default, Doc string
	Required                           bool
}

// page renders the same table that makes the OpenAPI document, in its order.
func page(table []route) ([]byte, error) {
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("reading the page's template: %w", err)
	}
	var calls []docsCall
	for _, r := range table {
		c := docsCall{Method: r.method, Path: openAPIPath(r.path), ID: r.id, Summary: r.summary, Doc: r.doc, Permission: string(r.permission)}
		for _, f := range r.input.Fields {
			if f.Refuse == "" {
				c.Fields = append(c.Fields, docsOf(f, r.method))
			}
		}
		for _, e := range refusals(r) {
			if !slices.Contains(c.Errors, e) {
				c.Errors = append(c.Errors, e)
			}
		}
		slices.SortStableFunc(c.Errors, func(a, b *Error) int { return a.Status - b.Status })
		calls = append(calls, c)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, map[string]any{"Calls": calls, "Errors": catalogue()}); err != nil {
		return nil, fmt.Errorf("writing the page: %w", err)
	}
	return out.Bytes(), nil
}

func docsOf(f helpdesk.Field, method string) docsField {
	d := docsField{Name: f.Name, In: "query", Default: f.Default, Doc: f.Doc, Required: f.Required}
	switch {
	case f.Path:
		d.In = "path"
	case hasBody(method):
		d.In = "body"
	}
	d.Kind = [...]string{"text", "integer", "number", "true or false", "duration", "time", "list", "file", "files"}[f.Kind]
	var rules []string
	if f.Low > 0 {
		rules = append(rules, "at least "+strconv.FormatInt(f.Low, 10))
	}
	if f.High > 0 && f.High < 1<<31 {
		rules = append(rules, "at most "+strconv.FormatInt(f.High, 10))
	}
	if f.Min > 0 {
		rules = append(rules, "at least "+strconv.Itoa(f.Min)+" characters")
	}
	if f.Max > 0 {
		rules = append(rules, "at most "+strconv.Itoa(f.Max)+" characters")
	}
	if len(f.Enum) > 0 {
		rules = append(rules, "one of "+strings.Join(f.Enum, ", "))
	}
	if f.Pattern != nil {
		rules = append(rules, f.Pattern.String())
	}
	d.Rule = strings.Join(rules, "; ")
	return d
}

// docsPolicy lets the page have its own style and nothing else.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (a *API) serveDocs(r *request) error {
	r.Response().Header().Set(echo.HeaderContentSecurityPolicy, docsPolicy)
	return r.HTMLBlob(http.StatusOK, a.docs)
}
