package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
)

// PublicKey is a key whose signatures a host takes.
type PublicKey struct{ key [ed25519.PublicKeySize]byte }

// keyPrefix begins a public key's text, as a policy has it.
const keyPrefix = "kannuki-key1:"

// ParsePublicKey reads what String writes.
func ParsePublicKey(from string) (PublicKey, error) {
	rest, ok := strings.CutPrefix(from, keyPrefix)
	raw, err := encoding.DecodeString(rest)
	if !ok || err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("%.60q is no public key: it begins with %s and has 43 characters behind it", from, keyPrefix)
	}
	k := PublicKey{[ed25519.PublicKeySize]byte(raw)}
	if k.String() != from {
		return PublicKey{}, fmt.Errorf("%.60q is no public key: it has line ends in it", from)
	}
	return k, nil
}

func (k PublicKey) String() string { return keyPrefix + encoding.EncodeToString(k.key[:]) }

// ID tells keys apart: the first 16 hexadecimal digits of the key's SHA-256.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.key[:])
	return hex.EncodeToString(sum[:8])
}

func (k PublicKey) verifies(message, signature []byte) bool {
	return ed25519.Verify(k.key[:], message, signature)
}

// PrivateKey signs.
type PrivateKey struct{ key ed25519.PrivateKey }

// NewKey makes a key out of random.
func NewKey(random io.Reader) (PrivateKey, error) {
	_, k, err := ed25519.GenerateKey(random)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("make a key: %w", err)
	}
	return PrivateKey{k}, nil
}

// Public is what hosts are told.
func (k PrivateKey) Public() PublicKey {
	return PublicKey{[ed25519.PublicKeySize]byte(k.key.Public().(ed25519.PublicKey))}
}

func (k PrivateKey) sign(message []byte) []byte { return ed25519.Sign(k.key, message) }

// block is the kind of PEM block a key is kept in: PKCS #8 (RFC 5958, RFC 8410), which
// openssl reads too.
const block = "PRIVATE KEY"

// PEM is the key as it is kept in a file. Whoever reads it can relax guards.
func (k PrivateKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}), nil
}

// ErrNoKey is wrapped by errors about a file that holds no private key of ours.
var ErrNoKey = errors.New("no Ed25519 private key")

// ParsePrivateKey reads what PEM writes.
func ParsePrivateKey(text []byte) (PrivateKey, error) {
	b, _ := pem.Decode(text)
	switch {
	case b == nil:
		return PrivateKey{}, fmt.Errorf("%w: there is no PEM block", ErrNoKey)
	case b.Type != block:
		return PrivateKey{}, fmt.Errorf("%w: it is a block of %s, not of %s", ErrNoKey, b.Type, block)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	k, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return PrivateKey{}, fmt.Errorf("%w: it is a key of another kind (%T)", ErrNoKey, parsed)
	}
	return PrivateKey{k}, nil
}
