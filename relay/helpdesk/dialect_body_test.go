package helpdesk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

const form = "application/x-www-form-urlencoded"

func multipartBody(t testing.TB, fields ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func TestTheThreeEncodingsGiveTheSameFields(t *testing.T) {
	t.Parallel()
	fields := []string{"message", "a & b = ü\r\n\"<>", "ticketID", "858462", "from[address]", "x@example.org", "tags[0]", "y"}
	want := helpdesk.Values{}
	query := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		want[fields[i]] = fields[i+1]
		query.Set(fields[i], fields[i+1])
	}
	object, err := json.Marshal(map[string]any{
		"message": fields[1], "ticketID": 858462, "from": map[string]any{"address": "x@example.org"}, "tags": []any{"y"}, "nothing": nil,
	})
	require.NoError(t, err)
	contentType, parts := multipartBody(t, fields...)
	for contentType, body := range map[string]string{
		contentType:                       parts,
		form:                              query.Encode(),
		form + "; charset=UTF-8":          query.Encode(),
		"application/json":                string(object),
		"application/problem+json":        string(object),
		"Application/JSON; charset=utf-8": string(object),
	} {
		got, err := helpdesk.ParseBody(contentType, []byte(body), helpdesk.DefaultLimits())
		require.NoError(t, err, contentType)
		require.Equal(t, want, got, contentType)
	}
}

func TestJSONScalarsBecomeText(t *testing.T) {
	t.Parallel()
	got, err := helpdesk.ParseBody("application/json", []byte(`{"n":9007199254740993,"f":0.10,"t":true,"x":false,"s":"\u00fc"}`), helpdesk.DefaultLimits())
	require.NoError(t, err)
	require.Equal(t, helpdesk.Values{"n": "9007199254740993", "f": "0.10", "t": "true", "x": "false", "s": "ü"}, got)
}

func TestAnEmptyBodyHasNoFields(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"", form, "application/json", "multipart/form-data; boundary=x", "text/plain"} {
		got, err := helpdesk.ParseBody(contentType, []byte(" \r\n"), helpdesk.DefaultLimits())
		require.NoError(t, err, contentType)
		require.Empty(t, got)
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	contentType, whole := multipartBody(t, "a", "1", "b", "2")
	boundary := strings.TrimPrefix(contentType, "multipart/form-data; boundary=")
	_, twice := multipartBody(t, "a", "1", "a", "2")
	file := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--x--\r\n"
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "f%d=&", i)
		}
		return b.String()
	}
	tests := map[string]struct {
		contentType, body string
		is                error  // sentinel, or
		field, rule       string // what Problems say
	}{
		"no content type":             {"", "a=1", helpdesk.ErrContentType, "", ""},
		"text":                        {"text/plain", "a=1", helpdesk.ErrContentType, "", ""},
		"broken content type":         {"multipart/form-data; boundary", "a=1", helpdesk.ErrContentType, "", ""},
		"other charset":               {form + "; charset=iso-8859-1", "a=1", helpdesk.ErrContentType, "", ""},
		"no boundary":                 {"multipart/form-data", whole, helpdesk.ErrMalformed, "", ""},
		"wrong boundary":              {"multipart/form-data; boundary=other", whole, helpdesk.ErrMalformed, "", ""},
		"cut off in a part":           {contentType, whole[:len(whole)-len(boundary)-8], helpdesk.ErrMalformed, "", ""},
		"cut off between parts":       {contentType, whole[:strings.LastIndex(whole, "--"+boundary)], helpdesk.ErrMalformed, "", ""},
		"part without a name":         {"multipart/form-data; boundary=x", "--x\r\n\r\nhello\r\n--x--\r\n", helpdesk.ErrMalformed, "", ""},
		"file":                        {"multipart/form-data; boundary=x", file, nil, "f", "is a file, which this call does not take"},
		"multipart twice":             {contentType, strings.ReplaceAll(twice, twice[2:strings.Index(twice, "\r\n")], boundary), nil, "a", "is given twice"},
		"form twice":                  {form, "a=1&b=2&a=1", nil, "a", "is given twice"},
		"json twice":                  {"application/json", `{"a":1,"a":1}`, nil, "a", "is given twice"},
		"json null and value":         {"application/json", `{"a":null,"a":1}`, nil, "a", "is given twice"},
		"json nested twice":           {"application/json", `{"a":{"b":1},"a[b]":1}`, nil, "a[b]", "is given twice"},
		"broken escape":               {form, "a=%zz", helpdesk.ErrMalformed, "", ""},
		"broken escape in a name":     {form, "%zz=a", helpdesk.ErrMalformed, "", ""},
		"no name":                     {form, "=1", helpdesk.ErrMalformed, "", ""},
		"control character in a name": {form, "a%0ab=1", helpdesk.ErrMalformed, "", ""},
		"invalid UTF-8":               {form, "a=%ff", nil, "a", "is not valid UTF-8"},
		"invalid UTF-8 in a name":     {form, "a%ff=1", helpdesk.ErrMalformed, "", ""},
		"invalid UTF-8 in JSON":       {"application/json", "{\"a\":\"\xff\"}", helpdesk.ErrMalformed, "", ""},
		"NUL":                         {form, "a=b%00c", nil, "a", "holds a NUL byte"},
		"NUL in JSON":                 {"application/json", `{"a":"\u0000"}`, nil, "a", "holds a NUL byte"},
		"json array":                  {"application/json", `[1]`, helpdesk.ErrMalformed, "", ""},
		"json text":                   {"application/json", `"a"`, helpdesk.ErrMalformed, "", ""},
		"json cut off":                {"application/json", `{"a":1`, helpdesk.ErrMalformed, "", ""},
		"json and more":               {"application/json", `{"a":1}{"b":2}`, helpdesk.ErrMalformed, "", ""},
		"json too deep":               {"application/json", strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), helpdesk.ErrMalformed, "", ""},
		"10,000 fields":               {form, many(10_000), helpdesk.ErrTooManyFields, "", ""},
		"10,000 nulls":                {"application/json", "{" + strings.TrimSuffix(strings.Repeat(`"a":null,`, 1), ",") + "," + nulls(10_000) + "}", helpdesk.ErrTooManyFields, "", ""},
		"long name":                   {form, strings.Repeat("n", 129) + "=1", nil, strings.Repeat("n", 48) + "…", "has a name of more than 128 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := helpdesk.ParseBody(test.contentType, []byte(test.body), helpdesk.DefaultLimits())
			require.Nil(t, got)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
				return
			}
			require.Equal(t, relay.Problems{{Field: test.field, Rule: test.rule}}, err)
		})
	}
	_, err := helpdesk.ParseBody(form, []byte(many(1000)), helpdesk.DefaultLimits())
	require.NoError(t, err, "1,000 fields are still allowed")
}

