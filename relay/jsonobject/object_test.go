package jsonobject_test

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/relay/jsonobject"
)

// members is every kind of member.
type members struct {
	Text     string            `json:"text"`
	SomeText string            `json:"someText,omitempty"`
	Int      int64             `json:"int"`
	SomeInt  int64             `json:"someInt,omitempty"`
	Inner    inner             `json:"inner"`
	Uint     uint64            `json:"uint"`
	SomeUint uint64            `json:"someUint,omitempty"`
	Time     time.Time         `json:"time"`
	SomeTime time.Time         `json:"someTime,omitzero"`
	Raw      bool              `json:"raw"`
	Value    map[string]string `json:"value"`
}

type inner struct {
	SomeText string `json:"someText,omitempty"`
	Text     string `json:"text"`
}

func write(m members) ([]byte, error) {
	o := jsonobject.New(0)
	o.Text("text", m.Text)
	o.SomeText("someText", m.SomeText)
	o.Int("int", m.Int)
	o.SomeInt("someInt", m.SomeInt)
	o.Begin("inner")
	o.SomeText("someText", m.Inner.SomeText)
	o.Text("text", m.Inner.Text)
	o.End()
	o.Uint("uint", m.Uint)
	o.SomeUint("someUint", m.SomeUint)
	o.Time("time", m.Time, time.RFC3339Nano)
	o.SomeTime("someTime", m.SomeTime, time.RFC3339Nano)
	o.Raw("raw", strconv.FormatBool(m.Raw))
	o.Value("value", m.Value)
	return o.Bytes()
}

func TestItWritesWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
		at := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "no time") {
				return time.Time{}
			}
			return time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC()
		})
		m := members{
			Text: text.Draw(t, "text"), SomeText: rapid.String().Draw(t, "someText"),
			Int: rapid.Int64().Draw(t, "int"), SomeInt: rapid.Int64Range(-1, 1).Draw(t, "someInt"),
			Inner: inner{rapid.String().Draw(t, "inner.someText"), text.Draw(t, "inner.text")},
			Uint:  rapid.Uint64().Draw(t, "uint"), SomeUint: rapid.Uint64Range(0, 1).Draw(t, "someUint"),
			Time: at.Draw(t, "time"), SomeTime: at.Draw(t, "someTime"), Raw: rapid.Bool().Draw(t, "raw"),
			Value: rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "value"),
		}
		got, err := write(m)
		require.NoError(t, err)
		want, err := json.Marshal(m)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	})
}

func TestAnEmptyObject(t *testing.T) {
	t.Parallel()
	o := jsonobject.New(0)
	o.Begin("a")
	o.End()
	got, err := o.Bytes()
	require.NoError(t, err)
	require.JSONEq(t, `{"a":{}}`, string(got))
}

func TestAValueThatIsNoJSON(t *testing.T) {
	t.Parallel()
	o := jsonobject.New(0)
	o.Value("a", math.Inf(1))
	o.Value("b", 1)
	_, err := o.Bytes()
	require.ErrorContains(t, err, "+Inf")
}

func TestMarkupStaysAsItIs(t *testing.T) {
	t.Parallel()
	o := jsonobject.New(0)
	o.Text("a", "<b> & </b>")
	o.Value("c", []string{"<d>"})
	got, err := o.Bytes()
	require.NoError(t, err)
	require.Contains(t, string(got), "<b> & </b>")
	require.Contains(t, string(got), "<d>")
}
