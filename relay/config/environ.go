package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// prefix begins the names of the daemon's environment variables.
const prefix = "OMNIRELAY_"

// The variables that hold no setting of the daemon.
const (
	// FileVariable names the configuration file when Load is given none.
	FileVariable = prefix + "CONFIG"
	// APIURLVariable and APIKeyVariable are for the commands that call a running relay.
	APIURLVariable = prefix + "API_URL"
	APIKeyVariable = prefix + "API_KEY"

	testPrefix   = prefix + "TEST_"
	natsVariable = prefix + "NATS_URL" // the short name of OMNIRELAY_NATS_URLS
)

// injected matches what Kubernetes sets in a container beside a service called omnirelay
// (Kubernetes documentation, "Service", environment variables).
var injected = regexp.MustCompile(`^OMNIRELAY_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// ours picks the variables that concern the daemon: those with the prefix, minus those that
// are somebody else's or empty. The last of several with one name wins.
func ours(environ []string) map[string]string {
	found := map[string]string{}
	for _, e := range environ {
		name, value, ok := strings.Cut(e, "=")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		if name == APIURLVariable || name == APIKeyVariable || strings.HasPrefix(name, testPrefix) || injected.MatchString(name) {
			continue
		}
		delete(found, name)
		if value != "" {
			found[name] = value
		}
	}
	return found
}

// readEnviron applies the variables.
func (l *loading) readEnviron(vars map[string]string) {
	byVariable := map[string]*setting{}
	for _, s := range l.settings {
		byVariable[s.variable()] = s
	}
	byVariable[natsVariable] = l.byPath["nats.urls"]
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == FileVariable {
			continue
		}
		s, ok := byVariable[name]
		if !ok {
			l.problem(Problem{Source: clip(name), Message: unknownVariable(name, byVariable)})
			continue
		}
		if other := l.origins[s.path]; other.isVariable() {
			l.problem(Problem{Source: name, Path: s.path, Message: fmt.Sprintf("is set by %s too; set one of them", other.source)})
			continue
		}
		if err := s.set(vars[name]); err != nil {
			l.bad[s.path] = true
			l.problem(Problem{Source: name, Path: s.path, Message: err.Error()})
			continue
		}
		l.origins[s.path] = origin{source: name}
	}
}

func unknownVariable(name string, known map[string]*setting) string {
	candidates := []string{FileVariable}
	for k := range known {
		candidates = append(candidates, k)
	}
	slices.Sort(candidates)
	// The prefix is the same for all and would make any two names alike.
	for i := range candidates {
		candidates[i] = strings.TrimPrefix(candidates[i], prefix)
	}
	if near := nearest(strings.TrimPrefix(name, prefix), candidates); near != "" {
		return fmt.Sprintf("unknown variable; did you mean %s%s?", prefix, near)
	}
	return "unknown variable"
}
