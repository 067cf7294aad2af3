// Package queue keeps the relay's two logs in JetStream: the message log (what was accepted,
// one stream a shard) and the attempt log (what became of it). All other state is derived
// from these two. Snapshots, leases, holds and the dead-letter box are kept here too, so that
// nothing above this package speaks to JetStream about messages.
package queue
