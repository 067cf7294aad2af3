package e2e_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheTourOfTheReadme runs every command of the README's tour, block by block in one
// shell, and looks for what the text promises.
func TestTheTourOfTheReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	t.Parallel()
	// What the output must have shown when a block is done, and how often in all.
	promised := []struct {
		what  string
		times int
	}{
		{`omnirelay is ready`, 0},
		{`endpoint +http://127\.0\.0\.1:\d+/in`, 1},
		{` 200 +msg_\S+ message\.outbound channel 1001 ticket:858462 #\d+ verified "Your parcel is on its way\."`, 1},
		{` 200 +msg_\S+ .* verified (RETRY )?"while you were out: \d"`, 5},
		{` 200 +msg_\S+ .* verified "before the crash: \d"`, 3},
		{` 200 +msg_\S+ .* verified .*"Not at first\."`, 1},
		{` 200 +msg_\S+ .* verified (RETRY )?"while you were out: \d"`, 10},
		{`STARTED +ATTEMPT +OUTCOME`, 1},
		{`\d repeats, 0 out of order`, 3},
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, tour, ok := strings.Cut(string(text), "\n## A five-minute tour\n")
	require.True(t, ok)
	tour, _, _ = strings.Cut(tour, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(tour, -1)
	require.Len(t, blocks, len(promised), "each block has its promise")

	dir := t.TempDir()
	built, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "omnirelay"), built, 0o700))
	sink, api, admin := freeAddress(t), freeAddress(t), freeAddress(t)
	var out said
	shell := exec.CommandContext(t.Context(), "bash", "-u")
	shell.Dir = dir
	shell.Env = []string{"PATH=" + os.Getenv("PATH"), "OMNIRELAY_LISTEN=" + api, "OMNIRELAY_ADMIN_LISTEN=" + admin, "OMNIRELAY_API_URL=http://" + api}
	shell.Stdout, shell.Stderr = &out, &out
	in, err := shell.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	t.Cleanup(func() {
		// Whatever the tour has left running ends with its shell.
		_, _ = io.WriteString(in, "kill $relay $sink\n")
		_ = in.Close()
		_ = shell.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "relay.log"))
			t.Logf("the shell said:\n%s\nthe relay said:\n%s", out.String(), log)
		}
	})
	for i, block := range blocks {
		commands := strings.NewReplacer(
			"go build -o omnirelay ./cmd/omnirelay\n", "",
			"omnirelay sink", "omnirelay sink --listen "+sink,
			"127.0.0.1:9000", sink,
		).Replace(block[1])
		require.NotContains(t, commands, "go build")
		_, err := io.WriteString(in, commands+"\necho block-"+string(rune('a'+i))+"-done\n")
		require.NoError(t, err)
		want := regexp.MustCompile(promised[i].what)
		require.True(t, wait(func() bool {
			s := out.String()
			return strings.Contains(s, "block-"+string(rune('a'+i))+"-done\n") && len(want.FindAllString(s, -1)) >= promised[i].times
		}), "%s\nshould show %q %d times", commands, promised[i].what, promised[i].times)
	}
	require.Contains(t, out.String(), "8 messages, 8 accepted, ", "the second receiver's count")
	require.Contains(t, out.String(), "0 retries, 0 repeats, 0 out of order")
	require.NotContains(t, out.String(), "OUT OF ORDER")
	require.NotContains(t, out.String(), "omnirelay: ", "no command fails")
	require.NotContains(t, out.String(), "NOT VERIFIED")
}

// said is what a shell and its children write.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
