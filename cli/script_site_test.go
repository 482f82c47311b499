package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"sluice/assets"
	"sluice/inference/onnx"
	"sluice/internal/progress"
	"sluice/internal/testroot"
)

// Sites are what stories start from: keys, a delivery, bundles on a stick, and a root that has come some way. Each is
// made once, by the program itself, from the one before it.
var siteStages = []string{"keys", "trust", "people", "installed", "paper", "approved", "live", "next", "next-live"}

type siteMaker struct {
	once sync.Once
	err  error
}

var siteMakers = map[string]*siteMaker{}

func init() {
	for _, s := range siteStages {
		siteMakers[s] = &siteMaker{}
	}
}

func siteDir(stage string) string { return filepath.Join(sharedDir, "site-"+stage) }

// siteUpTo makes a site and all before it.
func siteUpTo(stage string) (string, error) {
	i := slices.Index(siteStages, stage)
	if i < 0 {
		return "", fmt.Errorf("site %q, want one of %q", stage, siteStages)
	}
	m := siteMakers[stage]
	m.once.Do(func() {
		dir := siteDir(stage)
		if i > 0 {
			before, err := siteUpTo(siteStages[i-1])
			if err == nil {
				err = copyTree(dir, before)
			}
			if err != nil {
				m.err = err
				return
			}
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			m.err = err
			return
		}
		m.err = (&siteBuilder{dir: dir}).run(stage)
	})
	return siteDir(stage), m.err
}

type siteBuilder struct {
	dir string
	err error
}

func (b *siteBuilder) path(name string) string {
	return filepath.Join(b.dir, filepath.FromSlash(name))
}

// do runs the program on the site's root.
func (b *siteBuilder) do(args ...string) map[string]any {
	if b.err != nil {
		return nil
	}
	bin, err := program()
	if err != nil {
		b.err = err
		return nil
	}
	cmd := exec.Command(bin, append(args, "--json", "--root", b.path("root"))...)
	cmd.Dir = b.dir
	cmd.Env = []string{"SOURCE_DATE_EPOCH=1790000000", "HOME=/no-home"}
	out, err := cmd.Output()
	if err != nil {
		b.err = fmt.Errorf("sluice %s: %w\n%s", strings.Join(args, " "), err, out)
		return nil
	}
	var o map[string]any
	b.err = json.Unmarshal(out, &o)
	return o
}

func (b *siteBuilder) run(stage string) error {
	switch stage {
	case "keys":
		for _, name := range []string{"oem-root", "oem", "site-root", "site", "anna", "jan", "ewa", "stranger"} {
			b.do("keys", "generate", "--out", "keys", "--name", name, "--no-passphrase")
		}
		b.do("trust", "create", "--of", "oem", "--key", "keys/oem-root.key", "--target", "keys/oem.pub", "--expires", "2040-01-01", "--out", "oem.1.root.json")
		b.do("trust", "create", "--of", "site", "--key", "keys/site-root.key", "--target", "keys/site.pub", "--expires", "2040-01-01", "--out", "site.1.root.json")
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if b.err == nil {
				b.err = writeDemo(b.path("src"), version)
			}
			b.do("build", "--spec", "src/bundle.yaml", "--key", "keys/oem.key", "--out", "stick")
			os.RemoveAll(b.path("src"))
		}
	case "trust":
		for _, of := range []string{"oem", "site"} {
			raw, err := os.ReadFile(b.path(of + ".1.root.json"))
			if err != nil {
				return err
			}
			b.do("trust", "init", "--of", of, "--from", of+".1.root.json", "--fingerprint", fingerprint(raw), "--operator", "anna")
		}
	case "people":
		b.do("policy", "init", "--key", "keys/site.key")
		for _, p := range [][3]string{{"anna", "Anna Nowak", "operator"}, {"jan", "Jan Kowalski", "compliance"}, {"ewa", "Ewa Zieleń", "operator"}} {
			b.do("people", "add", "--id", p[0], "--name", p[1], "--role", p[2], "--pub", "keys/"+p[0]+".pub", "--key", "keys/site.key")
		}
	case "installed":
		b.do("install", "stick/market-regime-v1.0.0.tar.zst", "--operator", "anna")
	case "next":
		b.do("install", "stick/market-regime-v1.1.0.tar.zst", "--operator", "anna")
	case "paper":
		b.sign("paper", "anna")
	case "approved":
		b.sign("live", "anna")
		b.sign("live", "jan")
	case "live":
		b.do("live", "enable", "--operator", "anna")
	case "next-live":
		b.sign("paper", "ewa")
		b.sign("live", "ewa")
		b.sign("live", "jan")
		b.do("live", "enable", "--operator", "anna")
	}
	return b.err
}

func (b *siteBuilder) sign(stage, person string) {
	const file = "answers.yaml"
	defer os.Remove(b.path(file))
	b.do("signoff", "--stage", stage, "--operator", person, "--template", file)
	raw, err := os.ReadFile(b.path(file))
	if b.err == nil {
		b.err = err
	}
	if b.err == nil {
		b.err = os.WriteFile(b.path(file), []byte(fillTemplate(string(raw), "yes", "", true)), 0o644)
	}
	b.do("signoff", "--stage", stage, "--operator", person, "--answers", file, "--key", "keys/"+person+".key")
}

// fingerprint is what a delivery note says: computed here on its own, as the supplier's office would.
func fingerprint(raw []byte) string {
	sum := sha256.Sum256(raw)
	var groups []string
	for i := 0; i < len(sum); i += 2 {
		groups = append(groups, hex.EncodeToString(sum[i:i+2]))
	}
	return strings.Join(groups, " ")
}

