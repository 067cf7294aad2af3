package queue

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// Rendezvous says which of the living instances should own a shard: the one with the highest
// hash of both (rendezvous hashing, Thaler and Ravishankar). All instances that see the same
// list come to the same answer, and when one comes or goes only its own shards move. It is
// empty for an empty list.
func Rendezvous(shard int, living []string) string {
	var best string
	var most uint64
	for _, instance := range living {
		sum := sha256.Sum256([]byte(instance + "/" + strconv.Itoa(shard)))
		if h := binary.BigEndian.Uint64(sum[:]); best == "" || h > most || (h == most && instance > best) {
			best, most = instance, h
		}
	}
	return best
}
