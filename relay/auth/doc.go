// Package auth holds the API keys and what each permits. A key is shown once, when it is
// made; stored is only its hash, in a JetStream KV bucket that every instance keeps in
// memory. Checking a key costs a hash and a look-up, and a revocation reaches all instances
// within milliseconds.
package auth
