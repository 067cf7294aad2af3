package endpoints

import "regexp"

// Check finds everything that is wrong with the channel that p would make of c, without
// storing anything; for a new channel c is Channel{Icon: DefaultIcon}.
func (p Patch) Check(c Channel) Problems {
	_, problems := p.apply(c, present())
	return problems
}

// Pattern is what the whole text of a field must match; nil for a field without one.
func Pattern(field string) *regexp.Regexp {
	switch field {
	case "name":
		return namePattern
	case "icon":
		return iconPattern
	case "custom_channel_endpoint", "status_callback":
		return endpointPattern
	case "custom_channel_warning_en", "custom_channel_warning_nl":
		return warningPattern
	}
	return nil
}
