package helpdesk

import "strings"

// hookAliases are the names under which a helpdesk may send each field of an agent's
// message to a channel's endpoint, the likeliest first. That request is not documented, so
// the names are those of its documented relatives and the usual ones of its field.
var hookAliases = []alias{
	{"ticketID", []string{"ticketID", "ticket"}},
	{"message", []string{"message", "text", "body", "content", "plaintext", "message[text]", "message[content]", "message[body]"}},
	{"title", []string{"title", "subject", "message[title]"}},
	{"toAddress", []string{"toAddress", "to", "recipient", "toAddress[address]", "to[address]"}},
	{"fromAddress", []string{"fromAddress", "from", "sender", "fromAddress[address]", "from[address]"}},
	{"userID", []string{"userID", "agentID", "user[id]", "agent[id]"}},
	{"signature", []string{"signature", "message[signature]"}},
	// No plain "id": it may be the ticket's, and one ticket's messages must not pass for one.
	{"messageID", []string{"messageID", "message[id]"}},
}

// alias is a field and the names under which it may come.
type alias struct {
	field string
	names []string
}

// hookWrappers are objects in which the fields may lie.
var hookWrappers = []string{"", "data", "item", "payload"}

// ChannelHook is the helpdesk's own call of a channel's endpoint, after FromHook.
func ChannelHook() Call {
	return Call{Query: true, Fields: []Field{
		{Name: "ticketID", Kind: Integer, Doc: "The ticket that the message belongs to."},
		{Name: "message", Min: 1, Required: true, Doc: "The text."},
		{Name: "title", Max: maxTitle, Doc: "The ticket's title."},
		{Name: "toAddress", Max: maxAddress, Doc: "The customer's address on the channel."},
		{Name: "fromAddress", Max: maxAddress, Doc: "The address on our side that sends."},
		{Name: "userID", Kind: Integer, Default: "0", Doc: "The agent who wrote it; 0 is nobody in particular."},
		{Name: "signature", Max: maxSignature, Doc: "The agent's text signature."},
		{Name: "messageID", Max: 255, Doc: "The sender's own id of the message: the same id again is answered with the first message."},
	}}
}

// FromHook picks the fields of ChannelHook out of whatever names the helpdesk gave them,
// without regard to case and underscores, at the top level or one object down (data, item,
// payload). What it does not know is left out. Where a field came under several names, the
// likeliest that is not empty counts.
func FromHook(v Values) Values { return pick(v, hookAliases) }

func pick(v Values, aliases []alias) Values {
	bySpelling := make(map[string]string, len(v))
	for name, value := range v {
		key := spelling(name)
		// Two spellings of one name: the lesser name decides, so that the result does
		// not depend on the order of a map.
		if have, twice := bySpelling[key]; twice && have <= name {
			continue
		}
		if value != "" {
			bySpelling[key] = name
		}
	}
	picked := make(Values, len(aliases))
	for _, wrapper := range hookWrappers {
		for _, alias := range aliases {
			if picked.Given(alias.field) {
				continue
			}
			for _, name := range alias.names {
				if actual, ok := bySpelling[spelling(wrap(wrapper, name))]; ok {
					picked[alias.field] = v[actual]
					break
				}
			}
		}
	}
	return picked
}

// wrap names a field inside an object: wrap("data", "to[address]") is "data[to][address]".
func wrap(object, name string) string {
	if object == "" {
		return name
	}
	base, rest, nested := strings.Cut(name, "[")
	if !nested {
		return object + "[" + base + "]"
	}
	return object + "[" + base + "][" + rest
}
