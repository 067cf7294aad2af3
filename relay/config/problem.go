package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	// Source is the file's name, or the environment variable's.
	Source string `json:"source,omitempty"`
	// Line and Column count from 1; both are 0 outside a file.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the setting, such as delivery.max_age; empty when it concerns none.
	Path string `json:"path,omitempty"`
	// Message says which rule is broken. It never holds a secret.
	Message string `json:"message"`
}

// String is the problem as one line: omnirelay.yaml:3:12: delivery.max_age: ….
func (p Problem) String() string {
	var b strings.Builder
	if p.Source != "" {
		b.WriteString(p.Source)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is everything that is wrong, the file's problems first, in the order of its
// lines. It is the error that Load returns.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	var b strings.Builder
	if len(p) == 1 {
		return "the configuration has a problem: " + p[0].String()
	}
	fmt.Fprintf(&b, "the configuration has %d problems:", len(p))
	for _, one := range p {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// sorted puts the file's problems into the order of its lines, and keeps the others'.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		switch {
		case a.Line == 0 && b.Line == 0:
			return 0
		case a.Line == 0:
			return 1
		case b.Line == 0:
			return -1
		case a.Line != b.Line:
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return p
}
