// Package natsd makes a JetStream connection: to a server that runs inside this process, or
// to a NATS cluster elsewhere. It is the only importer of nats-server.
package natsd
