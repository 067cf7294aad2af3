package config

import (
	"net/netip"
	"reflect"
	"strings"

	"omnirelay/relay"
)

// setting is one leaf of Config: where its value goes and which rules it obeys.
type setting struct {
	path  string // delivery.max_age
	field string // Delivery.MaxAge: the Go type and field, under which its comment is found
	tag   reflect.StructTag
	value reflect.Value // addressable

	// secret is set for the <name>_file companion of a secret; value is then a string
	// that lives only while Load runs.
	secret *setting
}

// name is the last part of the path.
func (s *setting) name() string { return s.path[strings.LastIndexByte(s.path, '.')+1:] }

// section is the path without its last part, empty at the top.
func (s *setting) section() string {
	return strings.TrimSuffix(s.path[:len(s.path)-len(s.name())], ".")
}

// variable is the name of the setting's environment variable.
func (s *setting) variable() string {
	return prefix + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// settings lists the leaves of c in the order of its fields, each secret followed by its
// _file companion.
func (c *Config) settings() []*setting {
	var all []*setting
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := f.Tag.Get("yaml")
			if name == "" {
				continue
			}
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Secret]() {
				walk(path+name+".", v.Field(i))
				continue
			}
			s := &setting{
				path:  path + name,
				field: v.Type().Name() + "." + f.Name,
				tag:   f.Tag,
				value: v.Field(i),
			}
			all = append(all, s)
			if s.isSecret() {
				all = append(all, &setting{
					path:   s.path + "_file",
					tag:    `form:"path"`,
					value:  reflect.New(reflect.TypeFor[string]()).Elem(),
					secret: s,
				})
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return all
}

func (s *setting) isSecret() bool { return s.value.Type() == reflect.TypeFor[Secret]() }

// isList reports whether the value is a list: a sequence in the file, comma separated in
// the environment.
func (s *setting) isList() bool { return s.value.Kind() == reflect.Slice }

// items is the value of a list as texts.
func (s *setting) items() []string {
	var texts []string
	switch v := s.value.Interface().(type) {
	case []string:
		texts = v
	case []netip.Prefix:
		for _, p := range v {
			texts = append(texts, p.String())
		}
	}
	return texts
}

// text is the value of a scalar as it is written in a file; a secret stays hidden.
func (s *setting) text() string {
	switch v := s.value.Interface().(type) {
	case relay.Duration:
		return shortDuration(v)
	case Bytes:
		return v.String()
	case Secret:
		return v.String()
	case string:
		if form := s.tag.Get("form"); form == "url" || form == "base_url" {
			return withoutQuery(v)
		}
		return v
	}
	return plainNumber(s.value)
}

// shortDuration is 72h where Go's own form is 72h0m0s.
func shortDuration(d relay.Duration) string {
	t := d.String()
	if cut, ok := strings.CutSuffix(t, "m0s"); ok {
		t = cut + "m"
	}
	if cut, ok := strings.CutSuffix(t, "h0m"); ok {
		t = cut + "h"
	}
	return t
}

// withoutQuery hides a URL's query, which on some receivers is a secret.
func withoutQuery(url string) string {
	if at := strings.IndexByte(url, '?'); at >= 0 {
		return url[:at+1] + "…"
	}
	return url
}
