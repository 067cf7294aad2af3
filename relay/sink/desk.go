package sink

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"omnirelay/relay/helpdesk"
)

// DeskOptions says what a Desk does.
type DeskOptions struct {
	Options // Secrets and BodyLimit do not apply

	// APIKey is the key that calls must carry, in the header or the query; empty lets every
	// call pass.
	APIKey string
	// FileLimit is the largest file that is taken, bytes; default 100 MiB.
	FileLimit int64
	// Transport sends the agents' answers; default http.DefaultTransport.
	Transport http.RoundTripper
}

// Desk is a stand-in for the helpdesk: an http.Handler with the calls of its Channel and Chat
// controllers, which holds every call to the documented rules, keeps tickets, and lets an
// "agent" answer with POST /agent/reply (ticketID, message). GET /agent/tickets lists the
// tickets, GET /stats the counts. A real helpdesk ignores webhook-id; this one uses it to
// tell repeats, and messages that are out of order: ids are made in the order of acceptance.
type Desk struct {
	*Sink
	apiKey    string
	fileLimit int64
	client    *http.Client
	unnamed   atomic.Int64 // calls without a webhook-id

	mu       sync.Mutex
	tickets  map[int64]*Ticket
	byKey    map[string]int64 // a ticket's session, or its channel and address
	channels map[int64]map[string]string
	next     int64
}

// Ticket is a customer's conversation with the agents.
type Ticket struct {
	ID        int64    `json:"id"`
	ChannelID int64    `json:"channel_id"`
	Session   string   `json:"chatSessionID,omitempty"`
	Address   string   `json:"from,omitempty"`
	Server    string   `json:"chatServer,omitempty"` // where the agents' answers go
	Ended     bool     `json:"ended,omitempty"`
	Messages  []string `json:"messages"` // what the customer sent, the last so many
	Files     []File   `json:"files,omitempty"`
}

// File is a file that came in; its bytes are counted and digested, not kept.
type File struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"` // hexadecimal
}

const (
	firstTicket  = 12312
	firstChannel = 1001
	// ticketMost is how many messages and files of a ticket are kept.
	ticketMost = 10_000
)

// NewDesk makes a Desk.
func NewDesk(o DeskOptions) *Desk {
	if o.FileLimit == 0 {
		o.FileLimit = 100 << 20
	}
	o.Secrets = nil
	d := &Desk{
		Sink:      New(o.Options),
		apiKey:    o.APIKey,
		fileLimit: o.FileLimit,
		client:    &http.Client{Transport: o.Transport, Timeout: 30 * time.Second},
		tickets:   map[int64]*Ticket{},
		byKey:     map[string]int64{},
		channels:  map[int64]map[string]string{},
		next:      firstTicket,
	}
	d.desk = d
	return d
}

// Serve answers on the listener until the context ends; see Sink.Serve.
func (d *Desk) Serve(ctx context.Context, listener net.Listener) error {
	return serve(ctx, listener, d)
}

// ServeHTTP implements http.Handler.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	call, isAPI := strings.CutPrefix(path, "/api/v2/")
	_, relayed := calls()[call]
	switch {
	case isAPI && relayed && r.Method == http.MethodPost:
		d.receive(w, r)
	case isAPI && !d.allowed(r):
		refuse(w, http.StatusUnauthorized, "The API key is missing or wrong.")
	case isAPI && (call == "channel" || strings.HasPrefix(call, "channel/")):
		d.serveChannels(w, r, strings.TrimPrefix(strings.TrimPrefix(call, "channel"), "/"))
	case isAPI && strings.HasPrefix(call, "chat/"):
		d.serveQuery(w, r, strings.TrimPrefix(call, "chat/"))
	case path == "/agent/reply" && r.Method == http.MethodPost:
		d.serveReply(w, r)
	case path == "/agent/tickets" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, map[string]any{"type": "list", "items": d.Tickets()})
	case path == "/stats" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, d.Stats())
	default:
		refuse(w, http.StatusNotFound, "There is no such call.")
	}
}

// Tickets returns copies of all tickets, the oldest first.
func (d *Desk) Tickets() []Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Ticket, 0, len(d.tickets))
	for _, t := range d.tickets {
		c := *t
		c.Messages, c.Files = slices.Clone(t.Messages), slices.Clone(t.Files)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Ticket) int { return int(a.ID - b.ID) })
	return list
}

