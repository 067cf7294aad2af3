package endpoints_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/queue/natsd/natsdtest"
)

func create(t testing.TB, r *endpoints.Registry, id int64) endpoints.Channel {
	t.Helper()
	c, err := r.Create(t.Context(), id, minimal(t))
	require.NoError(t, err)
	return c
}

func TestIDs(t *testing.T) {
	t.Parallel()
	conn := js(t)
	r := open(t, conn)
	require.EqualValues(t, 1001, create(t, r, 0).ID)
	require.EqualValues(t, 1002, create(t, r, 1002).ID)
	require.EqualValues(t, 13, create(t, r, 13).ID)
	require.EqualValues(t, 1003, create(t, r, 0).ID)
	_, err := r.Create(t.Context(), 13, minimal(t))
	require.ErrorIs(t, err, endpoints.ErrExists)

	// No id is used twice, also by an instance that never saw the channel.
	require.NoError(t, r.Delete(t.Context(), 1003, "ann"))
	_, err = r.Create(t.Context(), 1003, minimal(t))
	require.ErrorIs(t, err, endpoints.ErrExists)
	require.ErrorContains(t, err, "ann deleted")
	require.EqualValues(t, 1004, create(t, r, 0).ID)
	require.NoError(t, r.Delete(t.Context(), 1004, "ann"))
	require.EqualValues(t, 1005, create(t, open(t, conn), 0).ID)
	require.EqualValues(t, 1006, create(t, r, 0).ID)

	for _, id := range []int64{-1, 8, endpoints.MaxID + 1} {
		_, err := r.Create(t.Context(), id, minimal(t))
		require.NotEmpty(t, broken(err)["id"])
	}
	require.EqualValues(t, endpoints.MaxID, create(t, r, endpoints.MaxID).ID)
}

func TestInstancesCreatingAtOnceGetDifferentIDs(t *testing.T) {
	t.Parallel()
	conn := js(t)
	registries := []*endpoints.Registry{open(t, conn), open(t, conn)}
	p := minimal(t)
	type result struct {
		id  int64
		err error
	}
	results := make(chan result, 60)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			for range 10 {
				c, err := registries[n%2].Create(t.Context(), 0, p)
				results <- result{c.ID, err}
			}
		})
	}
	wg.Wait()
	close(results)
	seen := make(map[int64]bool)
	for res := range results {
		require.NoError(t, res.err)
		require.False(t, seen[res.id], res.id)
		seen[res.id] = true
	}
	require.Len(t, seen, 60)
}

