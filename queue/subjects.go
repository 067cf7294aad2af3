package queue

import (
	"fmt"
	"strconv"
	"strings"

	"omnirelay/relay"
)

// Subjects hold only bounded sets of tokens: a stream's memory grows with its distinct
// subjects, so conversations and ids stay in the body.

func messageSubject(shard int, dir relay.Direction, d relay.Destination) string {
	return "relay.msg." + strconv.Itoa(shard) + "." + string(dir) + "." + string(d)
}

func messageSubjects(shard int) string { return fmt.Sprintf("relay.msg.%d.>", shard) }

// destinationSubject matches all messages of one destination.
func destinationSubject(shard int, d relay.Destination) string {
	return messageSubject(shard, "*", d)
}

// messageDestination is the last token of a message's subject.
func messageDestination(subject string) relay.Destination {
	return relay.Destination(subject[strings.LastIndexByte(subject, '.')+1:])
}

func attemptSubject(a *relay.Attempt) string {
	return "relay.attempt." + strconv.Itoa(a.Shard) + "." + string(a.Destination) + "." + string(a.Outcome)
}

// attemptFilter matches a shard's attempts, of one destination or of all.
func attemptFilter(shard int, d relay.Destination) string {
	if d == "" {
		return fmt.Sprintf("relay.attempt.%d.>", shard)
	}
	return fmt.Sprintf("relay.attempt.%d.%s.*", shard, d)
}

func deadSubject(d relay.Destination) string {
	if d == "" {
		return "relay.dead.>"
	}
	return "relay.dead." + string(d)
}
