package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"omnirelay/relay/auth"
)

// queryKey is the query parameter that may hold the key.
const queryKey = "apiKey"

// admit finds out who asks and holds their key against the permission.
func (a *API) admit(r *request, permission auth.Permission) error {
	sent := clearKey(r)
	if sent == "" {
		return errNoKey
	}
	key, err := a.o.Keys.Authenticate(r.Request().Context(), sent)
	switch {
	case errors.Is(err, auth.ErrRevoked):
		r.Set(keyID, key.ID)
		return errRevokedKey
	case errors.Is(err, auth.ErrUnknownKey):
		return errUnknownKey
	case err != nil:
		return errUnavailable.because(err)
	}
	r.key = key
	r.Set(keyID, key.ID)
	if !key.Can(permission) {
		return errPermission.saying("The API key %q lacks the permission %s.", key.Name, permission)
	}
	return nil
}

// clearKey is the key as the request gives it: in the header apiKey, in the header
// Authorization with the scheme Bearer or apikey, or in the query.
func clearKey(r *request) string {
	req := r.Request()
	if key := req.Header.Get("Apikey"); key != "" { // the canonical form of apiKey, which costs nothing to look up
		return key
	}
	if scheme, key, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "apikey") {
			return strings.TrimSpace(key)
		}
	}
	if strings.Contains(req.URL.RawQuery, queryKey) {
		// What is malformed in the query is refused where the query is read.
		query, _ := url.ParseQuery(req.URL.RawQuery)
		return query.Get(queryKey)
	}
	return ""
}

// useChannel refuses a channel that the key is not for.
func (r *request) useChannel(id int64) error {
	if r.key.CanChannel(id) {
		return nil
	}
	return errChannel.saying("The API key %q may not use channel %d; it is limited to %s.", r.key.Name, id, list(r.key.Channels))
}

// limited reports whether the key is for some channels only.
func (r *request) limited() bool { return len(r.key.Channels) > 0 }

// operator names the key in records of what its holder did.
func (r *request) operator() string { return fmt.Sprintf("%s (key %s)", r.key.Name, r.key.ID) }

// list names a key's channels, the first few.
func list(ids []int64) string {
	const most = 5
	ids = slices.Sorted(slices.Values(ids))
	names := make([]string, 0, most+1)
	for i, id := range ids {
		if i == most {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprint(id))
	}
	if len(ids) == 1 {
		return "channel " + names[0]
	}
	return "channels " + strings.Join(names, ", ")
}
