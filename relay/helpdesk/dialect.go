// Package helpdesk speaks the helpdesk's dialect: which calls it has, which fields each
// call takes, and how the fields travel. The tables follow the published Omnidesk API
// specification (controllers Channel, Message and Chat), so that the relay in front of the
// helpdesk and a stand-in for the helpdesk enforce the same rules.
package helpdesk

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"omnirelay/relay"
)

// Kind is the type of a field's value. Every value travels as text, whatever the encoding.
type Kind int

// The kinds.
const (
	Text      Kind = iota
	Integer        // decimal digits, 0 to 2^63−1
	Decimal        // a number with or without a fraction, 0 or more
	Boolean        // true or false; 1 and 0 are understood too
	Duration       // such as 30s, 5m or 72h
	Timestamp      // RFC 3339, such as 2026-11-22T10:00:00Z
	List           // several values: name[], name[0] …, a JSON array, or one comma-separated text
	File           // a file; see ReadUpload
	Files          // several files: name, name[], name[0] …
)

// Field is one field of a call.
type Field struct {
	Name     string
	Kind     Kind
	Required bool
	// Pattern must match the whole text.
	Pattern *regexp.Regexp
	// Min and Max bound a text's length in characters; a Max of 0 is no bound.
	Min, Max int
	// Low and High bound an Integer; a High of 0 is no bound but the type's own.
	Low, High int64
	// Enum lists the only values of a text, or of a List's elements.
	Enum []string
	// Default is the value when none is given, for documentation: the code that uses the
	// field applies it.
	Default string
	// Clearable says that an explicitly empty text is a value, "none", for this field. For
	// every other field an empty text means that the field is not given: the specification
	// combines a default of "" with a minimum length of 1, which fits no other reading.
	Clearable bool
	// Refuse, when set, is why the field cannot be given at all, as a rule: for a field of the
	// helpdesk's that would be lost silently if it were merely unknown.
	Refuse string
	// Path marks a parameter of the path.
	Path bool
	// Doc is a sentence for the reader of the API's description.
	Doc string
}

// Call is one call of an API: the fields it takes in its body, and in the query where
// Query is set.
type Call struct {
	Fields []Field
	Query  bool // the fields may be given in the query as well
	Strict bool // a field that the call does not know is an error
}

// With returns a copy of the call in which the given fields replace those of the same name;
// others are added at the end.
func (c Call) With(fields ...Field) Call {
	c.Fields = slices.Clone(c.Fields)
	for _, f := range fields {
		at := slices.IndexFunc(c.Fields, func(have Field) bool { return have.Name == f.Name })
		if at >= 0 {
			c.Fields[at] = f
			continue
		}
		c.Fields = append(c.Fields, f)
	}
	return c
}

// Check holds the values against the call's fields and returns relay.Problems, all at once. It
// drops empty values from v, except those of Clearable fields, and writes every Boolean as
// true or false; after it returned nil the
// getters of Values cannot fail for the call's fields.
//
// A value that no field of the call takes is an error in a strict call. In others it is left
// alone, because a helpdesk may send more than it documents, except where it is evidently
// meant for a known field: another spelling of its name, or a nested value under it.
func (c Call) Check(v Values) error {
	var problems relay.Problems
	known := 0
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Path {
			continue
		}
		if f.Refuse != "" {
			known += v.count(f.Name)
			if len(v.List(f.Name)) > 0 {
				problems.Add(f.Name, f.Refuse)
			}
			continue
		}
		if f.Kind == File || f.Kind == Files {
			// Its file went another way; only what came as a text is here.
			if n := v.count(f.Name); n > 0 {
				known += n
				problems.Add(f.Name, "must be sent as a file, in a multipart/form-data body")
			}
			continue
		}
		if f.Kind == List {
			elements := v.List(f.Name)
			known += v.count(f.Name)
			if f.Required && len(elements) == 0 {
				problems.Add(f.Name, "is required")
			}
			for _, e := range elements {
				if rule := f.element(e); rule != "" {
					problems.Add(f.Name, rule)
					break
				}
			}
			continue
		}
		value, given := v[f.Name]
		if given && value == "" && !f.Clearable {
			delete(v, f.Name)
			given = false
		}
		if !given {
			if f.Required {
				problems.Add(f.Name, "is required")
			}
			continue
		}
		known++
		if value == "" {
			continue
		}
		if rule := f.rule(value); rule != "" {
			problems.Add(f.Name, rule)
			continue
		}
		if f.Kind == Boolean {
			v[f.Name] = strconv.FormatBool(v.Boolean(f.Name))
		}
	}
	if known < len(v) {
		problems = append(problems, c.unknown(v)...)
	}
	return problems.Err()
}

