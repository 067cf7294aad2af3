package relay

import "strings"

// FieldError says which rule one field of an input broke.
type FieldError struct {
	Field string // as the caller spells it in the API, e.g. "custom_channel_endpoint"
	Rule  string // what must hold, to be read after the field's name: "must have at most 255 characters"
}

// Error is the field and its rule in one sentence.
func (e FieldError) Error() string { return e.Field + " " + e.Rule }

// Problems is everything that is wrong with an input, found at once so that a caller can
// mend it at once. No value of the input is quoted: it may be a secret.
type Problems []FieldError

// Error joins all the sentences.
func (p Problems) Error() string {
	sentences := make([]string, len(p))
	for i, e := range p {
		sentences[i] = e.Error()
	}
	return strings.Join(sentences, "; ")
}

// Add notes that field breaks rule.
func (p *Problems) Add(field, rule string) {
	*p = append(*p, FieldError{Field: field, Rule: rule})
}

// Err is p as an error, and nil when nothing is wrong.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
