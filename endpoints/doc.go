// Package endpoints is the channel registry: where each custom channel's messages go and
// how they are signed. Channels live in a JetStream KV bucket that every instance keeps in
// memory, so looking one up at each attempt costs nothing and a change reaches all
// instances within milliseconds.
//
// Field names, patterns and defaults are those of Omnidesk's Channel controller
// (https://docs.omnidesk.io/omnidesk/api-specification/channel). The relay's own fields
// beside them are concurrency, timeout, max_attempts, max_age, retry_initial, retry_max,
// rate_limit, rate_burst, status_callback and custom_channel_secret_overlap.
package endpoints
