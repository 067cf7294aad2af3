// Package bench measures the relay: how fast, how isolated, how bounded, and what a crash
// costs. Everything runs on loopback, in temporary directories that are removed afterwards.
//
// Absolute figures say as much about the machine as about the relay. So each is measured
// beside a reference in the same process and the same run: the bare pipeline, which is the
// least that can be done with the same parts (net/http in, one JetStream publish, one
// durable consumer, one signed POST, an acknowledgement), or the relay itself without the
// trouble that a scenario makes. The two take turns, each round starts both anew, and the
// median of the rounds counts.
//
// The sender and the receiver share the machine with what they measure. They are kept cheap,
// and are the same for both sides.
package bench