// unknown says what is wrong with the values that belong to no field.
func (c Call) unknown(v Values) relay.Problems {
	var problems relay.Problems
	for name := range v {
		base, _, nested := strings.Cut(name, "[")
		at := slices.IndexFunc(c.Fields, func(f Field) bool { return !f.Path && spelling(f.Name) == spelling(base) })
		switch {
		case at >= 0 && c.Fields[at].Name == base && (!nested || c.Fields[at].Kind == List || c.Fields[at].Kind == Files || c.Fields[at].Refuse != ""):
			// Known.
		case at >= 0 && c.Fields[at].Name == base:
			problems.Add(base, "must be one value, not a list or an object")
		case at >= 0:
			problems.Add(clip(name), "is no field of this call; "+c.Fields[at].Name+" is")
		case c.Strict:
			problems.Add(clip(name), "is no field of this call")
		}
	}
	slices.SortFunc(problems, func(a, b relay.FieldError) int { return strings.Compare(a.Field, b.Field) })
	problems = slices.Compact(problems)
	return problems[:min(len(problems), maxReported)]
}

// maxReported bounds how many unknown fields an answer lists.
const maxReported = 20

// spelling maps ticketID, ticketId and ticket_id to one form.
func spelling(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// rule returns the rule that the value breaks, or "".
func (f *Field) rule(value string) string {
	switch f.Kind {
	case Integer:
		return f.integer(value)
	case Decimal:
		if n, err := strconv.ParseFloat(value, 64); err != nil || !(n >= 0 && n <= 1e12) {
			return "must be a number from 0 to 1e12"
		}
	case Boolean:
		if _, ok := parseBool(value); !ok {
			return "must be true or false"
		}
	case Duration:
		var d relay.Duration
		if err := d.UnmarshalText([]byte(value)); err != nil {
			return "must be a duration such as 30s, 5m or 72h"
		}
	case Timestamp:
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return "must be a time such as 2026-11-22T10:00:00Z"
		}
	default:
		return f.text(value)
	}
	return ""
}

func (f *Field) integer(value string) string {
	if !digits(value) {
		return "must be a whole number, digits only"
	}
	n, err := strconv.ParseInt(value, 10, 64)
	high := f.High
	if high == 0 {
		high = 1<<63 - 1
	}
	if err != nil || n < f.Low || n > high {
		return fmt.Sprintf("must be from %d to %d", f.Low, high)
	}
	return ""
}

func (f *Field) text(value string) string {
	if f.Min > 0 || f.Max > 0 {
		n := utf8.RuneCountInString(value)
		if n < f.Min {
			return fmt.Sprintf("must have at least %d characters", f.Min)
		}
		if f.Max > 0 && n > f.Max {
			return fmt.Sprintf("must have at most %d characters", f.Max)
		}
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, value) {
		return "must be one of " + strings.Join(f.Enum, ", ")
	}
	if f.Pattern != nil && !f.Pattern.MatchString(value) {
		return "must match " + f.Pattern.String()
	}
	return ""
}

// element checks one value of a List: against Low and High where one is set, as a text else.
func (f *Field) element(value string) string {
	if f.Low != 0 || f.High != 0 {
		return f.integer(value)
	}
	return f.text(value)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func parseBool(s string) (value, ok bool) {
	switch s {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// clip keeps what an error repeats of a stranger's input short.
func clip(s string) string {
	const most = 48
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
