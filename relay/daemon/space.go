package daemon

import (
	"context"
	"sync"

	"omnirelay/queue/natsd"
)

// watchSpace keeps the embedded store from running into a full disk, which it would not
// survive without a restart: when the room gets low the logs give up history, and when it is
// nearly gone nothing more is accepted until there is some again.
func (d *Daemon) watchSpace() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		d.conn.WatchSpace(ctx, natsd.SpaceOptions{
			Looked: func(now natsd.Space) { d.log.SetRoom(now.Room) },
			Changed: func(now natsd.Space) {
				d.log.SetTight(now.Low)
				switch {
				case now.Full:
					d.o.Log.Error().Int64("free", now.Free).Msg("the disk is nearly full: nothing is accepted until there is room")
				case now.Low:
					d.o.Log.Warn().Int64("free", now.Free).Msg("the disk gets full: history is given up early")
				default:
					d.o.Log.Info().Int64("free", now.Free).Msg("there is room on the disk")
				}
			},
			Failed: func(err error) {
				d.o.Log.Error().Err(err).Msg("the room on the disk is not known")
			},
		})
	})
	return func() {
		cancel()
		done.Wait()
	}
}
