package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the configuration file and each secret's file, bytes.
const maxFile = 256 << 10

// readLimited reads a whole file that must be small.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, reasonOf(err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is larger than %s", Bytes(maxFile))
	}
	return text, nil
}

// reasonOf drops what a path error says of the path, which the problem names already.
func reasonOf(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// readFile applies the configuration file.
func (l *loading) readFile(path string) {
	l.file = path
	text, err := readLimited(path)
	if err != nil {
		l.problem(Problem{Source: path, Message: "cannot be read: " + err.Error()})
		return
	}
	l.readYAML(text)
}

func (l *loading) readYAML(text []byte) {
	if !utf8.Valid(text) {
		l.problem(Problem{Source: l.file, Message: "is not UTF-8 text"})
		return
	}
	tokens := lexer.Tokenize(string(text))
	if at := tooDeep(tokens); at != nil {
		l.problemAt(at, "", "is nested more deeply than any setting")
		return
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.problem(l.syntaxProblem(err))
		return
	}
	docs := 0
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if docs++; docs > 1 {
			l.problemAt(doc.Body.GetToken(), "", "a second document; the file must hold one")
			return
		}
		l.readSection("", nil, doc.Body)
	}
}

// maxNesting is far above what settings need and far below what hurts.
const maxNesting = 16

// tooDeep finds where brackets, or hyphens and the like on one line, nest too deeply. The
// parser keeps the whole path of every node, so that a file of brackets alone would take
// gigabytes. Nesting by indentation is bounded by the size of the file.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, onLine, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			onLine++
		}
		if brackets > maxNesting || onLine > maxNesting {
			return t
		}
	}
	return nil
}

// syntaxProblem tells where the YAML is broken. The parser's own text is not used: it
// quotes the lines around, and with them their secrets.
func (l *loading) syntaxProblem(err error) Problem {
	p := Problem{Source: l.file, Message: "is not valid YAML"}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		p.Message += ": " + y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// readSection applies a mapping; section is "" for the whole file.
func (l *loading) readSection(section string, key *token.Token, node ast.Node) {
	var entries []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	case *ast.NullNode:
		return // a section whose settings are all commented out
	default:
		if key == nil {
			key = node.GetToken()
		}
		l.problemAt(key, section, "must hold settings, as name: value")
		return
	}
	seen := map[string]int{}
	for _, e := range entries {
		key := e.Key.GetToken()
		if e.Key.Type() != ast.StringType {
			l.problemAt(key, section, "has a key that is not a plain name")
			continue
		}
		path := key.Value
		if section != "" {
			path = section + "." + path
		}
		if line, twice := seen[path]; twice {
			l.problemAt(key, known(l, path), fmt.Sprintf("is set twice; the first is on line %d", line))
			continue
		}
		seen[path] = key.Position.Line
		switch s, isSetting := l.byPath[path]; {
		case l.sections[path]:
			l.readSection(path, key, e.Value)
		case isSetting:
			l.readValue(s, key, e.Value)
		default:
			l.problemAt(key, "", l.unknownKey(section, key.Value))
		}
	}
}

// known is the path where it is one of ours, so that a stranger's text is not repeated.
func known(l *loading, path string) string {
	if _, ok := l.byPath[path]; ok || l.sections[path] {
		return path
	}
	return clip(path)
}

// unknownKey says what may have been meant: a neighbour, or the same name elsewhere.
func (l *loading) unknownKey(section, name string) string {
	where := "at the top level"
	if section != "" {
		where = "in " + section
	}
	text := fmt.Sprintf("unknown key %q %s", clip(name), where)
	var neighbours []string
	for path := range l.sections {
		if section == "" {
			neighbours = append(neighbours, path)
		}
	}
	elsewhere := ""
	for _, s := range l.settings {
		if s.section() == section {
			neighbours = append(neighbours, s.name())
		} else if s.name() == name && elsewhere == "" {
			elsewhere = s.path
		}
	}
	if near := nearest(name, neighbours); near != "" {
		return text + fmt.Sprintf("; did you mean %s?", near)
	}
	if elsewhere != "" {
		return text + fmt.Sprintf("; did you mean %s?", elsewhere)
	}
	return text
}

// readValue applies one setting.
func (l *loading) readValue(s *setting, key *token.Token, node ast.Node) {
	at := node.GetToken()
	if at == nil || at.Position == nil || node.Type() == ast.NullType {
		at = key
	}
	from := origin{source: l.file, line: at.Position.Line, column: at.Position.Column}
	err := s.setNode(node)
	if err != nil {
		l.bad[s.path] = true
		l.problem(Problem{Source: l.file, Line: from.line, Column: from.column, Path: s.path, Message: err.Error()})
		return
	}
	l.origins[s.path] = from
}

// setNode stores what a node of the file says. Types are strict: a number is written
// without quotes, and a text that looks like a number with quotes.
func (s *setting) setNode(node ast.Node) error {
	if s.isList() {
		seq, ok := node.(*ast.SequenceNode)
		if !ok {
			return errors.New("must be a list: [a, b], or one item a line, each after a hyphen")
		}
		items := make([]string, 0, len(seq.Values))
		for _, item := range seq.Values {
			text, ok := textOf(item)
			if !ok || text == "" {
				return errors.New("must be a list of texts")
			}
			items = append(items, text)
		}
		return s.setItems(items)
	}
	number := node.Type() == ast.IntegerType || node.Type() == ast.FloatType
	switch s.value.Interface().(type) {
	case int, float64:
		// A bare word gets an error that quotes it; it may be a number too large for YAML.
		if bare := node.Type() == ast.StringType && node.GetToken().Type == token.StringType; !number && !bare {
			return errors.New("must be a number" + found(node))
		}
		return s.set(node.GetToken().Value)
	case Bytes:
		if number {
			return s.set(node.GetToken().Value)
		}
	}
	text, ok := textOf(node)
	if !ok {
		if number || node.Type() == ast.BoolType {
			if s.value.Kind() == reflect.String || s.isSecret() {
				return errors.New("must be a text; put it in quotes")
			}
			return s.set(node.GetToken().Value) // a duration without a unit: its own error
		}
		return errors.New("must be a single value" + found(node))
	}
	return s.set(text)
}

// textOf is the text of a string in any of YAML's styles.
func textOf(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	}
	return "", false
}

// found says what stands there instead, by kind and never by value.
func found(node ast.Node) string {
	switch node.Type() {
	case ast.NullType:
		return "; none is given (remove the line for the default)"
	case ast.StringType, ast.LiteralType:
		return ", without quotes"
	case ast.SequenceType:
		return ", not a list"
	case ast.MappingType, ast.MappingValueType:
		return ", not a section"
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		return "; anchors, aliases and tags are not used here"
	}
	return ""
}
