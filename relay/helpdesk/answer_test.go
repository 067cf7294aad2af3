package helpdesk_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/helpdesk"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		``:                    0,
		"ok":                  0,
		"<html>fine</html>":   0,
		"[]":                  0,
		`[{"ticketID":1}]`:    0,
		`{}`:                  0,
		"null":                0,
		`{"ticketID":12312}`:  12312,
		`{"ticketID":"123"}`:  123,
		`{"ticketId":1}`:      1,
		`{"ticket_id":1}`:     1,
		`{"item":{"id":"9"}}`: 9,
		`{"type":"result","message":"Message sent.","ticketID":12312}`: 12312,
		`{"item":{"id":9,"ticket_id":3}}`:                              3,
		`{"data":{"ticketID":4}}`:                                      4,
		`{"ticketID":0,"item":{"ticketID":5}}`:                         5,
		`{"data":{"id":6}}`:                                            0, // whose id?
		`{"id":6}`:                                                     0,
		`{"ticketID":-1}`:                                              0,
		`{"ticketID":1.5}`:                                             0,
		`{"ticketID":1e3}`:                                             0,
		`{"ticketID":9223372036854775808}`:                             0,
		`{"ticketID":null}`:                                            0,
		`{"ticketID":{"id":3}}`:                                        0,
		`{"ticketID":5`:                                                0, // broke off
		"\xef\xbb\xbf {\"ticketID\":8}\n":                              8,
		`{"type":"result","message":"error"}`:                          0,
	} {
		got, err := helpdesk.ReadAnswer(nil, []byte(body))
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
}

func TestAnErrorEnvelopeIsAFailure(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"status":"error","message":"This form does not exist."}`: "the helpdesk answered with an error: This form does not exist.",
		`{"type":"error"}`: "the helpdesk answered with an error and no reason",
		`{"Type":"ERROR","Message":"x","ticketID":5}`:       "the helpdesk answered with an error: x",
		`{"status":"error","message":{"not":"a sentence"}}`: "the helpdesk answered with an error and no reason",
	} {
		ticket, err := helpdesk.ReadAnswer(nil, []byte(body))
		require.EqualError(t, err, want, body)
		require.Zero(t, ticket)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{"", "ok", `{"ticketID":12312}`, `{"item":{"id":"9"}}`, `{"status":"error","message":"x"}`, `{"ticketID":5`, `{"data":[{}]}`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ticket, err := helpdesk.ReadAnswer(nil, body)
		again, err2 := helpdesk.ReadAnswer(nil, body)
		if ticket != again || (err == nil) != (err2 == nil) {
			t.Fatalf("%q reads as %d (%v) and as %d (%v)", body, ticket, err, again, err2)
		}
		if ticket < 0 || (err != nil && ticket != 0) {
			t.Fatalf("%q gives ticket %d with %v", body, ticket, err)
		}
		if err != nil && utf8.Valid(body) && !utf8.ValidString(err.Error()) {
			t.Fatalf("%q makes an error that is no text", body)
		}
	})
}
