package endpoints_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
)

// bad is what each field must refuse, and good what it must take.
var fieldTable = []struct {
	field     string
	good, bad []string
}{
	{
		"name",
		[]string{"Example channel", "a", "A.b-c_9", strings.Repeat("n", 255)},
		[]string{"", "a\n", "\na", "a\tb", "a/b", "ü", "a\x00", "a\xff", "<b>", strings.Repeat("n", 256), strings.Repeat("n", 1<<20)},
	},
	{
		"icon",
		[]string{"chat", "note", "a-b_c9", strings.Repeat("i", 64)},
		[]string{"", "two words", "a.b", "a\n", "é", strings.Repeat("i", 65)},
	},
	{
		"custom_channel_endpoint",
		[]string{
			"https://api.myexampleapp.com/omnidesk/api/message", "http://127.0.0.1:8080/x?a=b&c=d", "HTTPS://example.com",
			"http://localhost", "https://example.com/" + strings.Repeat("p", 2048-20),
		},
		[]string{
			"", "example.com", "/path", "ftp://example.com/", "javascript:alert", "https://", "https:///path", "https:example.com", "http://:80/",
			"https://under_score.example/", "https://example.com/a%20b", "https://u@example.com/", "https://example.com/#f", "http://[::1]/",
			"https://example.com/ a", "https://example.com/\n", "https://exämple.com/", "https://example.com:0/", "https://example.com:65536/",
			"https://example.com:", "https://example.com:x/", "https://example.com/" + strings.Repeat("p", 2048-19),
		},
	},
	{
		"status_callback",
		[]string{"", "https://example.com/status"},
		[]string{"example.com", "ftp://example.com/", "https://example.com/a_b"},
	},
	{
		"custom_channel_secret",
		[]string{"", "any text, whatever ü", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", strings.Repeat("s", 1024)},
		[]string{"whsec_", strings.Repeat("s", 1025)},
	},
	{"include_signature", []string{"true", "false"}, []string{"", "1", "TRUE", "yes", " true"}},
	{"custom_channel_available_in_quick_ticket", []string{"true", "false"}, []string{"", "0", "False", "on"}},
	{
		"custom_channel_warning_en",
		[]string{
			"", "Answers may take a day!", `0aZ-_:;>+()/!?,.#@$*&'`, "ÀÿĀȕ", "Crédit épuisé, désolé",
			strings.Repeat("ȕ", 1000),
		},
		[]string{"<b>", "a=b", `"quoted"`, "100%", "a\nb", "¿", "ȖX", "日本", "a\xffb", "tab\t", strings.Repeat("w", 1001)},
	},
	{"custom_channel_warning_nl", []string{"", "Let op: één dag"}, []string{"[x]", "{x}", "x|y"}},
	{"concurrency", []string{"0", "1", "16", "1024"}, []string{"-1", "1025", "", "1.5", "x", "99999999999999999999"}},
	{"timeout", []string{"0s", "100ms", "15s", "5m"}, []string{"99ms", "5m1s", "-1s", "15", "", "x"}},
	{"max_attempts", []string{"0", "1", "100"}, []string{"-1", "101", "", "x"}},
	{"max_age", []string{"0s", "1s", "72h", "720h"}, []string{"999ms", "720h1s", "-1h", "30d"}},
	{"retry_initial", []string{"0s", "10ms", "4h"}, []string{"9ms", "4h1s", "24h1s", "-5s"}},
	{"retry_max", []string{"0s", "5s", "24h"}, []string{"4s", "24h1s", "-4h"}},
	{"rate_limit", []string{"0", "0.5", "100", "1e3", "0.001"}, []string{"-1", "NaN", "Inf", "1e9", "0.0001", "", "x"}},
	{"rate_burst", []string{"0", "1", "1000000"}, []string{"-1", "1000001", "2.5"}},
	{"custom_channel_secret_overlap", []string{"0s", "1h", "720h"}, []string{"-1s", "720h1s", "x"}},
}

func TestFieldRules(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	create := func(field, value string) error {
		p := minimal(t)
		if err := p.Set(field, value); err != nil {
			return err
		}
		_, err := r.Create(t.Context(), 0, p)
		return err
	}
	var tabled []string
	for _, row := range fieldTable {
		tabled = append(tabled, row.field)
		for i, value := range row.good {
			require.NoError(t, create(row.field, value), "%s %d: %.60q", row.field, i, value)
		}
		for i, value := range row.bad {
			err := create(row.field, value)
			require.Error(t, err, "%s %d: %.60q", row.field, i, value)
			require.NotEmpty(t, broken(err)[wanted(row.field, value)], "%s %d: %.60q gives %v", row.field, i, value, err)
		}
	}
	require.ElementsMatch(t, endpoints.Fields(), tabled)
	_, total := r.List(0, 0)
	for _, row := range fieldTable {
		total -= len(row.good)
	}
	require.Zero(t, total, "a refused channel must not be stored")
}

// wanted is the field that an error about the value must name: a retry_initial above the
// default retry_max is a fault of the two together.
func wanted(field, value string) string {
	if field == "retry_initial" && value == "4h1s" {
		return "retry_max"
	}
	return field
}

// broken maps the fields that err complains about to the rules.
func broken(err error) map[string]string {
	m := make(map[string]string)
	if one, ok := errors.AsType[endpoints.FieldError](err); ok {
		m[one.Field] = one.Rule
	}
	if all, ok := errors.AsType[endpoints.Problems](err); ok {
		for _, e := range all {
			m[e.Field] = e.Rule
		}
	}
	return m
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	_, err := r.Create(t.Context(), 8, patch(t, "icon", "a b", "max_age", "1ms", "status_callback", "x"))
	require.Equal(t, []string{"custom_channel_endpoint", "icon", "id", "max_age", "name", "status_callback"}, sortedKeys(broken(err)))
	require.Error(t, new(endpoints.Patch).Set("colour", "red"))
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1": 1, "1001": 1001, "007": 7, "9007199254740991": endpoints.MaxID} {
		id, err := endpoints.ParseID(text)
		require.NoError(t, err)
		require.Equal(t, want, id)
	}
	for _, text := range []string{"", "0", "-1", "+1", "1.0", "x", "1 ", "9007199254740992", "99999999999999999999", "1e3", "१"} {
		_, err := endpoints.ParseID(text)
		require.NotEmpty(t, broken(err)["id"], text)
	}
}

// FuzzSet looks for inputs that break the promise that what is accepted can be stored and
// read back, and what is refused names its field.
func FuzzSet(f *testing.F) {
	for _, row := range fieldTable {
		for _, value := range append(row.good, row.bad...) {
			if len(value) < 100 {
				f.Add(row.field, value)
			}
		}
	}
	r := open(f, js(f))
	f.Fuzz(func(t *testing.T, field, value string) {
		p := minimal(t)
		err := p.Set(field, value)
		var c endpoints.Channel
		if err == nil {
			c, err = r.Create(t.Context(), 0, p)
		}
		if err != nil {
			require.NotEmpty(t, broken(err), "%v", err)
			return
		}
		got, err := r.Get(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(c.ID, 10), strconv.FormatInt(got.ID, 10))
		require.NoError(t, r.Delete(t.Context(), c.ID, "fuzz"))
	})
}
