package helpdesk_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

func upload() helpdesk.Upload {
	return helpdesk.Upload{Names: []string{"file"}, Text: true, FieldBytes: 1 << 20, Limits: helpdesk.DefaultLimits()}
}

// taken is a file as take got it.
type taken struct {
	field, name, contentType, content string
	soFar                             int
}

func read(contentType string, body io.Reader, u helpdesk.Upload) (helpdesk.Values, []taken, error) {
	var files []taken
	v, err := helpdesk.ReadUpload(contentType, body, u, func(f helpdesk.IncomingFile, soFar helpdesk.Values) error {
		data, err := io.ReadAll(f.Content)
		files = append(files, taken{f.Field, f.Name, f.ContentType, string(data), len(soFar)})
		return err
	})
	return v, files, err
}

func TestFilesInTheThreeEncodings(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("\x89PNG\r\n\x1a\n some bytes \x00\xff\xfe", 5000)
	text := base64.StdEncoding.EncodeToString([]byte(content))
	var multi bytes.Buffer
	w := multipart.NewWriter(&multi)
	require.NoError(t, w.WriteField("a", "1"))
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="C:\dir\p.png"`}, "Content-Type": {"image/png"}})
	require.NoError(t, err)
	_, err = io.WriteString(part, content)
	require.NoError(t, err)
	require.NoError(t, w.WriteField("b", "2"))
	require.NoError(t, w.Close())
	var folded strings.Builder
	for i := 0; i < len(text); i += 76 {
		folded.WriteString(text[i:min(i+76, len(text))] + "%0D%0A")
	}
	for name, test := range map[string]struct{ contentType, body, file string }{
		"multipart":            {w.FormDataContentType(), multi.String(), "p.png"},
		"urlencoded":           {form, "a=1&file=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(text) + "&b=2", "file"},
		"urlencoded, sloppy":   {form, "a=1&file=" + text + "&b=2", "file"},
		"urlencoded, folded":   {form, "a=1&file=" + folded.String() + "&b=2", "file"},
		"JSON":                 {"application/json", `{"a":1,"file":"` + text + `","b":"2"}`, "file"},
		"JSON, escaped":        {"application/json; charset=utf-8", `{"a":1,"file":"` + strings.NewReplacer("+", `\u002b`, "/", `\/`, "=", `\u003D`).Replace(text) + "\",\n\t\"b\" : \"2\"}\n", "file"},
		"base64 for addresses": {form, "a=1&file=" + strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(content)), "=") + "&b=2", "file"},
	} {
		for readers, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "data and EOF": iotest.DataErrReader} {
			v, files, err := read(test.contentType, wrap(strings.NewReader(test.body)), upload())
			require.NoError(t, err, "%s %s", name, readers)
			require.Equal(t, helpdesk.Values{"a": "1", "b": "2"}, v, name)
			require.Equal(t, []taken{{"file", test.file, "image/png", content, 1}}, files, "%s %s", name, readers)
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\tmp\a.txt`: "a.txt", "größe.txt": "größe.txt", "..": "file", "a/": "a",
		"a\tb\x7f.txt": "ab.txt", " a ": "a", strings.Repeat("é", 200): strings.Repeat("é", 127),
	} {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {mime.FormatMediaType("form-data", map[string]string{"name": "file", "filename": sent})}})
		require.NoError(t, err)
		_, err = io.WriteString(part, "x")
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, files, err := read(w.FormDataContentType(), &b, upload())
		require.NoError(t, err)
		// Go's own reader of multipart drops the path already; the rest is ours.
		require.Len(t, files, 1, sent)
		require.Equal(t, want, files[0].name, sent)
	}
}

func TestWhatTakeAnswersEndsTheReading(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	_, err := helpdesk.ReadUpload(form, strings.NewReader("file=YWJj&a=1"), upload(), func(helpdesk.IncomingFile, helpdesk.Values) error { return full })
	require.ErrorIs(t, err, full)
	v, err := helpdesk.ReadUpload(form, strings.NewReader("file=YWJj&a=1"), upload(), func(helpdesk.IncomingFile, helpdesk.Values) error { return nil })
	require.NoError(t, err, "what it leaves unread is skipped")
	require.Equal(t, helpdesk.Values{"a": "1"}, v)
}

func TestAConnectionThatBreaksIsNeitherAFileNorAMistake(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for contentType, start := range map[string]string{
		form: "file=YWJjYWJj", "application/json": `{"file":"YWJj`, "multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc",
	} {
		_, _, err := read(contentType, io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)), upload())
		require.ErrorIs(t, err, broken, contentType)
	}
}

