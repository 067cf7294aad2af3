package queue_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/queue"
	"omnirelay/relay"
)

// filled sets fields of a struct, those that pick selects, each to a value of its own.
func filled(v reflect.Value, pick func() bool, text func() string) {
	for i := range v.NumField() {
		f := v.Field(i)
		if !pick() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(text())
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(i) + 17)
		case reflect.Uint64:
			f.SetUint(1<<63 + uint64(i))
		case reflect.Slice:
			s := reflect.MakeSlice(f.Type(), 1, 1)
			if s.Index(0).Kind() == reflect.Struct {
				filled(s.Index(0), pick, text)
			} else {
				s.Index(0).SetUint(200)
			}
			f.Set(s)
		case reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{text(): text()}))
		default:
			f.Set(reflect.ValueOf(time.UnixMicro(1_764_000_000_123_456 + int64(i)).UTC())) // panics for a kind that is new here
		}
	}
}

// same holds the written form to the library's: it must read as the same JSON, and come back
// as it was.
func same[V any](t require.TestingT, v V, encode func(*V) ([]byte, error), decode func([]byte) (V, error)) {
	got, err := encode(&v)
	require.NoError(t, err)
	want, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
	back, err := decode(got)
	require.NoError(t, err, "%s", got)
	var mended V // invalid UTF-8 is mended by either
	require.NoError(t, json.Unmarshal(want, &mended))
	require.Equal(t, mended, back)
}

// TestTheStoredFormHoldsEveryField fails for a field that is new and not written.
func TestTheStoredFormHoldsEveryField(t *testing.T) {
	t.Parallel()
	n := 0
	text := func() string { n++; return fmt.Sprint("text ", n) }
	var m relay.Message
	filled(reflect.ValueOf(&m).Elem(), func() bool { return true }, text)
	same(t, m, queue.EncodeMessage, queue.DecodeMessage)
	var a relay.Attempt
	filled(reflect.ValueOf(&a).Elem(), func() bool { return true }, text)
	same(t, a, queue.EncodeAttempt, queue.DecodeAttempt)
	same(t, relay.Message{}, queue.EncodeMessage, queue.DecodeMessage)
	same(t, relay.Attempt{}, queue.EncodeAttempt, queue.DecodeAttempt)
}

func TestTheStoredFormOfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pick := func() bool { return rapid.Bool().Draw(t, "set") }
		text := func() string {
			return rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		}
		var m relay.Message
		filled(reflect.ValueOf(&m).Elem(), pick, text)
		same(t, m, queue.EncodeMessage, queue.DecodeMessage)
		var a relay.Attempt
		filled(reflect.ValueOf(&a).Elem(), pick, text)
		same(t, a, queue.EncodeAttempt, queue.DecodeAttempt)
	})
}

func BenchmarkStored(b *testing.B) {
	m := text(1001, "ticket:858462", string(make([]byte, 0)))
	m.ID, m.AcceptedAt, m.ChannelName, m.TicketID = relay.NewID(), time.Now().UTC(), "Example channel", 858462
	for range 40 {
		m.Text += fmt.Sprint("word ", rand.IntN(100), ", ")
	}
	data, err := queue.EncodeMessage(m)
	require.NoError(b, err)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = queue.EncodeMessage(m)
		}
	})
	b.Run("encode, by the library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = queue.DecodeMessage(data)
		}
	})
}