func nulls(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":null`, i)
	}
	return strings.Join(names, ",")
}

func TestMergeRefusesAFieldGivenTwice(t *testing.T) {
	t.Parallel()
	query, err := helpdesk.ParseQuery("a=1&b=2", helpdesk.DefaultLimits())
	require.NoError(t, err)
	body := helpdesk.Values{"c": "3"}
	require.NoError(t, body.Merge(query))
	require.Equal(t, helpdesk.Values{"a": "1", "b": "2", "c": "3"}, body)
	require.ErrorContains(t, body.Merge(query), "is given twice")
}

// sameAsEncodingJSON holds the top level of a JSON body against the standard library.
func sameAsEncodingJSON(t *testing.T, contentType string, body []byte, values helpdesk.Values) {
	t.Helper()
	if media, _, _ := mime.ParseMediaType(contentType); media != "application/json" || len(bytes.TrimSpace(body)) == 0 {
		return
	}
	var want map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&want))
	for name, value := range want {
		if strings.HasSuffix(name, "[]") {
			continue
		}
		switch value.(type) {
		case string, json.Number, bool:
			require.Equal(t, fmt.Sprint(value), values[name])
		default:
			require.NotContains(t, values, name)
		}
	}
}

func TestJSONInAnyLayout(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"a":"x","b":[1,2,[]],"c":{},"d":{"e":null,"f":"\\\"}"},"g":-1.5e3}`,
		" {\t\"a\" : \"x\" ,\r\n \"b\" : [ 1 , 2 , [ ] ] , \"c\" : { } , \"d\" : { \"e\" : null , \"f\" : \"\\\\\\\"}\" } , \"g\" : -1.5e3 } ",
	} {
		got, err := helpdesk.ParseBody("application/json", []byte(body), helpdesk.DefaultLimits())
		require.NoError(t, err, body)
		require.Equal(t, helpdesk.Values{"a": "x", "b[0]": "1", "b[1]": "2", "d[f]": `\"}`, "g": "-1.5e3"}, got, body)
	}
}

func FuzzParseBody(f *testing.F) {
	contentType, parts := multipartBody(f, "message", "hello", "tags[]", "a", "tags[]", "b")
	f.Add(contentType, []byte(parts))
	f.Add(form, []byte("a=1&b[]=2&b[]=%20&c[d]=%c3%bc"))
	f.Add("application/json", []byte(`{"a":{"b":[1,2,{"c":null}]},"d":"\ud800","e":1e9}`))
	f.Add("application/json", []byte(`{"":1}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		limits := helpdesk.DefaultLimits()
		values, err := helpdesk.ParseBody(contentType, body, limits)
		if err != nil {
			require.Nil(t, values)
			var problems relay.Problems
			known := errors.As(err, &problems) || errors.Is(err, helpdesk.ErrContentType) ||
				errors.Is(err, helpdesk.ErrMalformed) || errors.Is(err, helpdesk.ErrTooManyFields)
			require.True(t, known, "%v", err)
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		require.LessOrEqual(t, len(values), limits.Fields)
		sameAsEncodingJSON(t, contentType, body, values)
		for name, value := range values {
			require.NotEmpty(t, name)
			require.True(t, utf8.ValidString(name) && utf8.ValidString(value))
			require.NotContains(t, name+value, "\x00")
		}
		// What every call does next must not fail in another way either.
		for _, call := range []helpdesk.Call{helpdesk.CustomChannelMessage(), helpdesk.PostMessage(), helpdesk.ChannelHook()} {
			picked := helpdesk.FromHook(values)
			if err := call.Check(picked); err != nil {
				require.ErrorAs(t, err, new(relay.Problems))
			}
		}
	})
}
