// Package egress is the rule on where the relay may connect to, and an HTTP transport that
// cannot break it.
//
// Users name the URLs that the relay calls, so without a rule they could make it call what
// only the relay can reach: the machine itself, the network around it, the metadata service
// of a cloud (CWE-918, server-side request forgery). By default only addresses of the public
// Internet are allowed; prefixes that the operator names are allowed as well.
//
// The transport decides on the address of each connection, after the name is resolved and
// before the first packet leaves. What a name resolved to when its URL was saved proves
// nothing: the answer may change from one query to the next (DNS rebinding).
package egress
