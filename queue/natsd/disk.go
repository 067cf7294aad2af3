package natsd

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The embedded server gives up JetStream for good when a write fails for want of space. So
// its room is watched, and what can wait is refused while there still is some: the reserve is
// for the records of deliveries that are under way.

// Space is how much room the embedded server has left.
type Space struct {
	Free int64 // bytes: on the disk, or up to the server's own limit if that is less
	Room int64 // bytes of it that may be taken before the reserve begins; 0 while Full
	Full bool  // below the reserve: accept nothing new
	Low  bool  // below three times the reserve: give up what can be given up
}

// SpaceOptions say what to watch for.
type SpaceOptions struct {
	Reserve int64         // bytes; default 256 MiB, or a twentieth of the disk or limit if that is less
	Every   time.Duration // default 1s
	// Looked, when set, is called from the same goroutine each time, before Changed.
	Looked func(Space)
	// Changed, when set, is called from one goroutine when Full or Low changes, and once at the start.
	Changed func(Space)
	// Failed, when set, is called when the room cannot be found out, once until it can again.
	Failed func(error)
}

// WatchSpace watches the embedded server's room until ctx ends. Full and Low end only when
// there is half as much again as at their beginning. For an external cluster, which looks
// after its own disks, it returns at once.
func (c *Conn) WatchSpace(ctx context.Context, o SpaceOptions) {
	if c.server == nil {
		return
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	var last Space
	failing := false
	for first := true; ; {
		free, reserve, err := c.room()
		if o.Reserve > 0 {
			reserve = o.Reserve
		}
		if err != nil {
			if !failing && o.Failed != nil {
				o.Failed(err)
			}
		} else {
			now := Space{Free: free, Full: below(free, reserve, last.Full), Low: below(free, 3*reserve, last.Low)}
			if !now.Full {
				now.Room = free - reserve
			}
			if o.Looked != nil {
				o.Looked(now)
			}
			if changed := first || now.Full != last.Full || now.Low != last.Low; changed && o.Changed != nil {
				o.Changed(now)
			}
			first, last = false, now
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// below compares with a mark; once below it, half as much again is needed to be above.
func below(free, mark int64, was bool) bool {
	if was {
		mark += mark / 2
	}
	return free < mark
}

const reserveMost = 256 << 20

// room is what is free, and the reserve that suits what there is in all; bytes.
func (c *Conn) room() (free, reserve int64, err error) {
	jsc := c.server.JetStreamConfig()
	if jsc == nil {
		return 0, 0, errors.New("the embedded JetStream is disabled")
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(jsc.StoreDir, &fs); err != nil {
		return 0, 0, fmt.Errorf("asking for the free space of %s: %w", jsc.StoreDir, err)
	}
	free = int64(fs.Bavail) * fs.Bsize
	total := int64(fs.Blocks) * fs.Bsize
	if jsc.MaxStore > 0 {
		stats, err := c.server.Jsz(&server.JSzOptions{})
		if err != nil {
			return 0, 0, fmt.Errorf("asking the embedded JetStream for its size: %w", err)
		}
		free = min(free, jsc.MaxStore-int64(stats.Store))
		total = min(total, jsc.MaxStore)
	}
	return free, min(reserveMost, total/20), nil
}
