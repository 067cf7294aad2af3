package api

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/time/rate"
)

// downloadRate is how fast files are read for downloads, all of them together, bytes a second.
// The store keeps what was read in memory for ten seconds: without a bound, whoever has an
// address could fetch the relay out of its memory. What goes to the helpdesk and to chat
// servers is not held up by it.
const downloadRate = 16 << 20

// downloadPiece is the most that a download reads at once, bytes.
const downloadPiece = 64 << 10

func newDownloadPace() *rate.Limiter { return rate.NewLimiter(downloadRate, 1<<20) }

// paced is a reader that reads no faster than the pace allows.
type paced struct {
	ctx  context.Context // of the request
	pace *rate.Limiter
	r    io.Reader
}

func (p *paced) Read(b []byte) (int, error) {
	b = b[:min(len(b), downloadPiece)]
	if err := p.pace.WaitN(p.ctx, len(b)); err != nil {
		return 0, fmt.Errorf("waiting for another download: %w", err)
	}
	return p.r.Read(b)
}
