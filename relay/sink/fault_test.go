package sink_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/sink"
)

func TestParseFault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sink.Fault{
		"503":            {Action: sink.Answer, Status: 503},
		"503x3":          {Action: sink.Answer, Status: 503, First: 3},
		"404/10":         {Action: sink.Answer, Status: 404, Every: 10},
		"500@0.3":        {Action: sink.Answer, Status: 500, Chance: 0.3},
		"429+30s":        {Action: sink.Answer, Status: 429, RetryAfter: 30 * time.Second},
		"429+1m0s/2":     {Action: sink.Answer, Status: 429, RetryAfter: time.Minute, Every: 2},
		"slow=5s":        {Action: sink.Slow, Delay: 5 * time.Second},
		"slow=100ms@0.5": {Action: sink.Slow, Delay: 100 * time.Millisecond, Chance: 0.5},
		"hangx2":         {Action: sink.Hang, First: 2},
		"close/7":        {Action: sink.Close, Every: 7},
		"close-after":    {Action: sink.CloseAfter},
		"299":            {Action: sink.Answer, Status: 299},
	} {
		f, err := sink.ParseFault(text)
		require.NoError(t, err, text)
		require.Equal(t, want, f)
		require.Equal(t, text, f.String())
	}
	for _, bad := range []string{
		"", "x3", "/3", "@1", "199", "1000", "100", "abc", "5e2", "503x0", "503x", "503x-1", "503/0", "503/a", "503@0", "503@1.1", "503@NaN", "503@",
		"429+", "429+5", "429+0s", "429+1500ms", "slow", "slow=", "slow=0s", "slow=-1s", "slow=5", "hang+3s", "Hang", "503x3x3",
	} {
		_, err := sink.ParseFault(bad)
		require.Error(t, err, bad)
		require.Contains(t, err.Error(), "fault ")
	}
}

func FuzzParseFault(f *testing.F) {
	for _, seed := range []string{"503x3", "429+30s/2", "slow=5s@0.1", "hang", "close-after"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := sink.ParseFault(text)
		if err != nil {
			return
		}
		again, err := sink.ParseFault(fault.String())
		if err != nil || again != fault {
			t.Fatalf("%q reads as %+v, and that as %+v (%v)", text, fault, again, err)
		}
	})
}
