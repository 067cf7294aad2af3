package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/signer"
)

// permissionOf is who may do what, as the helpdesk's specification and the relay's manual
// have it. It is written out here so that a slip in the route table shows.
var permissionOf = map[string]auth.Permission{
	"GET /api/v2/channel":                                  auth.ChannelRead,
	"POST /api/v2/channel":                                 auth.ChannelCUD,
	"GET /api/v2/channel/{id}":                             auth.ChannelCUD,
	"PUT /api/v2/channel/{id}":                             auth.ChannelCUD,
	"DELETE /api/v2/channel/{id}":                          auth.ChannelCUD,
	"POST /api/v2/channel/customChannelMessage":            auth.MessageCreate,
	"POST /api/v2/message":                                 auth.MessageCreate,
	"POST /hooks/channel/{id}/{token}":                     "",
	"GET /relay/v1/messages":                               auth.RelayRead,
	"GET /relay/v1/messages/{id}":                          auth.RelayRead,
	"GET /relay/v1/dead":                                   auth.RelayRead,
	"GET /relay/v1/dead/{id}":                              auth.RelayRead,
	"POST /relay/v1/dead/{id}/replay":                      auth.RelayAdmin,
	"POST /relay/v1/dead/{id}/discard":                     auth.RelayAdmin,
	"GET /relay/v1/tail":                                   auth.RelayRead,
	"GET /relay/v1/holds":                                  auth.RelayRead,
	"POST /relay/v1/holds":                                 auth.RelayAdmin,
	"DELETE /relay/v1/holds/{destination}":                 auth.RelayAdmin,
	"GET /relay/v1/replays":                                auth.RelayRead,
	"POST /relay/v1/replays":                               auth.RelayAdmin,
	"GET /relay/v1/keys":                                   auth.RelayRead,
	"POST /relay/v1/keys":                                  auth.RelayAdmin,
	"DELETE /relay/v1/keys/{id}":                           auth.RelayAdmin,
	"GET /relay/v1/version":                                auth.RelayRead,
	"GET /relay/v1/stats":                                  auth.RelayRead,
	"POST /api/v2/chat/requestChatConfig":                  auth.APIChat,
	"POST /api/v2/chat/notifyUserNewChatMessage":           auth.APIChat,
	"POST /api/v2/chat/notifyUserNewChatEvent":             auth.APIChat,
	"POST /api/v2/chat/notifyUserVisited":                  auth.APIChat,
	"POST /api/v2/chat/notifyUserEndChat":                  auth.APIChat,
	"POST /api/v2/chat/addAttachment":                      auth.APIChat,
	"POST /api/v2/chat/checkOriginAndIP":                   auth.APIChat,
	"GET /api/v2/chat/whitelistedDomainsAndBlacklistedIPs": auth.APIChat,
	"POST /api/v2/chat/requestChatQueue":                   auth.APIChat,
	"POST /hooks/chat/{token}/messageForCustomer":          "",
	"POST /hooks/chat/{token}/uploadForCustomer":           "",
	"POST /hooks/chat/{token}/typingIndicatorForCustomer":  "",
	"POST /hooks/chat/{token}/{hookpoint}":                 "",
	"GET /relay/v1/chat/accounts":                          auth.RelayRead,
	"POST /relay/v1/chat/accounts":                         auth.RelayAdmin,
	"GET /relay/v1/chat/accounts/{id}":                     auth.RelayRead,
	"PUT /relay/v1/chat/accounts/{id}":                     auth.RelayAdmin,
	"DELETE /relay/v1/chat/accounts/{id}":                  auth.RelayAdmin,
	"GET /relay/v1/chat/sessions":                          auth.RelayRead,
	"GET /relay/v1/chat/sessions/{id}":                     auth.RelayRead,
	"GET /relay/v1/scheduled":                              auth.RelayRead,
	"DELETE /relay/v1/scheduled/{id}":                      auth.RelayAdmin,
	"GET /files/{file}":                                    "",
	"GET /openapi.json":                                    "",
	"GET /docs":                                            "",
}

func TestEachCallAsksForItsPermissionAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes := w.api.Routes()
	require.Len(t, routes, len(permissionOf), "every route is in the table")
	keys := map[auth.Permission]string{}
	for _, p := range auth.Permissions() {
		keys[p] = w.key(nil, p)
	}
	for _, route := range routes {
		needed, known := permissionOf[route]
		require.True(t, known, route)
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{id}", "1001", "{token}", "x", "{destination}", "channel-1001", "/tail", "/tail?limit=1").Replace(path)
		without := w.get(method, path, "")
		if needed == "" {
			require.NotContains(t, []int{401, 403}, without.status, route)
			continue
		}
		require.Equal(t, 401, without.status, route)
		require.Equal(t, "key_missing", without.body["code"], route)
		require.Contains(t, without.body["message"], "header apiKey")
		require.NotEmpty(t, without.header.Get("WWW-Authenticate"))
		for p, key := range keys {
			a := w.get(method, path, key)
			if p == needed {
				require.NotContains(t, []int{401, 403}, a.status, "%s with %s", route, p)
				continue
			}
			require.Equal(t, 403, a.status, "%s with %s", route, p)
			require.Equal(t, "permission_missing", a.body["code"])
			require.Contains(t, a.body["message"], string(needed), "it says which permission is missing")
		}
	}
}

func TestWaysToSendTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := "/api/v2/channel"
	require.Equal(t, 200, w.raw("GET", path, "", "", nil, "apikey", w.admin).status)
	require.Equal(t, 200, w.raw("GET", path, "", "", nil, "Authorization", "Bearer "+w.admin).status)
	require.Equal(t, 200, w.raw("GET", path, "", "", nil, "Authorization", "bearer "+w.admin).status)
	require.Equal(t, 200, w.raw("GET", path, "", "", nil, "Authorization", "apikey "+w.admin).status)
	require.Equal(t, 200, w.get("GET", path+"?apiKey="+w.admin, "").status)
	require.Equal(t, 200, w.get("GET", path+"?itemLimit=3&apiKey="+w.admin, "").status)
	for name, a := range map[string]answer{
		"basic":        w.raw("GET", path, "", "", nil, "Authorization", "Basic "+w.admin),
		"empty bearer": w.raw("GET", path, "", "", nil, "Authorization", "Bearer "),
		"other case":   w.get("GET", path+"?apikey="+w.admin, ""),
	} {
		require.Equal(t, 401, a.status, name)
		require.Equal(t, "key_missing", a.body["code"], name)
	}
	for _, unknown := range []string{"x", w.admin + "x", w.admin[1:], strings.Repeat("k", 10_000)} {
		a := w.get("GET", path, unknown)
		require.Equal(t, 401, a.status)
		require.Equal(t, "key_unknown", a.body["code"])
	}
}

func TestARevokedKeyIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := w.client(w.admin).CreateKey(t.Context(), clientKey("short-lived", auth.ChannelRead))
	require.NoError(t, err)
	require.Equal(t, 200, w.get("GET", "/api/v2/channel", key.APIKey).status)
	require.NoError(t, w.client(w.admin).RevokeKey(t.Context(), key.ID))
	a := w.get("GET", "/api/v2/channel", key.APIKey)
	require.Equal(t, 401, a.status)
	require.Equal(t, "key_revoked", a.body["code"])
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/", "/api/v2", "/api/v2/nothing", "/relay/v1/dead/a/b", "/API/V2/channel"} {
		a := w.get("GET", path, w.admin)
		require.Equal(t, 404, a.status, path)
		require.Equal(t, "route_not_found", a.body["code"], path)
	}
	a := w.get("PATCH", "/api/v2/channel/1001", w.admin)
	require.Equal(t, 405, a.status)
	require.Equal(t, "method_not_allowed", a.body["code"])
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		require.Contains(t, a.header.Get("Allow"), method)
	}
	for _, path := range []string{"/api/v2/channel/abc", "/api/v2/channel/0", "/api/v2/channel/-1", "/api/v2/channel/99999999999999999999", "/relay/v1/messages/x", "/relay/v1/messages/msg_nothing"} {
		a = w.get("GET", path, w.admin)
		require.Equal(t, 400, a.status, path)
		require.Equal(t, []string{"id"}, a.fields(), path)
	}
	for _, path := range []string{"/relay/v1/messages/msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10", "/api/v2/channel/77"} {
		a = w.get("GET", path, w.admin)
		require.Equal(t, 404, a.status, path)
		require.Equal(t, "not_found", a.body["code"], path)
	}
}

func TestTheRelaysOwnCallsRefuseUnknownFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"messages?colour=red", "dead?state=dead", "keys?x=1", "stats?x=1"} {
		a := w.get("GET", "/relay/v1/"+path, w.admin)
		require.Equal(t, 400, a.status, path)
	}
	a := w.send("POST", "/relay/v1/keys", w.admin, "json", "name", "n", "permissions", "RELAY_READ", "admin", "true")
	require.Equal(t, []string{"admin"}, a.fields())
}

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	var nothing map[string]bool
	w := newWorld(t, func(o *api.Options) {
		o.CheckURL = func(_ context.Context, url string) error {
			nothing[url] = true
			return nil
		}
	})
	a := w.send("POST", "/api/v2/channel", w.admin, "json", "name", "n", "custom_channel_endpoint", "https://example.com")
	require.Equal(t, 500, a.status)
	require.Equal(t, "internal", a.body["code"])
	require.NotContains(t, a.text, "nil map")
	require.Contains(t, w.log.String(), "panic: assignment to entry in nil map")
	require.Contains(t, w.log.String(), `"level":"warn"`)
	require.Equal(t, 200, w.get("GET", "/api/v2/channel", w.admin).status)
}

func TestTheLogHoldsOneLineAndNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := signer.NewSecret()
	c := w.channel(0, func(p *endpoints.Patch) { p.Secret = &secret })
	token := c.HookToken.Reveal()
	before := strings.Count(w.log.String(), "\n")
	const clearText = "the customer's own words"
	answers := []answer{
		w.send("POST", inboundPath+"?apiKey="+w.admin+"&note=querysecret", "", "json", "channelID", "1001", "message", clearText),
		w.send("POST", inboundPath, w.admin, "json", "channelID", "4711", "message", clearText),
		w.send("POST", "/hooks/channel/1001/"+token, "", "json", "ticketID", "5", "message", clearText),
		w.send("POST", "/hooks/channel/1001/"+token, "", "json", "ticketID", "x", "message", clearText),
		w.send("PUT", "/api/v2/channel/1001", w.admin, "json", "custom_channel_secret", secret.Reveal()+"x", "timeout", "never"),
		w.send("PUT", "/api/v2/channel/1001", w.admin, "json", "custom_channel_secret", secret.Reveal()+"x"),
		w.get("GET", "/api/v2/channel/1001", w.admin),
		w.get("GET", "/api/v2/channel", w.admin),
		w.get("GET", "/relay/v1/keys", w.admin),
		w.get("GET", "/api/v2/channel", w.admin+"typo"),
		w.get("GET", "/nothing?apiKey="+w.admin, ""),
	}
	for i, a := range answers {
		require.NotContains(t, a.text, secret.Reveal(), "answer %d", i)
		require.NotContains(t, a.text, w.admin, "answer %d", i)
		require.NotContains(t, a.text, clearText, "answer %d", i)
	}
	log := w.log.String()
	for _, private := range []string{secret.Reveal(), token, w.admin, clearText, "querysecret"} {
		require.NotContains(t, log, private)
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")[before:]
	require.Len(t, lines, len(answers), "one line a request")
	for _, line := range lines {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		require.Equal(t, "debug", entry["level"])
		for _, name := range []string{"method", "route", "status", "duration", "remote"} {
			require.Contains(t, entry, name)
		}
	}
	require.Contains(t, lines[2], `"/hooks/channel/:id/:token"`)
	keys := w.keys.List()
	require.Contains(t, lines[0], fmt.Sprintf("%q", keys[0].ID), "it says whose key it was")
}

func TestDescriptionAndRouterHoldTheSameCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get("GET", "/openapi.json", "")
	require.Equal(t, 200, a.status)
	paths, _ := a.field("paths").(map[string]any)
	var described []string
	ids := map[string]bool{}
	for path, methods := range paths {
		for method, operation := range methods.(map[string]any) {
			route := strings.ToUpper(method) + " " + path
			described = append(described, route)
			op := operation.(map[string]any)
			id, _ := op["operationId"].(string)
			require.False(t, ids[id] || id == "", "operation id %q", id)
			ids[id] = true
			require.NotEmpty(t, op["summary"], route)
			permission, _ := op["x-permission"].(string)
			require.Equal(t, string(permissionOf[route]), permission, route)
			for part := range strings.SplitSeq(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok {
					require.True(t, hasParameter(op, strings.TrimSuffix(name, "}")), "%s lacks path parameter %s", route, name)
				}
			}
		}
	}
	routes := w.api.Routes()
	slices.Sort(described)
	slices.Sort(routes)
	require.Equal(t, routes, described)
	checkReferences(t, a.body, a.body)

	docs := w.get("GET", "/docs", "")
	require.Equal(t, 200, docs.status)
	require.Contains(t, docs.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "nosniff", docs.header.Get("X-Content-Type-Options"))
	for id := range ids {
		require.Contains(t, docs.text, `id="`+id+`"`)
	}
	for _, e := range api.Catalogue() {
		require.Contains(t, docs.text, e.Code)
	}
}

func hasParameter(op map[string]any, name string) bool {
	list, _ := op["parameters"].([]any)
	return slices.ContainsFunc(list, func(p any) bool {
		parameter := p.(map[string]any)
		return parameter["name"] == name && parameter["in"] == "path" && parameter["required"] == true
	})
}

// checkReferences finds every $ref in v among the document's components.
func checkReferences(t *testing.T, document map[string]any, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/components/schemas/")
			components := document["components"].(map[string]any)["schemas"].(map[string]any)
			require.Contains(t, components, name)
		}
		for _, inner := range v {
			checkReferences(t, document, inner)
		}
	case []any:
		for _, inner := range v {
			checkReferences(t, document, inner)
		}
	}
}

func TestCodesOfTheCatalogueAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range api.Catalogue() {
		require.False(t, seen[e.Code], e.Code)
		seen[e.Code] = true
		require.NotEmpty(t, e.Message)
		require.GreaterOrEqual(t, e.Status, 400)
	}
}
