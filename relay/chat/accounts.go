package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/queue/mirror"
)

// Errors of Accounts.
var (
	ErrNoAccount     = errors.New("no such chat account")
	ErrAccountExists = errors.New("a chat account with this token is there already")

	// ErrConflict means that others changed the same record again and again in between; the
	// same call may succeed later.
	ErrConflict = errors.New("the record is being changed by others")
)

// AccountBucket is the name of the KV bucket that holds the accounts.
const AccountBucket = "RELAY_CHAT_ACCOUNTS"

// AccountOptions are the options of Accounts.
type AccountOptions struct {
	Replicas int // copies of the bucket in a cluster; 0 means 1
	// Flush makes what a stream has acknowledged survive a power cut; see mirror.Options.
	Flush func(stream string) func() error
	Log   zerolog.Logger
}

// Accounts holds all chat accounts in memory, in step with the bucket and so with the other
// instances.
type Accounts struct {
	records *mirror.Mirror[Account]
}

// OpenAccounts makes the bucket when it is missing and reads all accounts. The context bounds
// OpenAccounts only; what it returns lives until Close.
func OpenAccounts(ctx context.Context, js jetstream.JetStream, o AccountOptions) (*Accounts, error) {
	records, err := mirror.Open(ctx, js, mirror.Options[Account]{
		Bucket:      AccountBucket,
		Description: "omnirelay: live-chat accounts",
		Replicas:    o.Replicas,
		Flush:       o.Flush,
		Encode:      encodeAccount,
		Decode:      decodeAccount,
		Log:         o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the chat accounts: %w", err)
	}
	return &Accounts{records: records}, nil
}

// Close ends following the bucket; what is stored stays.
func (r *Accounts) Close() { r.records.Close() }

// Create stores a new account; ErrAccountExists when its token is taken. Bad input gives
// Problems.
func (r *Accounts) Create(ctx context.Context, p Patch) (Account, error) {
	a, problems := p.apply(Account{}, present())
	if err := problems.Err(); err != nil {
		return Account{}, err
	}
	var err error
	if a.HookToken, err = newHookToken(a.ID); err != nil {
		return Account{}, fmt.Errorf("making a hook token: %w", err)
	}
	if err := r.records.Create(ctx, a.ID, a); err != nil {
		if errors.Is(err, mirror.ErrExists) {
			return Account{}, ErrAccountExists
		}
		return Account{}, fmt.Errorf("creating a chat account: %w", err)
	}
	return a, nil
}

// Update changes the fields that p sets. Bad input gives Problems and changes nothing.
func (r *Accounts) Update(ctx context.Context, id string, p Patch) (Account, error) {
	now := present()
	a, err := r.records.Modify(ctx, id, func(old Account) (Account, error) {
		a, problems := p.apply(old, now)
		return a, problems.Err()
	})
	return a, explainAccount(id, err)
}

// Delete removes an account. Its sessions are of no use from then on.
func (r *Accounts) Delete(ctx context.Context, id string) error {
	return explainAccount(id, r.records.Delete(ctx, id))
}

// Get returns an account by its id. ErrNoAccount stands for one that nobody has seen; any
// other error says nothing about the account.
func (r *Accounts) Get(ctx context.Context, id string) (Account, error) {
	a, err := r.records.Find(ctx, id)
	return a, explainAccount(id, err)
}

// ByToken returns the account of a chatAccountToken, or ErrNoAccount.
func (r *Accounts) ByToken(ctx context.Context, token string) (Account, error) {
	return r.Get(ctx, accountID(token))
}

// ByHookToken returns the account whose hook token this is, or ErrNoAccount. The comparison
// takes a time that tells nothing about the token's secret part.
func (r *Accounts) ByHookToken(ctx context.Context, token string) (Account, error) {
	if len(token) < 2*idBytes {
		return Account{}, ErrNoAccount
	}
	a, err := r.Get(ctx, token[:2*idBytes])
	if err != nil {
		return Account{}, err
	}
	if !a.HookTokenMatches(token) {
		return Account{}, ErrNoAccount
	}
	return a, nil
}

// List returns all accounts, by name.
func (r *Accounts) List() []Account {
	list := make([]Account, 0, r.records.Len())
	for _, a := range r.records.All() {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Account) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return list
}

func explainAccount(id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mirror.ErrNotFound):
		return fmt.Errorf("%w: %s", ErrNoAccount, id)
	case errors.Is(err, mirror.ErrConflict):
		return fmt.Errorf("%w: chat account %s", ErrConflict, id)
	case errors.As(err, new(Problems)):
		return err
	}
	return fmt.Errorf("chat account %s: %w", id, err)
}

func present() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
