// Package dispatch decides what is sent when. The owner of a shard reads its message log,
// keeps each conversation in order in a lane, runs the lanes of a destination side by side,
// and writes what came of each attempt to the attempt log. It speaks no HTTP: an attempt is
// a call of a Sender.
//
// What an owner must remember is a State: a pure fold over the two logs. Everything else it
// holds (lanes, breakers, windows) can be lost at any moment and is built anew from that.
package dispatch
