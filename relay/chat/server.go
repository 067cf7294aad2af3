package chat

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// serverPattern is what the published Chat controller asks of chatServer.
var serverPattern = regexp.MustCompile(`^[a-zA-Z0-9\.\:\/\-]+$`)

// ServerURL is the URL that a chatServer stands for: https unless it says http, and no slash
// at the end, since hookpoints are appended with one.
func ServerURL(server string) string {
	if scheme, _, ok := strings.Cut(server, "://"); !ok || scheme == "" {
		server = "https://" + server
	}
	return strings.TrimRight(server, "/")
}

// SameServer reports whether two spellings of chatServer mean the same one: with and without
// https://, a slash at the end, the scheme's own port, capitals in the host.
func SameServer(a, b string) bool {
	if a == b {
		return true
	}
	x, okX := parseServer(a)
	y, okY := parseServer(b)
	return okX && okY && x == y
}

// server is a chatServer taken apart.
type server struct{ scheme, host, port, path string }

// parseServer refuses what has no host, and paths that lead up again.
func parseServer(text string) (server, bool) {
	u, err := url.Parse(ServerURL(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return server{}, false
	}
	if slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return server{}, false
	}
	s := server{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port(), path: strings.TrimRight(u.Path, "/")}
	if s.scheme == "https" && s.port == "443" || s.scheme == "http" && s.port == "80" {
		s.port = ""
	}
	return s, true
}

// covers reports whether text names the allowed server or something below its path.
func covers(allowed, text string) bool {
	a, okA := parseServer(allowed)
	s, okS := parseServer(text)
	if !okA || !okS || a.scheme != s.scheme || a.host != s.host || a.port != s.port {
		return false
	}
	return s.path == a.path || strings.HasPrefix(s.path, a.path+"/")
}
