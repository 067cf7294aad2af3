package config

import (
	"bytes"
	"strconv"

	"github.com/goccy/go-yaml/token"
)

// origin is where a value came from; the zero origin is the default.
type origin struct {
	source       string // the file's name, or the variable's
	line, column int    // 0 for a variable
}

func (o origin) isDefault() bool  { return o.source == "" }
func (o origin) isVariable() bool { return o.source != "" && o.line == 0 }

// String is "default", "omnirelay.yaml:12" or "OMNIRELAY_LISTEN".
func (o origin) String() string {
	switch {
	case o.isDefault():
		return "default"
	case o.isVariable():
		return o.source
	}
	return o.source + ":" + strconv.Itoa(o.line)
}

// loading is one run of Load.
type loading struct {
	config   Config
	settings []*setting
	byPath   map[string]*setting
	sections map[string]bool
	file     string
	origins  map[string]origin
	bad      map[string]bool // settings with a problem of their own
	problems Problems
}

// Load reads the settings from the file at path, or without a path from the one that
// OMNIRELAY_CONFIG names, or from none; and then from the variables of environ, which is
// in the form of os.Environ. The error, if any, is of type Problems and complete.
func Load(path string, environ []string) (Config, error) {
	l := newLoading()
	vars := ours(environ)
	if path == "" {
		path = vars[FileVariable]
	}
	if path != "" {
		l.readFile(path)
	}
	l.readEnviron(vars)
	return l.finish()
}

func newLoading() *loading {
	l := &loading{
		config:   Default(),
		byPath:   map[string]*setting{},
		sections: map[string]bool{},
		origins:  map[string]origin{},
		bad:      map[string]bool{},
	}
	l.settings = l.config.settings()
	for _, s := range l.settings {
		l.byPath[s.path] = s
		if section := s.section(); section != "" {
			l.sections[section] = true
		}
	}
	return l
}

// finish resolves what depends on several settings and checks them against each other.
func (l *loading) finish() (Config, error) {
	l.readSecretFiles()
	l.config.origins = l.origins
	l.config.withCluster()
	l.checkRelations()
	if len(l.problems) > 0 {
		return Config{}, l.problems.sorted()
	}
	return l.config, nil
}

// readSecretFiles reads the files that <secret>_file settings name. A variable beats the
// file for the pair as it does for one setting.
func (l *loading) readSecretFiles() {
	for _, s := range l.settings {
		if s.secret == nil {
			continue
		}
		from, direct := l.origins[s.path], l.origins[s.secret.path]
		switch {
		case from.isDefault() || direct.isVariable() && !from.isVariable():
			continue
		case !direct.isDefault() && direct.isVariable() == from.isVariable():
			l.relation("set either this or "+s.secret.path+", not both", s.path)
			continue
		}
		path := s.value.String()
		text, err := readLimited(path)
		if err == nil {
			err = s.secret.set(string(bytes.TrimRight(text, "\r\n")))
		}
		if err != nil {
			l.relation("the secret in "+path+" cannot be used: "+err.Error(), s.path)
			l.bad[s.secret.path] = true
			continue
		}
		l.origins[s.secret.path] = from
	}
}

func (l *loading) problem(p Problem) { l.problems = append(l.problems, p) }

func (l *loading) problemAt(t *token.Token, path, message string) {
	p := Problem{Source: l.file, Path: path, Message: message}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	l.problem(p)
}
