package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a minimal image has no time zones of its own
)

// checkForm checks a text against the form that its tag names: listen (host:port), path,
// url (http or https), base_url (the same without a query), nats (a server's URL) or zone (an
// IANA time zone).
//
// URLs are never quoted in an error: people put passwords and tokens into them.
func checkForm(form, text string) error {
	switch form {
	case "listen":
		return checkListen(text)
	case "path":
		if text == "" || strings.ContainsRune(text, 0) {
			return errors.New("must be a path")
		}
	case "zone":
		// "" and Local are the machine's zone, which the next machine may not have.
		if _, err := time.LoadLocation(text); err != nil || text == "" || text == "Local" {
			return fmt.Errorf("%q is not a time zone such as UTC or Europe/Amsterdam", clip(text))
		}
	case "url", "base_url":
		u, err := parseURL(text, "http", "https")
		if err != nil {
			return err
		}
		if form == "base_url" && (u.RawQuery != "" || u.ForceQuery) {
			return errors.New("must not have a query (?…)")
		}
	case "nats":
		u, err := parseURL(text, "nats", "tls", "ws", "wss")
		if err != nil {
			return err
		}
		if strings.Contains(text, ",") || u.RawQuery != "" {
			return errors.New("must be the URL of one server, without a query")
		}
	}
	return nil
}

func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080 or :8080", clip(text))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q is not a port from 0 to 65535", clip(port))
	}
	return nil
}

func parseURL(text string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("must be a whole URL: %s://, a host and what follows", schemes[0])
	}
	allowed := false
	for _, s := range schemes {
		allowed = allowed || s == u.Scheme
	}
	switch {
	case !allowed:
		return nil, fmt.Errorf("must begin with %s://", orList(schemes))
	case u.User != nil:
		return nil, errors.New("must not hold a user or password")
	case u.Fragment != "":
		return nil, errors.New("must not have a fragment (#…)")
	}
	return u, nil
}

// parsePrefix reads an address range; a single address is a range of one.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address range such as 10.20.0.0/16 or fd00::/8", clip(text))
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q sets bits beyond its prefix; write %s", clip(text), p.Masked())
	}
	return p, nil
}
