package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/queue"
)

// sweepEvery is how often files are looked for that no message needs.
const sweepEvery = time.Hour

// sweepFiles removes files when their messages' history has ended and their addresses are
// dead, both of which keep says, until stop is called.
func sweepFiles(files *queue.Files, keep time.Duration, log zerolog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			n, err := files.Sweep(ctx, time.Now().Add(-keep))
			switch {
			case ctx.Err() != nil:
			case err != nil:
				log.Warn().Err(err).Msg("old files stay until the next sweep")
			case n > 0:
				log.Info().Int("files", n).Msg("removed files that no message needs any more")
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}
