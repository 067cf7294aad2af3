package api

import (
	"net/http"

	"omnirelay/relay/auth"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// hookPath is the beginning of every hookpoint's path, as Echo writes it.
const hookPath = "/hooks/chat/:token/"

// maxFiles is how many files one message may bring.
const maxFiles = 10

// chatRoutes are the rows of the route table for live chat, files and scheduled messages.
func (a *API) chatRoutes() []route {
	const (
		v2 = "/api/v2/chat/"
		v1 = "/relay/v1/"
	)
	accepts := []*Error{errFields, errMalformed, errManyFields, errTooLarge, errContentType, errFull, errUnavailable}
	begins := append([]*Error{errServer, errMoved, errTaken}, accepts...)
	visits := append([]*Error{errMoved, errNotFound}, accepts...)
	asks := []*Error{errFields, errMalformed, errManyFields, errTooLarge, errContentType, errDesk, errDeskSaysNo}
	hooked := append([]*Error{errNotFound}, accepts...)
	writes := []*Error{errFields, errMalformed, errManyFields, errTooLarge, errContentType, errConflict}
	one := []*Error{errFields, errNotFound}
	account := helpdesk.Call{Strict: true, Fields: []helpdesk.Field{accountID()}}
	token := helpdesk.Field{Name: "token", Required: true, Path: true, Doc: "The chat account's hook_token."}
	const hookDoc = " The token in the path is the key. Fields are found under their usual names, in any case and encoding, also in the query. The answer is a plain ok."
	post := func(name, summary, doc string, input helpdesk.Call, answer any, errors []*Error, handle func(*request) error) route {
		return route{
			method: http.MethodPost, path: v2 + name, id: name, permission: auth.APIChat,
			summary: summary, doc: doc, input: input, answer: answer, errors: errors, handle: handle,
		}
	}
	hook := func(name, summary string, input helpdesk.Call, handle func(*request) error) route {
		return route{
			method: http.MethodPost, path: hookPath + name, id: name, raw: true, gate: a.hookGate,
			summary: summary, doc: "The address to give a helpdesk as chatServer is this one without its last part." + hookDoc,
			input: input.With(token), errors: hooked, handle: handle,
		}
	}
	attachment := post("addAttachment", "Hand in a customer's file", "The ids may be in the query or in the body. Stored as it comes in, and relayed when answered with 200.",
		helpdesk.AddAttachment().With(idempotencyField()), client.Accepted{}, begins, a.addAttachment)
	attachment.files = &fileRule{names: []string{"file"}, text: true, most: 1, always: true, before: a.knownAttachment}
	upload := hook(helpdesk.HookUpload, "Hand in an agent's file, as a helpdesk", helpdesk.UploadForCustomerHook(), a.uploadForCustomer)
	upload.files = &fileRule{most: 1, always: true}
	return []route{
		post("requestChatConfig", "Ask how a chat account is set up", "Whether a widget may show itself, in which languages, and when.",
			helpdesk.RequestChatConfig(), itemAnswer[client.ChatConfig]{}, append(asks, errServer), a.chatConfig),
		post("notifyUserNewChatMessage", "Hand in a customer's chat message", "The first message of a chatSessionID begins the session. Stored when answered with 200, then relayed to the helpdesk.",
			helpdesk.NotifyUserNewChatMessage().With(idempotencyField()), client.Accepted{}, begins, a.newChatMessage),
		post("notifyUserNewChatEvent", "Hand in what a customer does", "Worthless when old: it is tried once, for 15 seconds, and a newer one takes its place.",
			helpdesk.NotifyUserNewChatEvent().With(idempotencyField()), client.Accepted{}, visits, a.newChatEvent),
		post("notifyUserVisited", "Hand in the page that a customer went to", "Worthless when old: it is tried once, for 15 seconds, and a newer one takes its place.",
			helpdesk.NotifyUserVisited().With(idempotencyField()), client.Accepted{}, visits, a.visited),
		post("notifyUserEndChat", "Hand in the end of a chat", "",
			helpdesk.NotifyUserEndChat().With(idempotencyField()), client.Accepted{}, visits, a.endChat),
		attachment,
		post("checkOriginAndIP", "Ask whether a visitor may chat", "", helpdesk.CheckOriginAndIP(), client.ChatCheck{}, append(asks, errServer), a.checkOriginAndIP),
		{
			method: http.MethodGet, path: v2 + "whitelistedDomainsAndBlacklistedIPs", id: "whitelistedDomainsAndBlacklistedIPs", permission: auth.APIChat,
			summary: "List the web sites that may chat and the addresses that may not", input: helpdesk.WhitelistedDomainsAndBlacklistedIPs(),
			answer: itemAnswer[client.ChatLists]{}, errors: []*Error{errDesk, errDeskSaysNo}, handle: a.chatLists,
		},
		post("requestChatQueue", "Ask how many chats wait for an agent", "", helpdesk.RequestChatQueue(), client.ChatQueue{}, asks, a.chatQueue),

		hook(helpdesk.HookMessage, "Hand in an agent's chat message, as a helpdesk", helpdesk.MessageForCustomerHook(), a.messageForCustomer),
		upload,
		hook(helpdesk.HookTyping, "Hand in that an agent types, as a helpdesk", helpdesk.TypingIndicatorForCustomerHook(), a.typingIndicatorForCustomer),
		{
			method: http.MethodPost, path: hookPath + "*", id: "unknownHookpoint", raw: true, unread: true, gate: a.hookGate,
			summary: "Any other hookpoint", doc: "Logged with the names of its fields and answered with a plain ok; nothing is relayed.",
			input:  helpdesk.Call{Fields: []helpdesk.Field{token, {Name: "hookpoint", Required: true, Path: true, Doc: "Whatever the helpdesk appends."}}},
			errors: []*Error{errNotFound}, handle: a.unknownHookpoint,
		},
		{
			method: http.MethodGet, path: "/files/:file", id: "downloadFile",
			summary: "Fetch a message's file", doc: "The address comes with the message and is good for delivery.download_lifetime after that was accepted, seven days by default. It needs no key.",
			input: filePath(), errors: []*Error{errFields, errLink, errOldLink, errNotFound, errUnavailable}, handle: a.file,
		},

		{
			method: http.MethodGet, path: v1 + "chat/accounts", id: "listAccounts", permission: auth.RelayRead,
			summary: "List chat accounts", input: helpdesk.Call{Strict: true}, answer: accountList{}, handle: a.listAccounts,
		}, {
			method: http.MethodPost, path: v1 + "chat/accounts", id: "createAccount", permission: auth.RelayAdmin,
			summary: "Create a chat account", input: helpdesk.Call{Strict: true, Fields: accountFields()}, answer: itemAnswer[client.Account]{}, errors: writes, handle: a.createAccount,
		}, {
			method: http.MethodGet, path: v1 + "chat/accounts/:id", id: "getAccount", permission: auth.RelayRead,
			summary: "Show a chat account", doc: "With its tokens for callers with RELAY_ADMIN.", input: account, answer: itemAnswer[client.Account]{}, errors: one, handle: a.getAccount,
		}, {
			method: http.MethodPut, path: v1 + "chat/accounts/:id", id: "updateAccount", permission: auth.RelayAdmin,
			summary: "Change a chat account", doc: "Fields that are not given stay as they are.",
			input: account.With(accountFields()...), answer: itemAnswer[client.Account]{}, errors: append(writes, errNotFound), handle: a.updateAccount,
		}, {
			method: http.MethodDelete, path: v1 + "chat/accounts/:id", id: "deleteAccount", permission: auth.RelayAdmin,
			summary: "Delete a chat account", doc: "Its sessions end with it; replies that were not delivered yet become dead letters.", input: account, answer: client.Result{}, errors: one, handle: a.deleteAccount,
		}, {
			method: http.MethodGet, path: v1 + "chat/sessions", id: "listSessions", permission: auth.RelayRead,
			summary: "List chat sessions", doc: "In the order in which they were last written down, the longest ago first.", input: listSessions(), answer: sessionList{}, errors: []*Error{errFields}, handle: a.listSessions,
		}, {
			method: http.MethodGet, path: v1 + "chat/sessions/:id", id: "getSession", permission: auth.RelayRead,
			summary: "Show a chat session", input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{{Name: "id", Required: true, Path: true, Doc: "The chatSessionID."}}},
			answer: itemAnswer[client.ChatSession]{}, errors: one, handle: a.getSession,
		},
		{
			method: http.MethodGet, path: v1 + "scheduled", id: "listScheduled", permission: auth.RelayRead,
			summary: "List messages that wait for their time", doc: "The next to be sent first.", input: listScheduled(), answer: scheduledList{}, errors: []*Error{errFields}, handle: a.listScheduled,
		}, {
			method: http.MethodDelete, path: v1 + "scheduled/:id", id: "cancelScheduled", permission: auth.RelayAdmin,
			summary: "Cancel a message that waits for its time", doc: "For good. Its history tells who did it.",
			input: helpdesk.Call{Strict: true, Fields: []helpdesk.Field{messageIDPath()}}, answer: client.Result{}, errors: append(one, errConflict), handle: a.cancelScheduled,
		},
	}
}
