package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printTable writes rows for people, under a header in capitals.
func (a *app) printTable(header []string, rows [][]string) error {
	return a.printCells(append([][]string{header}, rows...))
}

// pair is a line of what is said about one thing.
type pair struct{ name, value string }

// printPairs writes lines of name and value; those without a value are left out.
func (a *app) printPairs(pairs []pair) error {
	var rows [][]string
	for _, p := range pairs {
		if p.value != "" {
			rows = append(rows, []string{p.name, p.value})
		}
	}
	return a.printCells(rows)
}

// printCells writes rows in columns, without spaces at their ends.
func (a *app) printCells(rows [][]string) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		if err := a.printf("%s\n", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// plain is a stranger's text as one line of a terminal: what could steer the terminal or
// break the table becomes a space, and a long text is cut.
func plain(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// moment is a time for people, in their zone; empty for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// number is a number that is empty when zero.
func number[T ~int | ~int64 | ~uint64](n T) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// count is a number and what it counts.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
