package config

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Setting is one effective value and where it came from.
type Setting struct {
	Path  string `json:"path"`
	Value string `json:"value"` // as in a file; secrets hidden
	// Origin is "default", a file with its line, or an environment variable.
	Origin string `json:"origin"`
}

// Settings lists every effective value, in the order of the example file.
func (c Config) Settings() []Setting {
	var list []Setting
	for _, s := range c.settings() {
		if s.secret == nil {
			list = append(list, Setting{Path: s.path, Value: s.yaml(), Origin: c.origins[s.path].String()})
		}
	}
	return list
}

// Print writes the effective configuration as YAML, each line with its origin, secrets
// hidden.
func (c Config) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	section := ""
	for _, s := range c.Settings() {
		indent, name := "", s.Path
		if at := strings.LastIndexByte(s.Path, '.'); at >= 0 {
			if s.Path[:at] != section {
				section = s.Path[:at]
				fmt.Fprintf(t, "%s:\n", section)
			}
			indent, name = "  ", s.Path[at+1:]
		}
		fmt.Fprintf(t, "%s%s: %s\t# %s\n", indent, name, s.Value, clean(s.Origin))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the configuration: %w", err)
	}
	return nil
}

// clean keeps a file's name on one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, s)
}

// yaml is the value as it is written in a file.
func (s *setting) yaml() string {
	if s.isList() {
		items := s.items()
		quoted := make([]string, len(items))
		for i, item := range items {
			quoted[i] = quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	if s.value.CanInt() || s.value.CanFloat() {
		return s.text()
	}
	return quote(s.text())
}

// plain matches texts that YAML reads as themselves without quotes, inside [] too.
var plain = regexp.MustCompile(`^(\.?/?[A-Za-z][A-Za-z0-9_./-]*|[a-z]+://[A-Za-z0-9_./:-]*[A-Za-z0-9_/-])$`)

// quote writes a text so that YAML reads it back as it is.
func quote(text string) string {
	reserved := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if plain.MatchString(text) && !slices.Contains(reserved, strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}
