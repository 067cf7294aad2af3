package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/mirror"
	"omnirelay/queue/natsd/natsdtest"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

func encode(n int) ([]byte, error) {
	if n < 0 {
		return nil, errors.New("negative")
	}
	return []byte(strconv.Itoa(n)), nil
}

func decode(_ string, data []byte) (int, error) { return strconv.Atoi(string(data)) }

func open(t testing.TB, js jetstream.JetStream) *mirror.Mirror[int] {
	t.Helper()
	m, err := mirror.Open(t.Context(), js, mirror.Options[int]{
		Bucket: "numbers", Encode: encode, Decode: decode, Log: zerolog.Nop(),
	})
	require.NoError(t, err)
	return m
}

func set(n int) func(int) (int, error) { return func(int) (int, error) { return n, nil } }

func add(n int) func(int) (int, error) { return func(old int) (int, error) { return old + n, nil } }

// changed returns a channel that receives the keys m reports.
func changed(t *testing.T, m *mirror.Mirror[int]) <-chan string {
	c := make(chan string, 64)
	t.Cleanup(m.Subscribe(func(key string) { c <- key }))
	return c
}

func TestReadsItsOwnWrites(t *testing.T) {
	t.Parallel()
	m := open(t, natsdtest.Open(t).JetStream())
	defer m.Close()
	ctx := t.Context()

	_, err := m.Get("a")
	require.ErrorIs(t, err, mirror.ErrNotFound)
	require.NoError(t, m.Create(ctx, "a", 1))
	require.ErrorIs(t, m.Create(ctx, "a", 2), mirror.ErrExists)
	v, err := m.Get("a")
	require.NoError(t, err)
	require.Equal(t, 1, v)

	// The watcher, which lags behind these writes, must never take memory back.
	for n := 2; n <= 500; n++ {
		v, err = m.Modify(ctx, "a", set(n))
		require.NoError(t, err)
		require.Equal(t, n, v)
		v, err = m.Get("a")
		require.NoError(t, err)
		require.Equal(t, n, v)
	}

	require.NoError(t, m.Delete(ctx, "a"))
	_, err = m.Find(ctx, "a")
	require.ErrorIs(t, err, mirror.ErrNotFound)
	require.ErrorIs(t, m.Delete(ctx, "a"), mirror.ErrNotFound)
	_, err = m.Modify(ctx, "a", set(1))
	require.ErrorIs(t, err, mirror.ErrNotFound)
	require.Zero(t, m.Len())
}

func TestDeletedAndCreatedAgainStaysConsistent(t *testing.T) {
	t.Parallel()
	js := natsdtest.Open(t).JetStream()
	m, other := open(t, js), open(t, js)
	defer m.Close()
	defer other.Close()
	for n := range 200 {
		require.NoError(t, m.Create(t.Context(), "a", n))
		v, err := m.Get("a")
		require.NoError(t, err)
		require.Equal(t, n, v)
		require.NoError(t, m.Delete(t.Context(), "a"))
		_, err = m.Get("a")
		require.ErrorIs(t, err, mirror.ErrNotFound)
	}
	require.NoError(t, m.Create(t.Context(), "a", 1000))
	require.Eventually(t, func() bool {
		v, err := other.Get("a")
		return err == nil && v == 1000
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, other.Len())
	require.Equal(t, map[string]int{"a": 1000}, maps.Collect(m.All()))
}

func TestFollowsOtherInstances(t *testing.T) {
	t.Parallel()
	js := natsdtest.Open(t).JetStream()
	a := open(t, js)
	defer a.Close()
	require.NoError(t, a.Create(t.Context(), "old", 7))
	b := open(t, js)
	defer b.Close()
	v, err := b.Get("old")
	require.NoError(t, err)
	require.Equal(t, 7, v)

	heard := changed(t, b)
	require.NoError(t, a.Create(t.Context(), "new", 8))
	require.Equal(t, "new", <-heard)
	v, err = b.Get("new")
	require.NoError(t, err)
	require.Equal(t, 8, v)

	_, err = a.Modify(t.Context(), "new", set(9))
	require.NoError(t, err)
	require.Equal(t, "new", <-heard)
	v, err = b.Get("new")
	require.NoError(t, err)
	require.Equal(t, 9, v)

	require.NoError(t, a.Delete(t.Context(), "old"))
	require.Equal(t, "old", <-heard)
	_, err = b.Get("old")
	require.ErrorIs(t, err, mirror.ErrNotFound)
}

func TestFindSeesWhatTheWatcherHasNotBroughtYet(t *testing.T) {
	t.Parallel()
	js := natsdtest.Open(t).JetStream()
	a, b := open(t, js), open(t, js)
	defer a.Close()
	// Without its watcher b lags behind for ever.
	b.Close()
	require.NoError(t, a.Create(t.Context(), "k", 1))
	_, err := b.Get("k")
	require.ErrorIs(t, err, mirror.ErrNotFound)
	v, err := b.Find(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, 1, v)

	require.NoError(t, a.Create(t.Context(), "l", 2))
	require.NoError(t, b.Refresh(t.Context()))
	v, err = b.Get("l")
	require.NoError(t, err)
	require.Equal(t, 2, v)
	require.ErrorIs(t, b.Create(t.Context(), "l", 3), mirror.ErrExists)

	// Compare-and-set starts from the present value, not from b's old one.
	_, err = a.Modify(t.Context(), "l", set(10))
	require.NoError(t, err)
	v, err = b.Modify(t.Context(), "l", add(1))
	require.NoError(t, err)
	require.Equal(t, 11, v)
}

func TestMissesCannotLoadTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // where time stands still the limiter does not refill
		c := natsdtest.OpenDir(t, dir)
		a, b := open(t, c.JetStream()), open(t, c.JetStream())
		b.Close()
		require.NoError(t, a.Create(t.Context(), "k", 1))
		for n := range 100 {
			_, err := b.Find(t.Context(), fmt.Sprintf("guess%d", n))
			require.ErrorIs(t, err, mirror.ErrNotFound)
		}
		_, err := b.Find(t.Context(), "k")
		require.ErrorIs(t, err, mirror.ErrNotFound)
		time.Sleep(time.Second)
		v, err := b.Find(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, 1, v)
		a.Close()
		require.NoError(t, c.Close())
	})
}

