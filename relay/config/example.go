package config

import (
	_ "embed" // the comments of Config are the settings' documentation
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

//go:generate sh -c "go run ../../cmd/omnirelay config example >../../config.example.yaml"

// source is the file with Config, whose field comments document the settings, so that they
// are written once.
//
//go:embed config.go
var source string

const exampleHead = `# The settings of omnirelay. Every setting is here, commented out with its default; a setting
# without a default shows an example. A variable of the environment overrides the file.
#
# Durations are written 250ms, 30s, 5m, 72h; sizes in bytes, or as 64KiB, 1MiB, 25MB.
# "omnirelay config check" reports everything that is wrong with a file, and "omnirelay config
# print" shows the values in force and where each comes from.
#
# Made by "omnirelay config example"; the documentation is in relay/config/config.go.
`

// Example is a configuration file with every setting: its documentation, rule, default and
// environment variable, all commented out but for the names of the sections.
func Example() []byte {
	c := Default()
	docs := fieldComments()
	var b strings.Builder
	b.WriteString(exampleHead)
	section := ""
	for _, s := range c.settings() {
		indent := ""
		if s.section() != section {
			section = s.section()
			fmt.Fprintf(&b, "\n%s", wrap(docs["Config."+section], ""))
			fmt.Fprintf(&b, "%s:\n", section)
		}
		if section != "" {
			indent = "  "
		}
		if s.secret != nil {
			fmt.Fprintf(&b, "%s# or, in a file of its own:\n%s# %s: /run/secrets/%s\n",
				indent, indent, s.name(), s.secret.name())
			continue
		}
		b.WriteString("\n" + wrap(docs[s.field], indent))
		b.WriteString(wrap(s.ruleText(), indent))
		fmt.Fprintf(&b, "%s# %s: %s\n", indent, s.name(), s.exampleValue())
	}
	return []byte(b.String())
}

// exampleValue is the default, or without one the example.
func (s *setting) exampleValue() string {
	example, ok := s.tag.Lookup("example")
	switch {
	case !ok:
		return s.yaml()
	case s.isList():
		return example
	}
	return quote(example)
}

// ruleText says in a line what is allowed, what is the default and which variable sets it.
func (s *setting) ruleText() string {
	var parts []string
	least, most := s.tag.Get("min"), s.tag.Get("max")
	switch {
	case s.tag.Get("oneof") != "":
		parts = append(parts, "One of "+orList(strings.Fields(s.tag.Get("oneof")))+".")
	case least != "" && most != "":
		parts = append(parts, "From "+least+" to "+most+".")
	}
	if _, ok := s.tag.Lookup("example"); ok {
		parts = append(parts, "No default.")
	} else {
		parts = append(parts, "Default: "+strings.Trim(s.yaml(), `"`)+".")
	}
	return strings.Join(append(parts, "Variable: "+s.variable()+"."), " ")
}

// fieldComments finds the comment of each field of the structs in source, with the field's
// Go name at its start replaced by the setting's. A section's comment is under Config.<name>.
func fieldComments() map[string]string {
	docs := map[string]string{}
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", source, parser.ParseComments)
	if err != nil {
		return docs // the compiler has parsed the same text
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range fields.Fields.List {
			if f.Tag == nil || len(f.Names) != 1 {
				continue
			}
			name := f.Names[0].Name
			yamlName := fieldTag(f.Tag.Value)
			text := strings.Join(strings.Fields(f.Doc.Text()), " ")
			if tail, ok := strings.CutPrefix(text, name+" "); ok {
				text = yamlName + " " + tail
			}
			docs[spec.Name.Name+"."+name] = text
			if spec.Name.Name == "Config" {
				docs["Config."+yamlName] = text
			}
		}
		return false
	})
	return docs
}

// fieldTag is the yaml name in a tag's source text.
func fieldTag(tag string) string {
	_, tail, _ := strings.Cut(tag, `yaml:"`)
	name, _, _ := strings.Cut(tail, `"`)
	return name
}

// wrap makes comment lines of at most 96 columns.
func wrap(text, indent string) string {
	const width = 96
	var b strings.Builder
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
