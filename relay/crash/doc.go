// Package crash runs the real program under load and ends it again and again, by kill -9 and
// in order, while receivers come and go. Afterwards it holds what the receivers saw against
// what the relay accepted:
//
//   - every accepted message was delivered;
//   - no message was accepted twice, although senders repeat what they got no answer to;
//   - each conversation's messages were first seen in the order of their acceptance;
//   - a message that got a 2xx came again only when a crash lay between, and then only one
//     whose 2xx the relay cannot have recorded: it was in flight at the crash or had ended
//     just before.
//
// The load, the faults and the moments of the crashes follow from a seed.
package crash