func (d *Desk) allowed(r *http.Request) bool {
	return d.apiKey == "" || r.Header.Get("apiKey") == d.apiKey || r.URL.Query().Get("apiKey") == d.apiKey
}

// calls are those that bring something from a customer.
func calls() map[string]helpdesk.Call {
	return map[string]helpdesk.Call{
		"channel/customChannelMessage":  helpdesk.CustomChannelMessage(),
		"chat/notifyUserNewChatMessage": helpdesk.NotifyUserNewChatMessage(),
		"chat/notifyUserNewChatEvent":   helpdesk.NotifyUserNewChatEvent(),
		"chat/notifyUserVisited":        helpdesk.NotifyUserVisited(),
		"chat/notifyUserEndChat":        helpdesk.NotifyUserEndChat(),
		"chat/addAttachment":            helpdesk.AddAttachment(),
	}
}

// deskCall is a call that was read and follows the rules.
type deskCall struct {
	name   string
	values helpdesk.Values
	file   *File
	ticket int64 // once it was taken
}

// key names what a call's ticket is found by.
func (c *deskCall) key() string {
	if session := c.values.Text("chatSessionID"); session != "" {
		return "session:" + session
	}
	return "channel:" + c.values.Text("channelID") + ":" + c.values.Text("fromAddress")
}

// take does what a call asks for, and so gives it its ticket. Only a first message makes one.
func (d *Desk) take(l *line) {
	c := &l.call
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.ticket(c)
	if t == nil {
		return
	}
	c.ticket = t.ID
	if l.Sight == Repeat {
		return
	}
	switch {
	case c.name == "chat/notifyUserEndChat":
		t.Ended = true
	case c.file != nil:
		t.Files = appendMost(t.Files, *c.file)
	case c.values.Given("message"):
		t.Messages = appendMost(t.Messages, c.values.Text("message"))
		t.Ended = false
	}
	if server := c.values.Text("chatServer"); server != "" {
		t.Server = server
	}
}

func appendMost[T any](list []T, v T) []T {
	if len(list) >= ticketMost {
		list = slices.Delete(list, 0, ticketMost/2)
	}
	return append(list, v)
}

// ticket finds a call's ticket or makes it.
func (d *Desk) ticket(c *deskCall) *Ticket {
	id := c.values.Integer("ticketID")
	if id == 0 {
		id = d.byKey[c.key()]
	}
	if t := d.tickets[id]; t != nil {
		return t
	}
	if !c.values.Given("message") && c.file == nil {
		return nil
	}
	if id == 0 {
		id = d.next
		d.next++
	}
	channel := c.values.Integer("channelID")
	if channel == 0 && c.values.Given("chatSessionID") {
		channel = helpdesk.LiveChat
	}
	t := &Ticket{ID: id, ChannelID: channel, Session: c.values.Text("chatSessionID"), Address: c.values.Text("fromAddress"), Messages: []string{}}
	d.tickets[id] = t
	d.byKey[c.key()] = id
	return t
}

// known reports whether a session has a ticket.
func (d *Desk) known(session string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byKey["session:"+session] != 0
}

// envelope is the body of an answer, in the helpdesk's form.
func (d *Desk) envelope(w http.ResponseWriter, l *line, status int, problem string) {
	if status/100 != 2 {
		if problem == "" {
			problem = "Refused on demand."
		}
		writeBody(w, map[string]string{"status": "error", "type": "error", "message": problem})
		return
	}
	answer := map[string]any{"type": "result", "message": "Message sent."}
	if l.call.ticket != 0 {
		answer["ticketID"] = l.call.ticket
	}
	writeBody(w, answer)
}

// sequenceOf makes an ordinal of a message id: the first 64 bits of its UUIDv7, which grow
// from one id to the next.
func sequenceOf(id string) uint64 {
	hex := strings.ReplaceAll(strings.TrimPrefix(id, "msg_"), "-", "")
	if len(hex) != 32 {
		return 0
	}
	n, err := strconv.ParseUint(hex[:16], 16, 64)
	if err != nil {
		return 0
	}
	return n
}
