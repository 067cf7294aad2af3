// Package chat knows the live-chat accounts and their sessions.
//
// An account is what an integrator's chatAccountToken stands for: which chat servers and web
// sites may use it, when it is open, how its hookpoint calls are signed. Accounts live in a
// JetStream KV bucket that every instance keeps in memory.
//
// A session is one customer's chat: it ties a chatSessionID to the chat server that gets the
// agent's replies, to one account, and to the helpdesk's ticket once that is known. Sessions
// live in a KV bucket that forgets them after a day of silence.
package chat
