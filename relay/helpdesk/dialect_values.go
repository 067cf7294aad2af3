package helpdesk

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"omnirelay/relay"
)

// Values are the fields of one request, flat: nested ones under bracket keys such as
// "from[address]" and "permissions[0]". No value is listed twice, every name and value is
// valid UTF-8 without NUL bytes.
type Values map[string]string

// Given reports whether the field is there.
func (v Values) Given(name string) bool {
	_, ok := v[name]
	return ok
}

// Text is the field's text; "" when it is not given.
func (v Values) Text(name string) string { return v[name] }

// Integer is the field's number; 0 when it is not given, or no whole number of 64 bits.
func (v Values) Integer(name string) int64 {
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Decimal is the field's number; 0 when it is not given, or no number.
func (v Values) Decimal(name string) float64 {
	n, err := strconv.ParseFloat(v[name], 64)
	if err != nil {
		return 0
	}
	return n
}

// Boolean is the field's truth; false when it is not given.
func (v Values) Boolean(name string) bool {
	value, _ := parseBool(v[name])
	return value
}

// Duration is the field's duration; 0 when it is not given, or no duration.
func (v Values) Duration(name string) time.Duration {
	var d relay.Duration
	if err := d.UnmarshalText([]byte(v[name])); err != nil {
		return 0
	}
	return time.Duration(d)
}

// Timestamp is the field's time; the zero time when it is not given, or no time.
func (v Values) Timestamp(name string) time.Time {
	at, err := time.Parse(time.RFC3339, v[name])
	if err != nil {
		return time.Time{}
	}
	return at
}

// List is the field's values in order: those of name[0], name[1] …, else the parts of one
// comma-separated text, trimmed, without empty ones.
func (v Values) List(name string) []string {
	var list []string
	if text, ok := v[name]; ok {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list
	}
	type element struct {
		at    int
		value string
	}
	var elements []element
	for key, value := range v {
		if at, ok := index(key, name); ok && value != "" {
			elements = append(elements, element{at, value})
		}
	}
	slices.SortFunc(elements, func(a, b element) int { return a.at - b.at })
	for _, e := range elements {
		list = append(list, e.value)
	}
	return list
}

// count is how many keys a List of the name occupies.
func (v Values) count(name string) int {
	n := 0
	for key := range v {
		if _, ok := index(key, name); ok || key == name {
			n++
		}
	}
	return n
}

// index reads the n of name[n].
func index(key, name string) (int, bool) {
	tail, ok := strings.CutPrefix(key, name)
	if !ok || len(tail) < 3 || tail[0] != '[' || tail[len(tail)-1] != ']' {
		return 0, false
	}
	digits, err := strconv.ParseUint(tail[1:len(tail)-1], 10, 31)
	return int(digits), err == nil
}
