// Package config reads the daemon's settings: one YAML file, overridden by environment
// variables, both strict. Everything that is wrong is reported at once, each problem with
// its line and the rule it breaks.
//
// # Names
//
// A setting's name is its path in the file, such as delivery.max_age. Its environment
// variable is OMNIRELAY_ and the path in capitals, with underscores for dots:
// OMNIRELAY_DELIVERY_MAX_AGE. OMNIRELAY_NATS_URL is another name for OMNIRELAY_NATS_URLS, and
// OMNIRELAY_CONFIG names the file itself. Lists are separated by commas. A variable that is
// set but empty counts as not set, as container tools pass variables on that way.
//
// Each secret can be kept in a file of its own: bootstrap_key_file names a file that holds
// the bootstrap_key, and likewise for every other secret.
//
// # Variables that are left alone
//
// An unknown variable whose name begins with OMNIRELAY_ is refused, since it is nearly always
// a slip of the pen. Four kinds are not the daemon's settings and are ignored:
//
//   - OMNIRELAY_API_URL and OMNIRELAY_API_KEY, which the client commands read;
//   - OMNIRELAY_TEST_*, the prefix for test harnesses;
//   - OMNIRELAY_SERVICE_HOST, OMNIRELAY_SERVICE_PORT*, OMNIRELAY_PORT and OMNIRELAY_PORT_*,
//     which Kubernetes puts into every container beside a service called omnirelay.
//
// # Words for values
//
// Durations are Go's: 250ms, 30s, 5m, 72h. Sizes are bytes: 1048576, 1MiB, 25MB.
package config
