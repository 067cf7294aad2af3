package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// describe makes the OpenAPI 3.1 document of a route table.
func describe(table []route, version string) ([]byte, error) {
	s := &schemas{components: object{}}
	failure := s.of(reflect.TypeFor[client.ErrorBody]())
	paths := object{}
	for _, r := range table {
		path := openAPIPath(r.path)
		methods, ok := paths[path].(object)
		if !ok {
			methods = object{}
			paths[path] = methods
		}
		methods[strings.ToLower(r.method)] = operation(r, s, failure)
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "omnirelay",
			"version":     version,
			"description": "Durable, signed, ordered relaying between a helpdesk's custom channels and messaging apps. Calls under /api/v2 speak the helpdesk's dialect.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"components": object{
			"schemas": s.components,
			"securitySchemes": object{
				"header": object{"type": "apiKey", "in": "header", "name": "apiKey"},
				"query":  object{"type": "apiKey", "in": "query", "name": queryKey},
				"bearer": object{"type": "http", "scheme": "bearer"},
			},
		},
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the API's description: %w", err)
	}
	return data, nil
}

// openAPIPath turns /channel/:id into /channel/{id}.
func openAPIPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
		if p == "*" {
			parts[i] = "{hookpoint}"
		}
	}
	return strings.Join(parts, "/")
}

func operation(r route, s *schemas, failure object) object {
	op := object{"operationId": r.id, "summary": r.summary}
	if r.doc != "" {
		op["description"] = r.doc
	}
	if r.permission != "" {
		op["security"] = []object{{"header": []string{}}, {"bearer": []string{}}, {"query": []string{}}}
		op["x-permission"] = r.permission
	}
	if p := parameters(r); len(p) > 0 {
		op["parameters"] = p
	}
	if body := bodySchema(r.input); hasBody(r.method) && body != nil {
		content := object{}
		for _, media := range []string{"multipart/form-data", echo.MIMEApplicationForm, echo.MIMEApplicationJSON} {
			content[media] = object{"schema": body}
		}
		op["requestBody"] = object{"content": content}
	}
	responses := object{}
	for status, list := range byStatus(refusals(r)) {
		lines := make([]string, 0, len(list))
		for _, e := range list {
			lines = append(lines, e.Code+": "+e.Message)
		}
		responses[strconv.Itoa(status)] = object{
			"description": strings.Join(lines, "\n\n"),
			"content":     object{echo.MIMEApplicationJSON: object{"schema": failure}},
		}
	}
	success := object{"description": "Done."}
	if r.answer != nil {
		success["content"] = object{echo.MIMEApplicationJSON: object{"schema": s.of(reflect.TypeOf(r.answer))}}
	}
	responses["200"] = success
	op["responses"] = responses
	return op
}

// parameters are the fields of the path, those of the query, and the idempotency header.
func parameters(r route) []object {
	var list []object
	for _, f := range r.input.Fields {
		in := "query"
		switch {
		case f.Path:
			in = "path"
		case hasBody(r.method) || f.Refuse != "":
			continue
		}
		list = append(list, object{"name": f.Name, "in": in, "required": f.Required, "description": f.Doc, "schema": input(f)})
	}
	if slices.ContainsFunc(r.input.Fields, func(f helpdesk.Field) bool { return f.Name == "messageID" }) {
		list = append(list, object{
			"name": "Idempotency-Key", "in": "header", "required": false,
			"description": "The same key again, for the same call and channel, is answered with the first message.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": maxIdempotencyKey},
		})
	}
	return list
}

// bodySchema is nil for a call that takes no fields.
func bodySchema(call helpdesk.Call) object {
	properties := object{}
	var required []string
	for _, f := range call.Fields {
		if f.Path || f.Refuse != "" {
			continue
		}
		property := input(f)
		property["description"] = f.Doc
		properties[f.Name] = property
		if f.Required {
			required = append(required, f.Name)
		}
	}
	if len(properties) == 0 {
		return nil
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": !call.Strict}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// refusals are a route's own, and those that every route of its sort has.
func refusals(r route) []*Error {
	list := slices.Clone(r.errors)
	if r.permission != "" {
		list = append(list, errNoKey, errUnknownKey, errRevokedKey, errPermission, errChannel, errUnavailable)
	}
	return append(list, errInternal)
}

func byStatus(list []*Error) map[int][]*Error {
	grouped := map[int][]*Error{}
	for _, e := range list {
		if !slices.Contains(grouped[e.Status], e) {
			grouped[e.Status] = append(grouped[e.Status], e)
		}
	}
	return grouped
}

func (a *API) serveOpenAPI(r *request) error {
	return r.Blob(http.StatusOK, echo.MIMEApplicationJSON, a.openapi)
}
