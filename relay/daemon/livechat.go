package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"omnirelay/queue"
	"omnirelay/relay/api"
	"omnirelay/relay/chat"
	"omnirelay/relay/config"
	"omnirelay/relay/deliver"
	"omnirelay/relay/download"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/tickets"
)

// liveChat is what live chat stands on, and what came with it: files and scheduled messages.
type liveChat struct {
	accounts *chat.Accounts
	sessions *chat.Sessions
	files    *queue.Files
	schedule *queue.Schedule
	links    *download.Links
	tickets  *tickets.Tickets // nil remembers none
}

func (d *Daemon) openLiveChat(ctx context.Context) (l liveChat, err error) {
	c, js, log := d.o.Config, d.conn.JetStream(), d.o.Log
	replicas, lifetime := c.NATS.Replicas, time.Duration(c.Delivery.DownloadLifetime)
	if l.files, err = d.log.OpenFiles(ctx); err != nil {
		return l, err
	}
	d.undo.add("the sweep of old files", quietly(sweepFiles(l.files, max(time.Duration(c.Queue.History), lifetime), log)))
	if l.schedule, err = d.log.OpenSchedule(ctx); err != nil {
		return l, err
	}
	d.undo.add("the schedule", quietly(l.schedule.Close))
	if l.accounts, err = chat.OpenAccounts(ctx, js, chat.AccountOptions{Replicas: replicas, Flush: d.flush, Log: log}); err != nil {
		return l, err
	}
	d.undo.add("the chat accounts", quietly(l.accounts.Close))
	if l.sessions, err = chat.OpenSessions(ctx, js, chat.SessionOptions{
		TTL: time.Duration(c.Chat.SessionTTL), Replicas: replicas, Flush: d.flush, Log: log,
	}); err != nil {
		return l, err
	}
	d.undo.add("the chat sessions", quietly(l.sessions.Close))
	l.links, err = download.Open(ctx, js, download.Options{
		BaseURL:  c.BaseURL(d.public.Addr()),
		Lifetime: lifetime,
		Replicas: replicas,
		Flush:    d.flush,
	})
	if err != nil || c.Helpdesk.Kind != config.HelpdeskOmnidesk || c.Helpdesk.TicketTTL == 0 {
		return l, err // nobody else's answers name tickets
	}
	l.tickets, err = tickets.Open(ctx, js, tickets.Options{TTL: time.Duration(c.Helpdesk.TicketTTL), Replicas: replicas})
	return l, err
}

// openFile reads a stored file. One that is gone is gone for good.
func (l *liveChat) openFile(ctx context.Context, file string) (io.ReadCloser, int64, error) {
	r, size, err := l.files.Open(ctx, file)
	if errors.Is(err, queue.ErrNotFound) {
		err = fmt.Errorf("%w: file %s is not in the store", deliver.ErrUndeliverable, file)
	}
	return r, size, err
}

// queries answers the questions of live chat from an Omnidesk account; nil where the accounts
// of the relay itself do.
func queries(h config.Helpdesk, transport http.RoundTripper) api.Queries {
	if h.Kind != config.HelpdeskOmnidesk {
		return nil
	}
	return helpdesk.NewQueries(helpdeskAccount(h), transport)
}
