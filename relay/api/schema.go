package api

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"omnirelay/relay/helpdesk"
)

// object is a piece of the OpenAPI document.
type object = map[string]any

// schemas gathers the components that answers refer to.
type schemas struct{ components object }

var (
	timeType      = reflect.TypeFor[time.Time]()
	marshalerType = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the JSON Schema (OpenAPI 3.1) of what encoding/json makes of a type. Exported structs
// become components; the tag doc is a property's description.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Implements(marshalerType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		if name := t.Name(); name != "" && name[0] <= 'Z' && !strings.Contains(name, "[") {
			return s.component(t)
		}
		return s.structure(t)
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "string"}
}

func (s *schemas) component(t reflect.Type) object {
	// Two packages may have a type of one name: a message as stored and as shown.
	name := t.Name()
	if strings.HasSuffix(t.PkgPath(), "/relay") {
		name = "Stored" + name
	}
	if _, known := s.components[name]; !known {
		s.components[name] = nil // a type that holds itself ends here
		s.components[name] = s.structure(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) structure(t reflect.Type) object {
	properties := object{}
	var required []string
	for _, f := range fieldsOf(t) {
		property := s.of(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			property["description"] = doc
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = property
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// fieldsOf lists the fields of a struct as JSON has them, those of embedded structs among
// them; the outer field of a name hides the inner one.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	at := map[string]int{}
	var walk func(t reflect.Type, depth int)
	depths := map[string]int{}
	walk = func(t reflect.Type, depth int) {
		for f := range t.Fields() {
			tag := f.Tag.Get("json")
			if f.Anonymous && tag == "" {
				walk(f.Type, depth+1)
				continue
			}
			name, _, _ := strings.Cut(tag, ",")
			if name == "" || name == "-" {
				continue
			}
			if have, twice := at[name]; twice {
				if depth < depths[name] {
					fields[have], depths[name] = f, depth
				}
				continue
			}
			at[name], depths[name] = len(fields), depth
			fields = append(fields, f)
		}
	}
	walk(t, 0)
	return fields
}

// input is the schema of one field of a call.
func input(f helpdesk.Field) object {
	schema := object{"type": "string"}
	switch f.Kind {
	case helpdesk.Integer:
		schema = object{"type": "integer", "minimum": f.Low}
		if f.High > 0 {
			schema["maximum"] = f.High
		}
	case helpdesk.Decimal:
		schema = object{"type": "number", "minimum": 0}
	case helpdesk.Boolean:
		schema = object{"type": "boolean"}
	case helpdesk.Duration:
		schema["examples"] = []string{"30s"}
	case helpdesk.Timestamp:
		schema["format"] = "date-time"
	case helpdesk.File:
		return object{"type": "string", "format": "binary"}
	case helpdesk.Files:
		return object{"type": "array", "items": object{"type": "string", "format": "binary"}}
	case helpdesk.List:
		element := helpdesk.Field{Enum: f.Enum, Pattern: f.Pattern, Min: f.Min, Max: f.Max}
		if f.Low != 0 || f.High != 0 {
			element = helpdesk.Field{Kind: helpdesk.Integer, Low: f.Low, High: f.High}
		}
		return object{"type": "array", "items": input(element)}
	default:
		if f.Min > 0 {
			schema["minLength"] = f.Min
		}
		if f.Max > 0 {
			schema["maxLength"] = f.Max
		}
		if f.Pattern != nil {
			schema["pattern"] = f.Pattern.String()
		}
		if len(f.Enum) > 0 {
			schema["enum"] = f.Enum
		}
	}
	if f.Default != "" {
		schema["default"] = f.Default
		switch f.Kind {
		case helpdesk.Integer:
			schema["default"] = helpdesk.Values{"": f.Default}.Integer("")
		case helpdesk.Decimal:
			schema["default"] = helpdesk.Values{"": f.Default}.Decimal("")
		case helpdesk.Boolean:
			schema["default"] = helpdesk.Values{"": f.Default}.Boolean("")
		}
	}
	return schema
}
