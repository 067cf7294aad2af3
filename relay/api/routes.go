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
		{Name: "sendAt", Pattern: sendAtPattern, Doc: "When to send it, YYYY-MM-DD HH:MM:SS, in the relay's zone for such times (UTC by default). A time that is past sends at once."},
		{Name: "chatSessionID", Max: 65, Doc: "Extension: with type 8, the chat session, in place of ticketID."},
		{Name: "attachments", Kind: helpdesk.Files, Doc: "Extension: up to 10 files, as parts attachments[] of a multipart body."},
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
			summary: "Send an agent's message", doc: "Stored when answered with 200, then relayed to the channel's endpoint; with type 8 to the chat server of a live-chat session. One of ticketID and toAddress must be given, with type 8 one of ticketID and chatSessionID.",
			input: helpdesk.PostMessage().With(outboundFields()...), answer: client.Accepted{}, errors: append([]*Error{errNotFound}, accepts...), handle: a.postMessage,
			files: &fileRule{names: []string{"attachments"}, most: maxFiles},
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
			summary: "Show a message and every attempt", doc: "ticketID is shown also where only the helpdesk's answer named it.", input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: itemAnswer[client.Message]{}, errors: one, handle: a.getMessage,
		}, {
			method: http.MethodGet, path: v1 + "/dead", id: "listDead", permission: auth.RelayRead,
			summary: "List dead letters", doc: "Oldest first: the order in which a replay should go.", input: listDead(), answer: deadList{}, errors: []*Error{errFields}, handle: a.listDead,
		}, {
			method: http.MethodGet, path: v1 + "/dead/:id", id: "getDead", permission: auth.RelayRead,
			summary: "Show a dead letter", input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: itemAnswer[client.DeadLetter]{}, errors: one, handle: a.getDead,
		}, {
			method: http.MethodPost, path: v1 + "/dead/:id/replay", id: "replayDead", permission: auth.RelayAdmin,
			summary: "Send a dead letter again", doc: "Under the same id, at the end of the log.",
			input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: client.Accepted{}, errors: append(one, errFull, errUnavailable), handle: a.replayDead,
		}, {
			method: http.MethodPost, path: v1 + "/dead/:id/discard", id: "discardDead", permission: auth.RelayAdmin,
			summary: "Discard a dead letter for good", doc: "The message's history stays, with who discarded it.",
			input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: client.Result{}, errors: one, handle: a.discardDead,
		}, {
			method: http.MethodGet, path: v1 + "/tail", id: "tail", permission: auth.RelayRead,
			summary: "Follow what happens",
			doc:     "A stream of Server-Sent Events: message for each message that is accepted from now on, attempt for each attempt that ends. Their data is an object with a field of that name.",
			input:   tailCall(), errors: []*Error{errFields}, handle: a.tail,
		}, {
			method: http.MethodGet, path: v1 + "/holds", id: "listHolds", permission: auth.RelayRead,
			summary: "List the destinations on hold", input: helpdesk.Call{Strict: true}, answer: holdList{}, handle: a.listHolds,
		}, {
			method: http.MethodPost, path: v1 + "/holds", id: "createHold", permission: auth.RelayAdmin,
			summary: "Hold a destination", doc: "It goes on accepting messages and nothing is sent; time on hold does not count towards a message's age. One that is on hold already keeps its beginning.",
			input: createHold(), answer: itemAnswer[client.Hold]{}, errors: writes, handle: a.createHold,
		}, {
			method: http.MethodDelete, path: v1 + "/holds/:destination", id: "deleteHold", permission: auth.RelayAdmin,
			summary: "Resume a destination", doc: "What was accepted meanwhile is sent in order.",
			input: holdPath(), answer: client.Result{}, errors: one, handle: a.deleteHold,
		}, {
			method: http.MethodGet, path: v1 + "/replays", id: "listReplays", permission: auth.RelayRead,
			summary: "List the replays that are not carried out yet", input: helpdesk.Call{Strict: true}, answer: replayList{}, handle: a.listReplays,
		}, {
			method: http.MethodPost, path: v1 + "/replays", id: "createReplay", permission: auth.RelayAdmin,
			summary: "Send everything since a time again",
			doc:     "To one destination, oldest first, under the same ids, as far back as the history reaches. A second replay of a destination must wait for the first to begin.",
			input:   createReplay(), answer: itemAnswer[client.Replay]{}, errors: writes, handle: a.createReplay,
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
