package api

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"omnirelay/endpoints"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

type keyList struct {
	Type  string       `json:"type" doc:"Always list."`
	Items []client.Key `json:"items"`
}

func createKey() helpdesk.Call {
	permissions := make([]string, 0, len(auth.Permissions()))
	for _, p := range auth.Permissions() {
		permissions = append(permissions, string(p))
	}
	return helpdesk.Call{Strict: true, Fields: []helpdesk.Field{
		{Name: "name", Required: true, Max: 255, Doc: "What the key is for; stands in records of what its holder did."},
		{Name: "permissions", Kind: helpdesk.List, Required: true, Enum: permissions, Doc: "What the key may do. None implies another."},
		{Name: "channels", Kind: helpdesk.List, Low: 1, High: endpoints.MaxID, Doc: "The only channels that the key may use; none means all."},
	}}
}

func keyIDPath() helpdesk.Call {
	return helpdesk.Call{Strict: true, Fields: []helpdesk.Field{{Name: "id", Required: true, Path: true, Doc: "The key's id, key_ and 26 letters and digits."}}}
}

func (a *API) listKeys(r *request) error {
	list := keyList{Type: "list", Items: []client.Key{}}
	for _, k := range a.o.Keys.List() {
		if r.rules(k) {
			list.Items = append(list.Items, shown(k))
		}
	}
	return r.JSON(http.StatusOK, list)
}

// createKey makes a key that can do no more than the one that asks for it.
func (a *API) createKey(r *request) error {
	req := auth.CreateRequest{Name: r.values.Text("name")}
	var missing []string
	for _, name := range r.values.List("permissions") {
		p := auth.Permission(name)
		req.Permissions = append(req.Permissions, p)
		if !r.key.Can(p) {
			missing = append(missing, name)
		}
	}
	for _, text := range r.values.List("channels") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return badField("channels", "must be ids of channels")
		}
		req.Channels = append(req.Channels, id)
	}
	if len(missing) > 0 {
		return errPermission.saying("The API key %q cannot hand out what it lacks: %s.", r.key.Name, strings.Join(missing, ", "))
	}
	if !r.rules(auth.Key{Channels: req.Channels}) {
		return errChannel.saying("The API key %q is limited to %s, and so must be the keys that it makes.", r.key.Name, list(r.key.Channels))
	}
	made, key, err := a.o.Keys.Create(r.Request().Context(), req)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(client.NewKey{Key: shown(key), APIKey: made.Reveal()}))
}

func (a *API) revokeKey(r *request) error {
	id := r.Param("id")
	key, err := a.o.Keys.Get(id)
	if err == nil && !r.rules(key) {
		return errChannel.saying("The API key %q is limited to %s; it cannot revoke keys for others.", r.key.Name, list(r.key.Channels))
	}
	// One that is not known here may be another instance's of this moment, but only a key for
	// all channels may revoke unseen.
	if errors.Is(err, auth.ErrNotFound) && !r.limited() {
		_, err = a.o.Keys.Revoke(r.Request().Context(), id)
	} else if err == nil {
		_, err = a.o.Keys.Revoke(r.Request().Context(), id)
	}
	if errors.Is(err, auth.ErrNotFound) {
		return errNotFound.saying("There is no API key with this id.")
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, result("Key revoked."))
}

// rules reports whether the caller's key reaches at least as far as the other's channels.
func (r *request) rules(other auth.Key) bool {
	if !r.limited() {
		return true
	}
	return len(other.Channels) > 0 && !slices.ContainsFunc(other.Channels, func(id int64) bool { return !r.key.CanChannel(id) })
}

func shown(k auth.Key) client.Key {
	out := client.Key{ID: k.ID, Name: k.Name, Channels: k.Channels, CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt}
	for _, p := range k.Permissions {
		out.Permissions = append(out.Permissions, string(p))
	}
	if out.Channels == nil {
		out.Channels = []int64{}
	}
	return out
}

func (a *API) version(r *request) error {
	return r.JSON(http.StatusOK, item(client.Version{Version: a.o.Version, Go: runtime.Version()}))
}

func (a *API) stats(r *request) error {
	_, channels := a.o.Channels.List(0, 0)
	s := client.Stats{Channels: channels, StartedAt: a.o.StartedAt}
	for _, k := range a.o.Keys.List() {
		if !k.Revoked() {
			s.Keys++
		}
	}
	return r.JSON(http.StatusOK, item(s))
}
