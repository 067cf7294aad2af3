package helpdesk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep JSON may nest; the deepest documented value has two levels.
const maxDepth = 8

// json reads one object. A library says whether the text is JSON; this walk then only has to
// find where each value ends, which costs a third of a decoder's tokens, and sees what a map
// would hide: that a name is given twice.
func (c *collector) json(body []byte) error {
	// The check below refuses it too, but does not say so.
	if !utf8.Valid(body) {
		return malformed("the JSON is not valid UTF-8")
	}
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) {
		return malformed("the JSON is not well-formed")
	}
	w := walk{collector: c, rest: body}
	if w.next() != '{' {
		return malformed("the JSON must be one object")
	}
	return w.object("", 1)
}

// walk goes through text that is known to be valid JSON.
type walk struct {
	*collector
	rest []byte
}

// next skips white space and returns what follows, without taking it.
func (w *walk) next() byte {
	w.rest = bytes.TrimLeft(w.rest, " \t\r\n")
	return w.rest[0]
}

// take skips one character.
func (w *walk) take() { w.rest = w.rest[1:] }

func (w *walk) object(prefix string, depth int) error {
	w.take()
	for {
		switch w.next() {
		case '}':
			w.take()
			return nil
		case ',':
			w.take()
			w.next()
		}
		name, err := w.text()
		if err != nil {
			return err
		}
		if prefix != "" {
			name = prefix + "[" + name + "]"
		}
		w.next()
		w.take() // the colon
		if err := w.value(name, depth); err != nil {
			return err
		}
	}
}

func (w *walk) array(prefix string, depth int) error {
	w.take()
	for i := 0; ; i++ {
		switch w.next() {
		case ']':
			w.take()
			if i == 0 && depth == 2 {
				// As a form would write it: a field's list that is given, and is empty.
				return w.add(prefix+"[0]", "")
			}
			return nil
		case ',':
			w.take()
		}
		if err := w.value(prefix+"["+strconv.Itoa(i)+"]", depth); err != nil {
			return err
		}
	}
}

func (w *walk) value(name string, depth int) error {
	switch w.next() {
	case '{', '[':
		if err := w.hollow(name); err != nil {
			return err
		}
		if depth >= maxDepth {
			return malformed("the JSON nests deeper than %d levels", maxDepth)
		}
		if w.rest[0] == '{' {
			return w.object(name, depth+1)
		}
		return w.array(name, depth+1)
	case '"':
		value, err := w.text()
		if err != nil {
			return err
		}
		return w.add(name, value)
	case 'n':
		w.literal()
		return w.hollow(name)
	}
	return w.add(name, w.literal())
}

// literal takes a number, true, false or null.
func (w *walk) literal() string {
	end := bytes.IndexAny(w.rest, ",]} \t\r\n")
	value := string(w.rest[:end])
	w.rest = w.rest[end:]
	return value
}

// text takes a string.
func (w *walk) text() (string, error) {
	end := 1
	escaped := false
	for w.rest[end] != '"' {
		if w.rest[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	raw := w.rest[:end+1]
	w.rest = w.rest[end+1:]
	if !escaped {
		return string(raw[1:end]), nil
	}
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return value, nil
}
