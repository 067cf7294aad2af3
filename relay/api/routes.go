package api

import (
	"net/http"

	"omnirelay/relay/auth"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// outboundFields are what POST /api/v2/message takes besides, and takes more of, than the
// helpdesk's own.
func outboundFields() []helpdesk.Field {
	return []helpdesk.Field{
		{Name: "ticketID", Kind: helpdesk.Integer, Doc: "The ticket that the message belongs to; toAddress may stand in for it."},
		{Name: "message", Min: 1, Required: true, Doc: "The text."},
		{Name: "title", Max: 1000, Doc: "Extension: the ticket's title."},
		{Name: "fromAddress", Max: 1000, Doc: "Extension: the address on our side that sends."},
		{Name: "signature", Max: 65535, Doc: "Extension: the agent's text signature, carried where the channel has include_signature."},
		{Name: "forwardedFileIDs", Refuse: "is not supported: the message would go out without its files"},
		{Name: "sendAt", Refuse: "is not supported: the message would go out at once"},
		idempotencyField(),
	}
}

// routes is the table of every call.
func (a *API) routes() []route {
	const (
		channel = "/api/v2/channel"
		v1      = "/relay/v1"
	)
	accepts := []*Error{errFields, errMalformed, errManyFields, errTooLarge, errContentType, errFull, errUnavailable}
	writes := []*Error{errFields, errMalformed, errManyFields, errTooLarge, errContentType, errConflict}
	one := []*Error{errFields, errNotFound}
	return []route{
		{
			method: http.MethodGet, path: channel, id: "listChannels", permission: auth.ChannelRead,
			summary: "List channels", input: listChannels(), answer: channelList{}, errors: []*Error{errFields}, handle: a.listChannels,
		}, {
			method: http.MethodPost, path: channel, id: "createChannel", permission: auth.ChannelCUD,
			summary: "Create a channel", input: createChannel(), answer: itemAnswer[client.Channel]{}, errors: writes, handle: a.createChannel,
		}, {
			method: http.MethodGet, path: channel + "/:id", id: "getChannel", permission: auth.ChannelCUD,
			summary: "Show a channel", doc: "Needs CHANNEL_CUD, as in the helpdesk: the answer holds the hook's address.",
			input: helpdesk.Call{Fields: []helpdesk.Field{channelID()}}, answer: itemAnswer[client.Channel]{}, errors: one, handle: a.getChannel,
		}, {
			method: http.MethodPut, path: channel + "/:id", id: "updateChannel", permission: auth.ChannelCUD,
			summary: "Change a channel", doc: "Fields that are not given stay as they are.",
			input: updateChannel(), answer: itemAnswer[client.Channel]{}, errors: append(writes, errNotFound), handle: a.updateChannel,
		}, {
			method: http.MethodDelete, path: channel + "/:id", id: "deleteChannel", permission: auth.ChannelCUD,
			summary: "Delete a channel", doc: "Messages that were not delivered yet become dead letters with the reason discarded. The id is never used again.",
			input: helpdesk.Call{Fields: []helpdesk.Field{channelID()}}, answer: client.Result{}, errors: one, handle: a.deleteChannel,
		}, {
			method: http.MethodPost, path: channel + "/customChannelMessage", id: "customChannelMessage", permission: auth.MessageCreate,
			summary: "Hand in a customer's message", doc: "Stored when answered with 200, then relayed to the helpdesk. One of ticketID and channelID must be given.",
			input: helpdesk.CustomChannelMessage().With(idempotencyField()), answer: client.Accepted{}, errors: accepts, handle: a.customChannelMessage,
		}, {
			method: http.MethodPost, path: "/api/v2/message", id: "postMessage", permission: auth.MessageCreate,
			summary: "Send an agent's message", doc: "Stored when answered with 200, then relayed to the channel's endpoint. One of ticketID and toAddress must be given.",
			input: helpdesk.PostMessage().With(outboundFields()...), answer: client.Accepted{}, errors: accepts, handle: a.postMessage,
		}, {
			method: http.MethodPost, path: "/hooks/channel/:id/:token", id: "channelHook", raw: true,
			summary: "Hand in an agent's message, as a helpdesk",
			doc: "The address to give a helpdesk as custom_channel_endpoint. The token in the path is the key. Fields are found under their usual names, in any case, also inside data, item or payload, " +
				"and in the query. Where the channel has a secret and the request carries Standard Webhooks headers, the signature must verify.",
			input:  helpdesk.ChannelHook().With(helpdesk.Field{Name: "id", Kind: helpdesk.Integer, Low: 1, Required: true, Path: true, Doc: "The channel's id."}, helpdesk.Field{Name: "token", Required: true, Path: true, Doc: "The channel's hook_token."}),
			answer: client.Accepted{}, errors: append(accepts, errNotFound, errSignature), handle: a.channelHook,
		}, {
			method: http.MethodGet, path: v1 + "/messages", id: "listMessages", permission: auth.RelayRead,
			summary: "List messages", doc: "Newest first.", input: listMessages(), answer: messageList{}, errors: []*Error{errFields}, handle: a.listMessages,
		}, {
			method: http.MethodGet, path: v1 + "/messages/:id", id: "getMessage", permission: auth.RelayRead,
			summary: "Show a message and every attempt", input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: itemAnswer[client.Message]{}, errors: one, handle: a.getMessage,
		}, {
			method: http.MethodGet, path: v1 + "/dead", id: "listDead", permission: auth.RelayRead,
			summary: "List dead letters", doc: "Oldest first: the order in which a replay should go.", input: listDead(), answer: deadList{}, errors: []*Error{errFields}, handle: a.listDead,
		}, {
			method: http.MethodPost, path: v1 + "/dead/:id/replay", id: "replayDead", permission: auth.RelayAdmin,
			summary: "Send a dead letter again", doc: "Under the same id, at the end of the log.",
			input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: client.Accepted{}, errors: append(one, errFull, errUnavailable), handle: a.replayDead,
		}, {
			method: http.MethodPost, path: v1 + "/dead/:id/discard", id: "discardDead", permission: auth.RelayAdmin,
			summary: "Discard a dead letter for good", doc: "The message's history stays, with who discarded it.",
			input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: client.Result{}, errors: one, handle: a.discardDead,
		}, {
			method: http.MethodGet, path: v1 + "/keys", id: "listKeys", permission: auth.RelayRead,
			summary: "List API keys", input: helpdesk.Call{Strict: true}, answer: keyList{}, handle: a.listKeys,
		}, {
			method: http.MethodPost, path: v1 + "/keys", id: "createKey", permission: auth.RelayAdmin,
			summary: "Create an API key", doc: "The answer holds the key in clear, this once. A key can hand out only the permissions and channels that it has itself.",
			input: createKey(), answer: itemAnswer[client.NewKey]{}, errors: writes, handle: a.createKey,
		}, {
			method: http.MethodDelete, path: v1 + "/keys/:id", id: "revokeKey", permission: auth.RelayAdmin,
			summary: "Revoke an API key", doc: "At once, on every instance, for good.", input: keyIDPath(), answer: client.Result{}, errors: one, handle: a.revokeKey,
		}, {
			method: http.MethodGet, path: v1 + "/version", id: "version", permission: auth.RelayRead,
			summary: "Show the relay's version", input: helpdesk.Call{Strict: true}, answer: itemAnswer[client.Version]{}, handle: a.version,
		}, {
			method: http.MethodGet, path: v1 + "/stats", id: "stats", permission: auth.RelayRead,
			summary: "Show a few figures", input: helpdesk.Call{Strict: true}, answer: itemAnswer[client.Stats]{}, handle: a.stats,
		}, {
			method: http.MethodGet, path: "/openapi.json", id: "openapi",
			summary: "This description", handle: a.serveOpenAPI,
		}, {
			method: http.MethodGet, path: "/docs", id: "docs",
			summary: "This description as a page", handle: a.serveDocs,
		},
	}
}
