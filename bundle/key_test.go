package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"golang.org/x/crypto/ssh"

	"sluice/internal/fault"
)

// pairOf is a pair that is the same in each run.
func pairOf(t testing.TB, n byte) (ed25519.PrivateKey, PublicKey) {
	t.Helper()
	priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	pub, err := publicOf(priv)
	if err != nil {
		t.Fatal(err)
	}
	return priv, pub
}

func TestKeyRoundTrip(t *testing.T) {
	for _, pass := range []string{"", "correct horse"} {
		pubPEM, privPEM, err := GenerateKey(rand.Reader, "oem 2026", []byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ParsePublicKey(pubPEM)
		if err != nil {
			t.Fatal(err)
		}
		priv, err := ParsePrivateKey(privPEM, []byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(priv.Public().(ed25519.PublicKey), pub.Bytes()) {
			t.Error("the two halves do not belong together")
		}
		if pass == "" {
			if _, err := ParsePrivateKey(privPEM, []byte("needless")); err != nil {
				t.Errorf("a passphrase for a key without one: %v", err)
			}
			continue
		}
		for given, missing := range map[string]bool{"": true, "wrong": false} {
			_, err := ParsePrivateKey(privPEM, []byte(given))
			wantFault(t, err, fault.Passphrase, "passphrase")
			if got := fault.DetailOf(err)["missing"]; got != missing {
				t.Errorf("with passphrase %q detail missing is %v, want %v", given, got, missing)
			}
		}
	}
}

// Equal random bytes give equal keys, so a recorded test of a command can be repeated.
func TestGenerateKeyUsesGivenRandomness(t *testing.T) {
	a, _, err := GenerateKey(bytes.NewReader(make([]byte, 32)), "a", nil)
	b, _, err2 := GenerateKey(bytes.NewReader(make([]byte, 32)), "b", nil)
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("%v %v\n%s%s", err, err2, a, b)
	}
	if _, _, err := GenerateKey(bytes.NewReader(nil), "a", nil); err == nil {
		t.Error("a key without randomness")
	}
	wantFault(t, func() error { _, _, err := GenerateKey(rand.Reader, "a\nb", nil); return err }(), fault.Usage, "key name")
}

func TestKeyIDs(t *testing.T) {
	_, pub := pairOf(t, 1)
	block, _ := pem.Decode(pub.PEM())
	der, err := x509.MarshalPKIXPublicKey(pub.Bytes())
	if err != nil || !bytes.Equal(block.Bytes, der) {
		t.Errorf("PEM holds %x, want %x (%v)", block.Bytes, der, err)
	}
	if len(pub.ID()) != 64 || strings.ReplaceAll(pub.Fingerprint(), " ", "") != pub.ID()[:32] || len(pub.Fingerprint()) != 39 {
		t.Errorf("id %q, fingerprint %q", pub.ID(), pub.Fingerprint())
	}
	pub.Bytes()[0] ^= 1
	if _, same := pairOf(t, 1); !pub.Equal(same) || pub.IsZero() || !(PublicKey{}).IsZero() {
		t.Error("a key can be changed through Bytes")
	}
}

func TestParsePublicKeySSH(t *testing.T) {
	_, pub := pairOf(t, 1)
	sshKey, err := ssh.NewPublicKey(pub.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	line := string(ssh.MarshalAuthorizedKey(sshKey))
	for _, text := range []string{line, strings.TrimSpace(line) + " anna@example\n"} {
		if got, err := ParsePublicKey([]byte(text)); err != nil || got != pub {
			t.Errorf("%q gives %v, %v", text, got, err)
		}
	}
	for _, text := range []string{line + line, "no-pty " + line, "# key\n" + line, "ssh-ed25519 AAAA", strings.Replace(line, "ssh-ed25519", "ssh-rsa", 1)} {
		wantFault(t, second(ParsePublicKey([]byte(text))), fault.KeyRead, "")
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	_, pub := pairOf(t, 1)
	good := string(pub.PEM())
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := GenerateKey(rand.Reader, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	block := func(b *pem.Block) string { return string(pem.EncodeToMemory(b)) }
	for name, text := range map[string]string{
		"empty":           "",
		"text":            "hello",
		"two keys":        good + good,
		"text before":     "key:\n" + good,
		"text after":      good + "x",
		"cut off":         good[:len(good)/2],
		"other type":      strings.ReplaceAll(good, "PUBLIC", "RSA PUBLIC"),
		"headers":         block(&pem.Block{Type: "PUBLIC KEY", Headers: map[string]string{"A": "b"}, Bytes: pub.der()}),
		"P-256":           block(&pem.Block{Type: "PUBLIC KEY", Bytes: ecDER}),
		"DER with excess": block(&pem.Block{Type: "PUBLIC KEY", Bytes: append(pub.der(), 0)}),
		"private":         string(private),
		"huge":            good + strings.Repeat("\n", maxKeyFile),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePublicKey([]byte(text))
			wantFault(t, err, fault.KeyRead, "")
			if !got.IsZero() {
				t.Error("a key came with the error")
			}
		})
	}
}

// Threat 16: keys under which signatures prove nothing.
func TestWeakPublicKeys(t *testing.T) {
	p := "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
	for name, key := range map[string]string{
		"order 1":               "0100000000000000000000000000000000000000000000000000000000000000",
		"order 1, sign":         "0100000000000000000000000000000000000000000000000000000000000080",
		"order 2":               "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 2, sign":         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"order 4":               "0000000000000000000000000000000000000000000000000000000000000000",
		"order 4, sign":         "0000000000000000000000000000000000000000000000000000000000000080",
		"order 8, a":            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"order 8, a, sign":      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"order 8, b":            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"order 8, b, sign":      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"y = p":                 p,
		"y = p+1":               "ee" + p[2:],
		"y = p+1, sign":         "ee" + p[2:62] + "ff",
		"y = 2^255-1":           "ff" + p[2:],
		"not on the curve":      "0200000000000000000000000000000000000000000000000000000000000000",
		"too short":             "01",
		"too long":              p + "00",
		"nothing":               "",
		"not canonical, y=p+3":  "f0" + p[2:],
		"not canonical, y=p+18": "ff" + p[2:],
	} {
		raw, err := hex.DecodeString(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewPublicKey(raw)
		if fault.CodeOf(err) != fault.KeyWeak || !got.IsZero() {
			t.Errorf("%s: %v, want E-KEY-WEAK", name, err)
		}
		if len(raw) != ed25519.PublicKeySize {
			continue
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: PublicKey{key: [32]byte(raw)}.der()})
		if _, err := ParsePublicKey(text); fault.CodeOf(err) != fault.KeyWeak {
			t.Errorf("%s as PEM: %v, want E-KEY-WEAK", name, err)
		}
	}
}

// Our curve arithmetic agrees with crypto/ed25519 on every key that it makes.
func TestStrongPublicKeys(t *testing.T) {
	for range 200 {
		pub, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewPublicKey(pub); err != nil {
			t.Fatal(err)
		}
	}
}

// Threat 16: Project Wycheproof's vectors for Ed25519, among them malleable signatures.
func TestWycheproof(t *testing.T) {
	raw, err := fs.ReadFile(wycheproof.TestVectors, "ed25519_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			PublicKey struct{ PK string }
			Tests     []struct {
				TcID             int
				Comment          string
				Msg, Sig, Result string
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.TestGroups {
		key, err := NewPublicKey(unhex(t, g.PublicKey.PK))
		if err != nil {
			t.Fatalf("key %s: %v", g.PublicKey.PK, err)
		}
		for _, c := range g.Tests {
			n++
			got := keyVerifier{key}.Verify(t.Context(), unhex(t, c.Msg), unhex(t, c.Sig)) == nil
			if got != (c.Result == "valid") {
				t.Errorf("case %d (%s): accepted %v, want %s", c.TcID, c.Comment, got, c.Result)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d vectors, want more than 100", n)
	}
}

// Threat 16: C2SP's edge cases. Whatever remains must be free of low-order keys.
func TestCCTV(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "corpora", "cctv", "ed25519vectors.json"))
	if err != nil {
		t.Skipf("skipped: the vectors of C2SP/CCTV are not beside this source tree (%v)", err)
	}
	var cases []struct {
		Number   int
		Key, Sig string
		Msg      string
		Flags    []string
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	accepted, weak := 0, 0
	for _, c := range cases {
		flags := strings.Join(c.Flags, " ")
		key, err := NewPublicKey(unhex(t, c.Key))
		low := strings.Contains(flags, "low_order_A") || strings.Contains(flags, "non_canonical_A")
		if low != (fault.CodeOf(err) == fault.KeyWeak) {
			t.Errorf("case %d (%s): key %s gives %v", c.Number, flags, c.Key, err)
		}
		if err != nil {
			weak++
			continue
		}
		if (keyVerifier{key}).Verify(t.Context(), []byte(c.Msg), unhex(t, c.Sig)) == nil {
			accepted++
			if strings.Contains(flags, "non_canonical_R") {
				t.Errorf("case %d (%s): accepted", c.Number, flags)
			}
		}
	}
	t.Logf("%d cases: %d keys refused, %d signatures accepted", len(cases), weak, accepted)
	if len(cases) < 900 || weak == 0 || accepted != 208-122 {
		t.Errorf("%d cases, %d keys refused, %d accepted; want 914, some, 86", len(cases), weak, accepted)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A private key whose stored public half is another key's would leak itself with two signatures.
func TestPrivateKeyWithForeignPublicHalf(t *testing.T) {
	a, _ := pairOf(t, 1)
	b, _ := pairOf(t, 2)
	mixed := append(bytes.Clone(a[:32]), b[32:]...)
	block, err := ssh.MarshalPrivateKey(ed25519.PrivateKey(mixed), "")
	if err != nil {
		t.Fatal(err)
	}
	wantFault(t, second(ParsePrivateKey(pem.EncodeToMemory(block), nil)), fault.KeyRead, "")
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(ec, "")
	if err != nil {
		t.Fatal(err)
	}
	priv, pub := pairOf(t, 1)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(good)
	for name, data := range map[string][]byte{
		"empty": nil, "public": pub.PEM(), "P-256": pem.EncodeToMemory(block), "cut off": text[:len(text)/2],
		"PKCS 8": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"huge":   append(bytes.Clone(text), bytes.Repeat([]byte("\n"), maxKeyFile)...),
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, second(ParsePrivateKey(data, nil)), fault.KeyRead, "")
		})
	}
}

// OpenSSH reads the keys that we write, and we read those that it writes, with and without passphrase.
func TestKeysWithOpenSSH(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("skipped: ssh-keygen is not installed")
	}
	for _, pass := range []string{"", "correct horse"} {
		dir := t.TempDir()
		pubPEM, privPEM, err := GenerateKey(rand.Reader, "ours", []byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		ours := filepath.Join(dir, "ours")
		if err := os.WriteFile(ours, privPEM, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(keygen, "-y", "-P", pass, "-f", ours).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen -y: %v\n%s", err, out)
		}
		fromSSH, err := ParsePublicKey(out)
		if err != nil {
			t.Fatal(err)
		}
		fromPEM, err := ParsePublicKey(pubPEM)
		if err != nil || fromPEM != fromSSH {
			t.Errorf("ssh-keygen finds %s, we say %s (%v)", fromSSH.ID(), fromPEM.ID(), err)
		}

		theirs := filepath.Join(dir, "theirs")
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", pass, "-C", "theirs", "-f", theirs).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen -t ed25519: %v\n%s", err, out)
		}
		data, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		priv, err := ParsePrivateKey(data, []byte(pass))
		if err != nil {
			t.Fatal(err)
		}
		line, err := os.ReadFile(theirs + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ParsePublicKey(line)
		if err != nil || !bytes.Equal(pub.Bytes(), priv.Public().(ed25519.PublicKey)) {
			t.Errorf("the halves that ssh-keygen wrote differ: %v", err)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	_, pub := pairOf(f, 1)
	f.Add(pub.PEM())
	sshKey, err := ssh.NewPublicKey(pub.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ssh.MarshalAuthorizedKey(sshKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePublicKey(data)
		if err != nil {
			if !k.IsZero() || fault.CodeOf(err) == fault.Internal {
				t.Fatalf("%v with code %s", k, fault.CodeOf(err))
			}
			return
		}
		if again, err := ParsePublicKey(k.PEM()); err != nil || again != k {
			t.Fatalf("written again it is %v, %v", again, err)
		}
	})
}
