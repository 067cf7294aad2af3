// Package relay is the relay's vocabulary: messages, conversations, destinations, attempts,
// reasons and the retry policy. It has no I/O and knows no other package of the project;
// every other package speaks in its terms.
package relay
