package api

import (
	"omnirelay/endpoints"
	"omnirelay/relay/helpdesk"
)

// channelFields describes what a channel can be given. Only the kind of each value is
// checked here; its pattern and range are the channel registry's business.
func channelFields() []helpdesk.Field {
	fields := []helpdesk.Field{
		{Name: "name", Doc: "Letters, digits, spaces and . - _; needed to create a channel."},
		{Name: "icon", Default: endpoints.DefaultIcon, Doc: "Letters, digits and - _."},
		{Name: "custom_channel_endpoint", Doc: "The http or https URL that agents' messages are POSTed to; needed to create a channel."},
		{Name: "custom_channel_secret", Clearable: true, Doc: "Signs those requests (Standard Webhooks): whsec_ and base64, or any text. Empty signs nothing. Never shown again."},
		{Name: "include_signature", Kind: helpdesk.Boolean, Default: "false", Doc: "Carry the agent's text signature in messages."},
		{Name: "custom_channel_warning_en", Clearable: true, Doc: "A warning for agents, in English."},
		{Name: "custom_channel_warning_nl", Clearable: true, Doc: "A warning for agents, in Dutch."},
		{Name: "custom_channel_available_in_quick_ticket", Kind: helpdesk.Boolean, Default: "false", Doc: "Offer the channel in quick tickets."},
		{Name: "concurrency", Kind: helpdesk.Integer, High: 1 << 31, Default: "16", Doc: "Extension: requests in flight at once, over all conversations, 1 to 1024."},
		{Name: "timeout", Kind: helpdesk.Duration, Default: "15s", Doc: "Extension: of one request, 100ms to 5m."},
		{Name: "max_attempts", Kind: helpdesk.Integer, High: 1 << 31, Default: "10", Doc: "Extension: tries before a message becomes a dead letter, 1 to 100."},
		{Name: "max_age", Kind: helpdesk.Duration, Default: "72h", Doc: "Extension: age at which a message becomes a dead letter, 1s to 720h."},
		{Name: "retry_initial", Kind: helpdesk.Duration, Default: "5s", Doc: "Extension: the longest wait after the first failure, from 10ms; doubles with each."},
		{Name: "retry_max", Kind: helpdesk.Duration, Default: "4h", Doc: "Extension: the longest wait of all, up to 24h."},
		{Name: "rate_limit", Kind: helpdesk.Decimal, Default: "0", Doc: "Extension: messages a second; 0 is no limit."},
		{Name: "rate_burst", Kind: helpdesk.Integer, High: 1 << 31, Default: "1", Doc: "Extension: messages that may go at once under rate_limit."},
		{Name: "status_callback", Clearable: true, Doc: "Extension: an http or https URL to tell what became of messages."},
		{Name: "custom_channel_secret_overlap", Kind: helpdesk.Duration, Default: "24h", Doc: "Extension: how long a secret that a new one replaces still signs too; 0s ends it at once."},
	}
	for i := range fields {
		if pattern := endpoints.Pattern(fields[i].Name); pattern != nil {
			fields[i].Doc += " Pattern " + pattern.String() + "."
		}
	}
	return fields
}

func channelID() helpdesk.Field {
	return helpdesk.Field{Name: "id", Kind: helpdesk.Integer, Low: 1, High: endpoints.MaxID, Required: true, Path: true, Doc: "The channel's id."}
}

// createChannel and the others are the inputs of the Channel controller's calls.
func createChannel() helpdesk.Call {
	id := helpdesk.Field{Name: "id", Kind: helpdesk.Integer, Low: 1, High: endpoints.MaxID, Doc: "Extension: the channel's id, so that it equals the helpdesk's; else the next free one from 1001 on."}
	return helpdesk.Call{Fields: append([]helpdesk.Field{id}, channelFields()...)}
}

func updateChannel() helpdesk.Call {
	return helpdesk.Call{Fields: append([]helpdesk.Field{channelID()}, channelFields()...)}
}

func listChannels() helpdesk.Call {
	return helpdesk.Call{Query: true, Fields: []helpdesk.Field{
		{Name: "itemStart", Kind: helpdesk.Integer, High: 1 << 31, Default: "0", Doc: "How many channels to skip."},
		{Name: "itemLimit", Kind: helpdesk.Integer, Low: 1, High: 9999, Default: "15", Doc: "How many channels to list at most."},
	}}
}