func TestOnlyTheFieldsThatMay(t *testing.T) {
	t.Parallel()
	u := upload()
	u.Text = false
	v, files, err := read(form, strings.NewReader("file=YWJj"), u)
	require.NoError(t, err)
	require.Empty(t, files)
	require.Equal(t, helpdesk.Values{"file": "YWJj"}, v)
	require.Equal(t, relay.Problems{{Field: "file", Rule: "must be sent as a file, in a multipart/form-data body"}},
		helpdesk.Call{Fields: []helpdesk.Field{{Name: "file", Kind: helpdesk.File}}}.Check(v))
	u.FieldBytes = 3
	_, _, err = read(form, strings.NewReader("a=12345"), u)
	require.ErrorIs(t, err, helpdesk.ErrFieldsTooLarge)
}

// FuzzReadUpload holds the reader of uploads against the reader of whole bodies: without a
// file they must agree.
func FuzzReadUpload(f *testing.F) {
	for _, seed := range [][2]string{
		{form, "a=1&file=YWJj&b[]=x&b[]=y"}, {form, "a=%zz"}, {form, "file=%2"}, {form, "&&a&=b"},
		{"application/json", `{"a":1,"file":"YWJj","b":{"c":[1,2,{}]},"d":null}`}, {"application/json", `{"file":"\u0041\/`}, {"application/json", `{"a":[[[[[[[[[[]]]]]]]]]]}`},
		{"application/json", `{"a":"b",}`}, {"application/json", `{}x`},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"n\"\r\n\r\nabc\r\n--x--\r\n"},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		for _, text := range []bool{true, false} {
			u := upload()
			u.Text = text
			u.FieldBytes = 1 << 16
			v, files, err := read(contentType, bytes.NewReader(body), u)
			if err != nil || len(bytes.TrimSpace(body)) == 0 {
				continue
			}
			for _, file := range files {
				require.NotEmpty(t, file.content)
				require.NotContains(t, file.name, "/")
				require.LessOrEqual(t, len(file.name), 255)
			}
			if text || len(files) > 0 {
				continue
			}
			whole, err := helpdesk.ParseBody(contentType, body, helpdesk.DefaultLimits())
			require.NoError(t, err)
			require.Equal(t, whole, v)
		}
	})
}

func FuzzFromChatHook(f *testing.F) {
	f.Add("typingIndicatorForCustomer", "sessionId=s&is_typing=true&data[message]=x")
	f.Add("uploadForCustomer", "file[url]=https://a&chat[id]=1")
	f.Add("messageForCustomer", "Message=x&text=y")
	f.Fuzz(func(t *testing.T, hookpoint, body string) {
		v, err := helpdesk.ParseBody(form, []byte(body), helpdesk.DefaultLimits())
		if err != nil {
			return
		}
		first := helpdesk.FromChatHook(hookpoint, v)
		require.Equal(t, first, helpdesk.FromChatHook(hookpoint, v), "the same each time")
		for name, value := range first {
			require.NotEmpty(t, value, name)
		}
		if event, ok := first["event"]; ok {
			require.Contains(t, []string{"startedtyping", "stoppedtyping"}, event)
		}
	})
}
