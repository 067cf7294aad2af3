package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/download"
	"omnirelay/relay/tickets"
)

// The largest request body and the largest file, bytes, unless Options say otherwise.
const (
	DefaultBodyLimit       = 1 << 20
	DefaultAttachmentLimit = 25 << 20
)

// Options are what the API stands on.
type Options struct {
	Channels *endpoints.Registry
	Keys     *auth.Registry
	Queue    *queue.Log
	Holds    *queue.Holds
	Replays  *queue.Replays
	Files    *queue.Files
	Schedule *queue.Schedule
	Accounts *chat.Accounts
	Sessions *chat.Sessions
	Links    *download.Links

	// Tickets knows which customer a ticket of the helpdesk belongs to; nil knows none.
	Tickets *tickets.Tickets

	// Queries answers the questions of live chat from a helpdesk; nil answers them from the
	// accounts.
	Queries Queries

	// CheckURL says whether messages may be sent to a URL; it is asked when a channel is
	// saved. An *egress.UnresolvedError is let pass: the name may resolve later, and each
	// delivery asks again.
	CheckURL func(ctx context.Context, url string) error

	// PublicURL is where the outside world reaches this API, without a trailing slash: the
	// beginning of the hook addresses that channels show. Empty shows paths only.
	PublicURL string

	Version   string
	StartedAt time.Time // of the process; defaults to the time of New
	BodyLimit int64     // bytes; defaults to DefaultBodyLimit

	// AttachmentLimit is the largest file, bytes; defaults to DefaultAttachmentLimit. Files
	// do not count for BodyLimit.
	AttachmentLimit int64

	// SendAtZone is the zone of sendAt, which carries none; defaults to UTC.
	SendAtZone *time.Location

	// Now is the clock; defaults to time.Now.
	Now func() time.Time

	// Log gets one line for each request: debug, and warn for what is the relay's own
	// failure. No line holds a query, a body, a key or a secret.
	Log zerolog.Logger
}

// API is the handler of the public listener.
type API struct {
	o       Options
	echo    *echo.Echo
	buffers sync.Pool       // *bytes.Buffer, for bodies
	ending  context.Context // ends streams
	end     context.CancelFunc
	pace    *rate.Limiter // of downloads
	openapi []byte
	docs    []byte
}

// New makes the API. It starts nothing.
func New(o Options) (*API, error) {
	if o.Channels == nil || o.Keys == nil || o.Queue == nil || o.Holds == nil || o.Replays == nil || o.CheckURL == nil {
		return nil, errors.New("the API needs channels, keys, a queue, holds, replays and a URL check")
	}
	if o.Files == nil || o.Schedule == nil || o.Accounts == nil || o.Sessions == nil || o.Links == nil {
		return nil, errors.New("the API needs files, a schedule, chat accounts, chat sessions and download links")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.BodyLimit = cmp.Or(o.BodyLimit, DefaultBodyLimit)
	o.AttachmentLimit = cmp.Or(o.AttachmentLimit, DefaultAttachmentLimit)
	o.SendAtZone = cmp.Or(o.SendAtZone, time.UTC)
	if o.StartedAt.IsZero() {
		o.StartedAt = o.Now()
	}
	a := &API{o: o, echo: echo.New(), pace: newDownloadPace()}
	a.ending, a.end = context.WithCancel(context.Background())
	// X-Forwarded-For is anybody's word: the log names who really connected.
	a.echo.IPExtractor = echo.ExtractIPDirect()
	a.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		if !c.Response().Committed {
			_ = render(c, asError(err)) // fails only when the client is gone
		}
	}
	a.echo.Use(a.log, a.recover, harden)
	table := append(a.routes(), a.chatRoutes()...)
	for _, r := range table {
		a.echo.Add(r.method, r.path, a.handler(r))
	}
	var err error
	if a.openapi, err = describe(table, o.Version); err != nil {
		return nil, err
	}
	if a.docs, err = page(table); err != nil {
		return nil, err
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.echo.ServeHTTP(w, r) }
