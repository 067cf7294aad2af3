package natsd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
)

// listen starts a server on a port of loopback, as an operator would run it, and returns its
// address without a scheme.
func listen(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
	o.NoSigs = true
	o.StoreDir = t.TempDir()
	if o.MaxPayload == 0 {
		o.MaxPayload = natsd.LeastPayload
	}
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(time.Minute))
	return s.Addr().String()
}

// open connects, and gives up soon.
func open(t *testing.T, o natsd.ExternalOptions) (*natsd.Conn, error) {
	t.Helper()
	o.Patience = 2 * time.Second
	o.Log = zerolog.Nop()
	c, err := natsd.External(t.Context(), o)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, c.Close()) })
	}
	return c, err
}

// requireWorks stores something and reads it back.
func requireWorks(t *testing.T, o natsd.ExternalOptions) {
	t.Helper()
	c, err := open(t, o)
	require.NoError(t, err)
	require.False(t, c.Embedded())
	require.NoError(t, c.Healthy())
	kv, err := c.JetStream().CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"})
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "k", "v")
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(e.Value()))
}

func TestExternalWithUserAndPassword(t *testing.T) {
	t.Parallel()
	addr := listen(t, &server.Options{JetStream: true, Username: "omnirelay", Password: "right"})
	o := natsd.ExternalOptions{URLs: []string{"nats://127.0.0.1:1", "nats://" + addr}, User: "omnirelay", Password: "right"}
	requireWorks(t, o)
	o.Password = "wrong"
	_, err := open(t, o)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	require.NotContains(t, err.Error(), "wrong")
}

func TestExternalWithToken(t *testing.T) {
	t.Parallel()
	addr := listen(t, &server.Options{JetStream: true, Authorization: "right"})
	requireWorks(t, natsd.ExternalOptions{URLs: []string{"nats://" + addr}, Token: "right"})
	_, err := open(t, natsd.ExternalOptions{URLs: []string{"nats://" + addr}, Token: "wrong"})
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

// TestExternalWithCreds proves itself by a user's JWT and seed, to a server that knows an
// operator and an account.
func TestExternalWithCreds(t *testing.T) {
	t.Parallel()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	accountKey, err := account.PublicKey()
	require.NoError(t, err)
	system, err := nkeys.CreateAccount()
	require.NoError(t, err)
	systemKey, err := system.PublicKey()
	require.NoError(t, err)
	operatorKey, err := operator.PublicKey()
	require.NoError(t, err)

	trusted := jwt.NewOperatorClaims(operatorKey)
	trusted.SystemAccount = systemKey
	claims := jwt.NewAccountClaims(accountKey)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	accounts := &server.MemAccResolver{}
	for key, c := range map[string]*jwt.AccountClaims{accountKey: claims, systemKey: jwt.NewAccountClaims(systemKey)} {
		token, err := c.Encode(operator)
		require.NoError(t, err)
		require.NoError(t, accounts.Store(key, token))
	}
	addr := listen(t, &server.Options{
		JetStream: true, TrustedOperators: []*jwt.OperatorClaims{trusted}, SystemAccount: systemKey, AccountResolver: accounts,
	})

	creds := func(by nkeys.KeyPair) string {
		user, err := nkeys.CreateUser()
		require.NoError(t, err)
		key, err := user.PublicKey()
		require.NoError(t, err)
		token, err := jwt.NewUserClaims(key).Encode(by)
		require.NoError(t, err)
		seed, err := user.Seed()
		require.NoError(t, err)
		text, err := jwt.FormatUserConfig(token, seed)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "omnirelay.creds")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}
	requireWorks(t, natsd.ExternalOptions{URLs: []string{"nats://" + addr}, Creds: creds(account)})
	stranger, err := nkeys.CreateAccount()
	require.NoError(t, err)
	_, err = open(t, natsd.ExternalOptions{URLs: []string{"nats://" + addr}, Creds: creds(stranger)})
	require.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = open(t, natsd.ExternalOptions{URLs: []string{"nats://" + addr}, Creds: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestExternalWithTLS checks both sides: the server by our authority, and us by theirs.
func TestExternalWithTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	addr := listen(t, &server.Options{JetStream: true, TLSTimeout: 5, TLSConfig: &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{ours.keyPair(t, "server")},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ours.pool,
	}})
	cert, key := ours.issue(t, "relay")
	good := natsd.ExternalOptions{URLs: []string{"tls://" + addr}, CAFile: ours.file, CertFile: cert, KeyFile: key}
	requireWorks(t, good)

	system := good
	system.CAFile = "" // the system knows nothing of our authority
	_, err := open(t, system)
	require.ErrorAs(t, err, new(x509.UnknownAuthorityError))

	theirs := newAuthority(t)
	forged := good
	forged.CertFile, forged.KeyFile = theirs.issue(t, "relay")
	_, err = open(t, forged)
	require.Error(t, err)

	nameless := good
	nameless.CertFile, nameless.KeyFile = "", ""
	_, err = open(t, nameless)
	require.Error(t, err)
}

// What the cluster cannot do is said at once and in words that lead to the setting.
func TestExternalNeedsRoomAndJetStream(t *testing.T) {
	t.Parallel()
	small := listen(t, &server.Options{JetStream: true, MaxPayload: 1 << 20})
	_, err := open(t, natsd.ExternalOptions{URLs: []string{"nats://" + small}})
	require.ErrorContains(t, err, "takes messages of up to 1048576 bytes and the relay needs 8388608; set max_payload: 8MB")
	plain := listen(t, &server.Options{})
	_, err = open(t, natsd.ExternalOptions{URLs: []string{"nats://" + plain}})
	require.ErrorIs(t, err, jetstream.ErrJetStreamNotEnabled)
	require.ErrorContains(t, err, "see that jetstream is enabled")
}

// TestExternalWaitsForTheServers is started before them.
func TestExternalWaitsForTheServers(t *testing.T) {
	t.Parallel()
	_, err := open(t, natsd.ExternalOptions{URLs: []string{"nats://127.0.0.1:1"}})
	require.ErrorIs(t, err, nats.ErrNoServers)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = natsd.External(ctx, natsd.ExternalOptions{URLs: []string{"nats://127.0.0.1:1"}, Log: zerolog.Nop()})
	require.Error(t, err, "and can be told to stop waiting")
}

// authority issues certificates for loopback.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = a.sign(t, template)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	a.file = writePEM(t, "CERTIFICATE", der)
	return a
}

// sign makes a key and its certificate; the authority's own is signed by itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	return der, key
}

// issue makes a certificate for whoever serves or calls on loopback, as two PEM files.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	der, key := a.sign(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", raw)
}

func (a *authority) keyPair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(t, name))
	require.NoError(t, err)
	return pair
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}
