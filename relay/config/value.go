package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// set reads one text, from the environment or from a scalar of the file, checks it against
// the setting's rules and stores it. On an error nothing is stored. No error quotes a secret.
func (s *setting) set(text string) error {
	if s.isList() {
		var items []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return s.setItems(items)
	}
	if s.isSecret() {
		return s.setSecret(text)
	}
	v := reflect.New(s.value.Type()).Elem()
	if err := parse(v, text); err != nil {
		return err
	}
	if err := s.checkRange(v); err != nil {
		return err
	}
	if v.Kind() == reflect.String {
		if err := s.checkText(text); err != nil {
			return err
		}
	}
	s.value.Set(v)
	return nil
}

// setItems stores a list.
func (s *setting) setItems(items []string) error {
	if _, ok := reflect.TypeAssert[[]netip.Prefix](s.value); ok {
		var prefixes []netip.Prefix
		for _, item := range items {
			p, err := parsePrefix(item)
			if err != nil {
				return err
			}
			prefixes = append(prefixes, p)
		}
		s.value.Set(reflect.ValueOf(prefixes))
		return nil
	}
	for _, item := range items {
		if err := s.checkText(item); err != nil {
			return err
		}
	}
	s.value.Set(reflect.ValueOf(items))
	return nil
}

// parse reads text into a scalar.
func parse(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%s is more than can be counted", clip(text))
		}
		if err != nil {
			return fmt.Errorf("%q is not a whole number", clip(text))
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("%q is not a number", clip(text))
		}
		v.SetFloat(n)
	case reflect.String:
		v.SetString(text)
	default:
		return fmt.Errorf("a value of type %s cannot be read", v.Type())
	}
	return nil
}

// setSecret stores a secret; its tag min is a length.
func (s *setting) setSecret(text string) error {
	if n, err := strconv.Atoi(s.tag.Get("min")); err == nil && utf8.RuneCountInString(text) < n {
		return fmt.Errorf("must have at least %d characters", n)
	}
	s.value.Set(reflect.ValueOf(NewSecret(text)))
	return nil
}

// checkRange applies the tags min and max, which are written like the values themselves.
func (s *setting) checkRange(v reflect.Value) error {
	least, most := s.tag.Get("min"), s.tag.Get("max")
	if least == "" {
		return nil
	}
	low, high := reflect.New(v.Type()).Elem(), reflect.New(v.Type()).Elem()
	if err := errors.Join(parse(low, least), parse(high, most)); err != nil {
		return fmt.Errorf("reading the rule of %s: %w", s.path, err)
	}
	if number(v) < number(low) || number(v) > number(high) {
		return fmt.Errorf("must be from %s to %s", least, most)
	}
	return nil
}

// number makes values of one type comparable.
func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}

func plainNumber(v reflect.Value) string {
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatFloat(v.Float(), 'f', -1, 64)
}

// checkText applies the tags oneof and form.
func (s *setting) checkText(text string) error {
	if words := strings.Fields(s.tag.Get("oneof")); len(words) > 0 && !slices.Contains(words, text) {
		return fmt.Errorf("must be %s, not %q", orList(words), clip(text))
	}
	return checkForm(s.tag.Get("form"), text)
}

// orList is "a, b or c".
func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
