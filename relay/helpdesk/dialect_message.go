package helpdesk

import "regexp"

// LiveChat is the channel id that stands for live chat in the helpdesk.
const LiveChat = 8

// maxAddress and maxTitle are bounds of our own, in characters: the specification gives
// none, and an address names a conversation that is kept in memory.
const (
	maxAddress = 1000
	maxTitle   = 1000
	// maxSignature is the bound of the helpdesk's own signature field (e-mail addresses).
	maxSignature = 65535
)

// CustomChannelMessage is POST /api/v2/channel/customChannelMessage: a customer's message.
func CustomChannelMessage() Call {
	return Call{Fields: []Field{
		{Name: "ticketID", Kind: Integer, Doc: "The ticket that the message belongs to. Without it the helpdesk finds or makes one."},
		{Name: "channelID", Kind: Integer, Doc: "The custom channel that the message came in on."},
		{Name: "message", Min: 1, Required: true, Doc: "The text."},
		{Name: "title", Max: maxTitle, Doc: "The title of a new ticket."},
		{Name: "toAddress", Max: maxAddress, Doc: "The address on our side that the customer wrote to."},
		{Name: "fromAddress", Max: maxAddress, Doc: "The customer's address on the channel."},
		{Name: "userID", Kind: Integer, Default: "0", Doc: "The agent concerned; 0 is none."},
	}}
}

var (
	messageType = regexp.MustCompile(`^([0-9]+|calllog|contactform)$`)
	sendAt      = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})$`)
)

// PostMessage is POST /api/v2/message: an agent's message in a ticket.
func PostMessage() Call {
	return Call{Fields: []Field{
		{Name: "ticketID", Kind: Integer, Required: true, Doc: "The ticket that the message belongs to."},
		{Name: "type", Pattern: messageType, Max: 19, Required: true, Doc: "The id of the channel to send on."},
		{Name: "toAddress", Max: maxAddress, Doc: "The customer's address on the channel."},
		{Name: "ccInput", Max: maxAddress, Doc: "For e-mail only."},
		{Name: "bccInput", Max: maxAddress, Doc: "For e-mail only."},
		{Name: "respondMessageID", Kind: Integer, Default: "0", Doc: "The message that this one answers."},
		{Name: "plaintext", Doc: "For e-mail only: the text without markup."},
		{Name: "message", Min: 5, Required: true, Doc: "The text."},
		{Name: "forwardedFileIDs", Kind: List, Low: 0, High: 1<<63 - 1, Doc: "Files of the helpdesk to send along."},
		{Name: "sendAt", Pattern: sendAt, Doc: "When to send it, YYYY-MM-DD HH:MM:SS."},
		{Name: "userID", Kind: Integer, Default: "0", Doc: "The agent who wrote it; 0 is nobody in particular."},
		{Name: "submitStatus", Max: 64, Doc: "The ticket's status after sending."},
	}}
}