func TestUpdatesOfDifferentFieldsAllComeThrough(t *testing.T) {
	t.Parallel()
	conn := js(t)
	a, b := open(t, conn), open(t, conn)
	id := create(t, a, 0).ID
	const rounds = 20
	errs := make(chan error, 4*rounds)
	patches := make([][]endpoints.Patch, 4)
	for n := range rounds {
		v := strconv.Itoa(n + 1)
		patches[0] = append(patches[0], patch(t, "concurrency", v))
		patches[1] = append(patches[1], patch(t, "max_attempts", v))
		patches[2] = append(patches[2], patch(t, "name", "name "+v))
		patches[3] = append(patches[3], patch(t, "custom_channel_warning_nl", "nr. "+v))
	}
	var wg sync.WaitGroup
	for n, ps := range patches {
		wg.Go(func() {
			for _, p := range ps {
				_, err := []*endpoints.Registry{a, b}[n%2].Update(t.Context(), id, p)
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	c, err := open(t, conn).Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, rounds, c.Overrides.Concurrency)
	require.Equal(t, rounds, c.Overrides.MaxAttempts)
	require.Equal(t, fmt.Sprint("name ", rounds), c.Name)
	require.Equal(t, fmt.Sprint("nr. ", rounds), c.WarningNL)
}

func TestABadUpdateChangesNothing(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	c := create(t, r, 0)
	_, err := r.Update(t.Context(), c.ID, patch(t, "name", "Fine", "custom_channel_endpoint", "nowhere"))
	require.NotEmpty(t, broken(err)["custom_channel_endpoint"])
	got, err := r.Get(t.Context(), c.ID)
	require.NoError(t, err)
	require.Equal(t, c.View(true), got.View(true))
	_, err = r.Update(t.Context(), c.ID, patch(t, "retry_initial", "10s", "retry_max", "5s"))
	require.NotEmpty(t, broken(err)["retry_max"])
}

func TestReadsItsOwnWrites(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	for n := range 100 {
		c := create(t, r, 0)
		got, err := r.Get(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, c.View(true), got.View(true))
		want := fmt.Sprint("renamed ", n)
		_, err = r.Update(t.Context(), c.ID, patch(t, "name", want))
		require.NoError(t, err)
		got, err = r.Get(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, want, got.Name)
		if n%2 == 0 {
			require.NoError(t, r.Delete(t.Context(), c.ID, "ann"))
			_, err = r.Get(t.Context(), c.ID)
			require.ErrorIs(t, err, endpoints.ErrNotFound)
		}
	}
	_, total := r.List(0, 1)
	require.Equal(t, 50, total)
}

func TestDeleteLeavesATombstone(t *testing.T) {
	t.Parallel()
	conn := js(t)
	r := open(t, conn)
	c := create(t, r, 0)
	_, ok := r.Tombstone(c.ID)
	require.False(t, ok)
	require.NoError(t, r.Delete(t.Context(), c.ID, "key_ann"))

	for _, r := range []*endpoints.Registry{r, open(t, conn)} {
		_, err := r.Get(t.Context(), c.ID)
		require.ErrorIs(t, err, endpoints.ErrNotFound)
		require.ErrorContains(t, err, "key_ann")
		_, err = r.Update(t.Context(), c.ID, minimal(t))
		require.ErrorIs(t, err, endpoints.ErrNotFound)
		require.ErrorIs(t, r.Delete(t.Context(), c.ID, "bob"), endpoints.ErrNotFound)
		stone, ok := r.Tombstone(c.ID)
		require.True(t, ok)
		require.Equal(t, c.ID, stone.ID)
		require.Equal(t, c.Name, stone.Name)
		require.Equal(t, "key_ann", stone.DeletedBy)
		require.False(t, stone.DeletedAt.Before(c.CreatedAt))
		page, total := r.List(0, 10)
		require.Empty(t, page)
		require.Zero(t, total)
	}

	_, err := r.Get(t.Context(), 4242)
	require.ErrorIs(t, err, endpoints.ErrNotFound)
	require.ErrorIs(t, r.Delete(t.Context(), 4242, "ann"), endpoints.ErrNotFound)
	_, ok = r.Tombstone(4242)
	require.False(t, ok)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	for _, id := range []int64{2000, 9, 100, 0, 0} {
		create(t, r, id)
	}
	all := []int64{9, 100, 1001, 1002, 2000}
	for _, tt := range []struct {
		start, limit int
		want         []int64
	}{
		{0, 10, all}, {0, 2, all[:2]}, {2, 2, all[2:4]}, {4, 2, all[4:]}, {5, 1, nil}, {99, 1, nil}, {0, 0, nil}, {-3, 1, all[:1]}, {0, -1, nil},
	} {
		page, total := r.List(tt.start, tt.limit)
		var ids []int64
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		require.Equal(t, tt.want, ids, "%+v", tt)
		require.Equal(t, 5, total)
	}
}

func TestOtherInstancesHearOfChanges(t *testing.T) {
	t.Parallel()
	conn := js(t)
	a, b := open(t, conn), open(t, conn)
	heard := make(chan int64, 16)
	cancel := b.Subscribe(func(id int64) { heard <- id })
	defer cancel()

	c := create(t, a, 0)
	require.Equal(t, c.ID, <-heard)
	got, err := b.Get(t.Context(), c.ID)
	require.NoError(t, err)
	require.Equal(t, c.HookToken.Reveal(), got.HookToken.Reveal())

	_, err = a.Update(t.Context(), c.ID, patch(t, "name", "New name"))
	require.NoError(t, err)
	require.Equal(t, c.ID, <-heard)
	got, err = b.Get(t.Context(), c.ID)
	require.NoError(t, err)
	require.Equal(t, "New name", got.Name)

	require.NoError(t, a.Delete(t.Context(), c.ID, "ann"))
	require.Equal(t, c.ID, <-heard)
	_, ok := b.Tombstone(c.ID)
	require.True(t, ok)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conn := natsdtest.OpenDir(t, dir)
	r, err := endpoints.Open(t.Context(), conn.JetStream(), endpoints.Options{})
	require.NoError(t, err)
	p := minimal(t)
	require.NoError(t, p.Set("custom_channel_secret", "old"))
	c, err := r.Create(t.Context(), 0, p)
	require.NoError(t, err)
	c, err = r.Update(t.Context(), c.ID, patch(t, "custom_channel_secret", "new", "rate_limit", "1.5"))
	require.NoError(t, err)
	gone := create(t, r, 0)
	require.NoError(t, r.Delete(t.Context(), gone.ID, "ann"))
	r.Close()
	require.NoError(t, conn.Close())

	conn = natsdtest.OpenDir(t, dir)
	r, err = endpoints.Open(t.Context(), conn.JetStream(), endpoints.Options{})
	require.NoError(t, err)
	got, err := r.Get(t.Context(), c.ID)
	require.NoError(t, err)
	require.Equal(t, c.View(true), got.View(true))
	require.Equal(t, []string{"new", "old"}, reveal(got.Secrets(c.UpdatedAt)))
	_, ok := r.Tombstone(gone.ID)
	require.True(t, ok)
	require.Equal(t, gone.ID+1, create(t, r, 0).ID)
	r.Close()
	require.NoError(t, conn.Close())
}

func TestAnUnreadableChannelIsNotADeletedOne(t *testing.T) {
	t.Parallel()
	conn := js(t)
	open(t, conn)
	kv, err := conn.KeyValue(t.Context(), endpoints.Bucket)
	require.NoError(t, err)
	for key, data := range map[string]string{
		"1001": `{}`, "1002": `not JSON`, "1003": `{"channel":{"id":7}}`, "1004": `{"channel":{"id":1004,"custom_channel_secret":"whsec_"}}`,
		"1005": `{"channel":{"id":1005},"tombstone":{"id":1005}}`, "1006": `{"tombstone":{"id":1}}`,
	} {
		_, err := kv.PutString(t.Context(), key, data)
		require.NoError(t, err)
	}
	r := open(t, conn)
	for id := int64(1001); id <= 1006; id++ {
		_, err := r.Get(t.Context(), id)
		require.Error(t, err, id)
		require.NotErrorIs(t, err, endpoints.ErrNotFound, id)
		_, ok := r.Tombstone(id)
		require.False(t, ok)
	}
	require.EqualValues(t, 1007, create(t, r, 0).ID)
}

func BenchmarkGet(b *testing.B) {
	r := open(b, js(b))
	const n = 1000
	for range n {
		create(b, r, 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for id := int64(0); pb.Next(); id++ {
			if _, err := r.Get(b.Context(), 1001+id%n); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkList(b *testing.B) {
	r := open(b, js(b))
	const n = 10_000
	for range n {
		create(b, r, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, total := r.List(5000, 15); total != n {
			b.Fatal(total)
		}
	}
}
