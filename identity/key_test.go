package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKeyIsReadBackAsItWasWritten(t *testing.T) {
	k := key(t)
	text, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePrivateKey(text)
	if err != nil || !bytes.Equal(back.key, k.key) {
		t.Errorf("%v", err)
	}
	public, err := ParsePublicKey(k.Public().String())
	if err != nil || public != k.Public() || public.ID() != k.Public().ID() || len(public.ID()) != 16 {
		t.Errorf("%v %v", public, err)
	}
}

func TestWhatIsNoKeyIsAnErrorThatSaysSo(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	for says, text := range map[string]string{
		"no PEM block":    "hello",
		"of CERTIFICATE":  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})),
		"of another kind": string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})),
		"asn1":            string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: []byte{0x30, 1, 2}})),
	} {
		if _, err := ParsePrivateKey([]byte(text)); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	good := key(t).Public().String()
	for _, text := range []string{"", keyPrefix, good[:len(good)-1], good + "A", good[1:], good[:20] + "\n" + good[20:], good + "\n", strings.ToUpper(good), good[:len(good)-1] + "B"} {
		if k, err := ParsePublicKey(text); err == nil {
			t.Errorf("%q is read as %s", text, k)
		}
	}
}

// openssl is the second opinion: it reads the key, and takes the signature for one.
func TestOpenSSLReadsTheKeyAndTakesTheSignature(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is not installed")
	}
	dir, k := t.TempDir(), key(t)
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	text, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	private := write("key.pem", text)
	s := parsed(t, signed(t, k, good()))
	message, signature := write("message", append([]byte(domain), s.payload...)), write("signature", s.signature)
	public := filepath.Join(dir, "public.pem")
	for _, args := range [][]string{
		{"pkey", "-in", private, "-pubout", "-out", public},
		{"pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", signature},
	} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	write("message", append([]byte(domain), append(s.payload, ' ')...))
	if out, err := exec.Command("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", signature).CombinedOutput(); err == nil {
		t.Errorf("a changed message is taken: %s", out)
	}
}