func writeDemo(dir, version string) error {
	if err := os.CopyFS(dir, assets.Demo()); err != nil {
		return err
	}
	spec, err := assets.DemoSpec(version)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bundle.yaml"), spec, 0o644)
}

// copyTree copies files, links and modes.
func copyTree(to, from string) error {
	type mode struct {
		path string
		perm fs.FileMode
	}
	var modes []mode
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			modes = append(modes, mode{dst, fi.Mode().Perm()})
			return os.MkdirAll(dst, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		}
		in, err := os.Open(p)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close(), os.Chmod(dst, fi.Mode().Perm()))
	})
	for _, m := range slices.Backward(modes) {
		err = errors.Join(err, os.Chmod(m.path, m.perm))
	}
	return err
}

// cmdSite: "site STAGE" puts a site into the story's folder: keys/, stick/, oem.1.root.json, site.1.root.json and, from
// trust on, root/. OEM_FINGERPRINT and SITE_FINGERPRINT are what the delivery notes say; BUNDLE and NEXT are 1.0.0 and 1.1.0.
func cmdSite(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 1, "site "+strings.Join(siteStages, "|"))
	dir, err := siteUpTo(args[0])
	ts.Check(err)
	work := ts.Getenv("WORK")
	ts.Check(copyTree(work, dir))
	for _, of := range []string{"oem", "site"} {
		raw, err := os.ReadFile(filepath.Join(dir, of+".1.root.json"))
		ts.Check(err)
		ts.Setenv(strings.ToUpper(of)+"_FINGERPRINT", fingerprint(raw))
	}
	ts.Setenv("BUNDLE", filepath.Join(work, "stick", "market-regime-v1.0.0.tar.zst"))
	ts.Setenv("NEXT", filepath.Join(work, "stick", "market-regime-v1.1.0.tar.zst"))
}

// cmdDemoSrc: "demosrc DIR VERSION" writes the demo's bundle.yaml and files.
func cmdDemoSrc(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "demosrc DIR VERSION")
	ts.Check(writeDemo(ts.MkAbs(args[0]), args[1]))
}

// cmdModel: "model FILE NUMBER" writes a model that adds a number to its input x and gives y, float32 of shape [2].
func cmdModel(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "model FILE NUMBER")
	plus, err := strconv.ParseFloat(args[1], 32)
	ts.Check(err)
	writeFile(ts, args[0], testroot.Add(float32(plus)))
}

// cmdTensor: "tensor FILE NAME NUMBER…" writes a float32 TensorProto of one dimension.
func cmdTensor(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 3, "tensor FILE NAME NUMBER…")
	var v []float32
	for _, s := range args[2:] {
		f, err := strconv.ParseFloat(s, 32)
		ts.Check(err)
		v = append(v, float32(f))
	}
	writeFile(ts, args[0], onnx.MarshalTensor(args[1], testroot.Floats(v...)))
}

// cmdBlob: "blob FILE MIB" writes bytes that do not compress.
func cmdBlob(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "blob FILE MIB")
	mib, err := strconv.Atoi(args[1])
	ts.Check(err)
	raw := make([]byte, mib<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(raw)
	writeFile(ts, args[0], raw)
}

func writeFile(ts *testscript.TestScript, name string, data []byte) {
	path := ts.MkAbs(name)
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, data, 0o644))
}

// listing is every name below dir with its kind, permissions and digest. Log, staging folder, lock and the log's own
// next line are left out: they are what a refusal may change.
func listing(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == dir {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case rel == "audit" || rel == ".staging":
			return fs.SkipDir
		case strings.HasPrefix(rel, ".lock") || strings.HasSuffix(rel, ".next") || strings.HasSuffix(rel, ".repeats") || rel == ".":
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", fi.Mode(), rel)
		switch {
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", target)
		case rel == "bin/sluice"+exeSuffix(): // too large to be read a hundred times
			fmt.Fprintf(&b, " %d %s", fi.Size(), fi.ModTime())
		case !d.IsDir():
			raw, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(raw))
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String(), err
}

// cmdSnap: "snap NAME DIR" remembers a folder, "same NAME DIR" compares.
func cmdSnap(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) == 2, "snap NAME DIR")
	l, err := listing(ts.MkAbs(args[1]))
	ts.Check(err)
	snaps.Store(ts.Getenv("WORK")+"\x00"+args[0], l)
}

var snaps sync.Map

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] same NAME DIR")
	}
	was, ok := snaps.Load(ts.Getenv("WORK") + "\x00" + args[0])
	if !ok {
		ts.Fatalf("nothing is remembered as %q", args[0])
	}
	now, err := listing(ts.MkAbs(args[1]))
	ts.Check(err)
	if (was == now) == neg {
		ts.Fatalf("%s: the same is %v\nbefore:\n%s\nnow:\n%s", args[1], was == now, was, now)
	}
}

// cmdInterrupt: "interrupt STEP ARGS" presses Ctrl-C as soon as the program reports that step with some of it done; it
// must end with 130.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	noNeg(ts, neg, len(args) >= 2, "interrupt STEP ARGS")
	bin, err := program()
	ts.Check(err)
	cmd := exec.Command(bin, append(args[1:], "--progress", "json")...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"SLUICE_ROOT=" + ts.Getenv("SLUICE_ROOT"), "HOME=/no-home"}
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	pressed := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var e progress.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			ts.Logf("%s", lines.Text())
			continue
		}
		if !pressed && string(e.Step) == args[0] && e.Done > 0 && !e.Final {
			pressed = true
			ts.Check(cmd.Process.Signal(syscall.SIGINT))
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !pressed {
		ts.Fatalf("step %q was never half done: %v", args[0], err)
	}
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		ts.Fatalf("after Ctrl-C: %v, want exit status 130", err)
	}
}
