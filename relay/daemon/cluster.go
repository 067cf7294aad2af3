package daemon

import (
	"context"
	"fmt"
	"os"
	"regexp"

	"omnirelay/relay/dispatch"
)

// own begins to deliver. On the embedded store this process is the only one and owns every
// shard; on a cluster it shares them with the others that are there, as they come and go.
func (d *Daemon) own(ctx context.Context) error {
	if d.conn.Embedded() {
		for shard := range d.log.Shards() {
			if err := d.dispatcher.Acquire(ctx, shard); err != nil {
				return err
			}
		}
		return nil
	}
	leases, err := d.log.OpenLeases(ctx, instanceLabel())
	if err != nil {
		return err
	}
	cluster := dispatch.NewCluster(d.dispatcher, leases, d.o.Log)
	sharing, leave := context.WithCancel(context.WithoutCancel(ctx))
	left := make(chan error, 1)
	go func() { left <- cluster.Run(sharing) }()
	d.o.Log.Info().Str("instance", leases.Instance()).Msg("sharing the work with the other relays of the cluster")
	d.undo.add("sharing the work", func(ctx context.Context) error {
		leave()
		select {
		case err := <-left:
			return err
		case <-ctx.Done():
			return fmt.Errorf("handing the shards over: %w", context.Cause(ctx))
		}
	})
	return nil
}

var notInLabel = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// instanceLabel is the host's name, for people who look at who owns what.
func instanceLabel() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "relay"
	}
	return notInLabel.ReplaceAllString(name, "-")
}