func TestConcurrentModifiersLoseNothing(t *testing.T) {
	t.Parallel()
	js := natsdtest.Open(t).JetStream()
	a, b := open(t, js), open(t, js)
	defer a.Close()
	defer b.Close()
	require.NoError(t, a.Create(t.Context(), "sum", 0))
	var wg sync.WaitGroup
	errs := make(chan error, 80)
	for n := range 8 {
		wg.Go(func() {
			for range 10 {
				_, err := []*mirror.Mirror[int]{a, b}[n%2].Modify(t.Context(), "sum", add(1))
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for _, m := range []*mirror.Mirror[int]{a, b} {
		v, err := m.Modify(t.Context(), "sum", add(0))
		require.NoError(t, err)
		require.Equal(t, 80, v)
	}
}

func TestErrorsOfChangeAndEncodeComeBackUnchanged(t *testing.T) {
	t.Parallel()
	m := open(t, natsdtest.Open(t).JetStream())
	defer m.Close()
	no := errors.New("no")
	require.NoError(t, m.Create(t.Context(), "a", 1))
	_, err := m.Modify(t.Context(), "a", func(int) (int, error) { return 5, no })
	require.Equal(t, no, err)
	_, err = m.Modify(t.Context(), "a", set(-1))
	require.ErrorContains(t, err, "negative")
	require.ErrorContains(t, m.Create(t.Context(), "b", -1), "negative")
	v, err := m.Get("a")
	require.NoError(t, err)
	require.Equal(t, 1, v)
	_, err = m.Find(t.Context(), "not a key!")
	require.ErrorIs(t, err, mirror.ErrNotFound)
}

func TestAnUnreadableRecordIsNotAMissingOne(t *testing.T) {
	t.Parallel()
	js := natsdtest.Open(t).JetStream()
	m := open(t, js)
	defer m.Close()
	heard := changed(t, m)
	kv, err := js.KeyValue(t.Context(), "numbers")
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "a", "seven")
	require.NoError(t, err)
	require.Equal(t, "a", <-heard)

	_, err = m.Get("a")
	require.ErrorIs(t, err, mirror.ErrUnreadable)
	require.ErrorContains(t, err, "key a")
	_, err = m.Modify(t.Context(), "a", set(1))
	require.ErrorIs(t, err, mirror.ErrUnreadable)
	require.ErrorIs(t, m.Create(t.Context(), "a", 1), mirror.ErrExists)
	require.Empty(t, maps.Collect(m.All()))
	require.Equal(t, 1, m.Len())
	require.NoError(t, m.Delete(t.Context(), "a"))
	require.NoError(t, m.Create(t.Context(), "a", 1))
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := natsdtest.OpenDir(t, dir)
	m := open(t, c.JetStream())
	for n := range 300 { // more than a watcher's buffer
		require.NoError(t, m.Create(t.Context(), strconv.Itoa(n), n))
	}
	require.NoError(t, m.Delete(t.Context(), "5"))
	before := maps.Collect(m.All())
	m.Close()
	require.NoError(t, c.Close())

	c = natsdtest.OpenDir(t, dir)
	m = open(t, c.JetStream())
	require.Len(t, before, 299)
	require.Equal(t, before, maps.Collect(m.All()))
	m.Close()
	require.NoError(t, c.Close())
}

func TestTheWatchOutlivesALostConnection(t *testing.T) {
	t.Parallel()
	c := natsdtest.Open(t)
	m := open(t, c.JetStream())
	defer m.Close()
	kv, err := c.JetStream().KeyValue(t.Context(), "numbers")
	require.NoError(t, err)
	for n := range 3 {
		require.NoError(t, c.NATS().ForceReconnect())
		require.Eventually(t, func() bool {
			_, err := kv.PutString(t.Context(), "k", strconv.Itoa(n))
			return err == nil
		}, 30*time.Second, time.Millisecond)
		require.Eventually(t, func() bool {
			v, err := m.Get("k")
			return err == nil && v == n
		}, 30*time.Second, time.Millisecond)
	}
}

// A server forgets the watcher's consumer when the node that held it is lost.
func TestTheWatchOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := natsdtest.OpenDir(t, dir)
		js := c.JetStream()
		m := open(t, js)
		kv, err := js.KeyValue(t.Context(), "numbers")
		require.NoError(t, err)
		put := func(n int) {
			_, err := kv.PutString(t.Context(), "k", strconv.Itoa(n))
			require.NoError(t, err)
		}
		arrives := func(n int) {
			time.Sleep(time.Minute)
			v, err := m.Get("k")
			require.NoError(t, err)
			require.Equal(t, n, v)
		}
		put(1)
		arrives(1)

		s, err := js.Stream(t.Context(), "KV_numbers")
		require.NoError(t, err)
		names := s.ConsumerNames(t.Context())
		for name := range names.Name() {
			require.NoError(t, s.DeleteConsumer(t.Context(), name))
		}
		require.NoError(t, names.Err())
		put(2)
		arrives(2)
		m.Close()
		require.NoError(t, c.Close())
	})
}

func TestOpenFailsInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := mirror.Open(ctx, natsdtest.Open(t).JetStream(), mirror.Options[int]{
		Bucket: "numbers", Encode: encode, Decode: decode, Log: zerolog.Nop(),
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSubscriptionsEnd(t *testing.T) {
	t.Parallel()
	m := open(t, natsdtest.Open(t).JetStream())
	defer m.Close()
	first := make(chan string, 8)
	cancel := m.Subscribe(func(key string) { first <- key })
	require.NoError(t, m.Create(t.Context(), "a", 1))
	require.Equal(t, "a", <-first)
	cancel()
	second := changed(t, m)
	require.NoError(t, m.Create(t.Context(), "b", 1))
	require.Equal(t, "b", <-second)
	_, err := m.Modify(t.Context(), "b", set(2))
	require.NoError(t, err)
	require.Equal(t, "b", <-second)
	require.Empty(t, first)
	require.Empty(t, second, "one change, one call")
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	m := open(t, natsdtest.Open(t).JetStream())
	m.Close()
	m.Close()
}

func TestClosingTheConnectionFirstIsFine(t *testing.T) {
	t.Parallel()
	c := natsdtest.OpenDir(t, t.TempDir())
	m := open(t, c.JetStream())
	require.NoError(t, m.Create(t.Context(), "a", 1))
	require.NoError(t, c.Close())
	v, err := m.Get("a")
	require.NoError(t, err)
	require.Equal(t, 1, v)
	_, err = m.Modify(t.Context(), "a", set(2))
	require.Error(t, err)
	m.Close()
}

func TestARecordThatAgesOutLeavesMemory(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	m, err := mirror.Open(t.Context(), conn.JetStream(), mirror.Options[string]{
		Bucket: "AGEING",
		TTL:    time.Second,
		Encode: func(v string) ([]byte, error) { return []byte(v), nil },
		Decode: func(_ string, data []byte) (string, error) { return string(data), nil },
		Log:    zerolog.Nop(),
	})
	require.NoError(t, err)
	defer m.Close()
	changed := make(chan string, 10)
	m.Subscribe(func(key string) { changed <- key })
	require.NoError(t, m.Create(t.Context(), "a", "one"))
	require.Equal(t, "a", <-changed)
	require.Equal(t, "a", <-changed, "the store tells of its end")
	require.Zero(t, m.Len())
	require.NoError(t, m.Create(t.Context(), "a", "two"), "the key is free again")
	v, err := m.Get("a")
	require.NoError(t, err)
	require.Equal(t, "two", v)
}
