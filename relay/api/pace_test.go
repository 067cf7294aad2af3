package api_test

import (
	"io"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd/natsdtest"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestDownloadsArePaced: whoever has an address cannot make the store hold in memory whatever
// the network gives.
func TestDownloadsArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const size = 12 << 20
		file, err := w.files.Put(t.Context(), "a.bin", "application/octet-stream", io.LimitReader(zeros{}, size), size)
		require.NoError(t, err)
		address, err := url.Parse(w.links.URL(file, time.Now()))
		require.NoError(t, err)
		began := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if got := w.get("GET", address.RequestURI(), ""); got.status != 200 || len(got.text) != size {
					t.Errorf("%d, %d bytes", got.status, len(got.text))
				}
			})
		}
		all.Wait()
		require.InDelta(t, 3, time.Since(began).Seconds(), 0.2, "48 MiB at 16 MiB a second, of the bubble's")
	})
}
