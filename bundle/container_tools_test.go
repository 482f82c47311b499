package bundle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool runs another program and gives its output; the test is skipped where it is missing.
func tool(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestOtherToolsReadOurBundles: GNU tar unpacks, sha384sum agrees, zstd accepts.
func TestOtherToolsReadOurBundles(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	dir := t.TempDir()
	if out := tool(t, dir, "tar", "--zstd", "-xf", path); out != "" {
		t.Errorf("tar has something to say: %s", out)
	}
	var sums strings.Builder
	for _, a := range m.Artifacts {
		fmt.Fprintf(&sums, "%s  %s\n", a.SHA384, a.Path)
	}
	if err := os.WriteFile(filepath.Join(dir, "SUMS"), []byte(sums.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, dir, "sha384sum", "-c", "--strict", "SUMS")
	for name, want := range map[string][]byte{"manifest.json": testManifestRaw, "manifest.sig": testSigRaw} {
		if got := read(t, filepath.Join(dir, name)); !bytes.Equal(got, want) {
			t.Errorf("%s came out as %q", name, got)
		}
	}
	tool(t, dir, "zstd", "-t", path)
	tool(t, dir, "zstd", "-l", path)
	list := tool(t, dir, "tar", "--zstd", "-tvf", path)
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != len(blobs)+2 || !strings.HasPrefix(lines[0], "-rw-r--r-- 0/0") || !strings.Contains(lines[0], "2026-11-01 12:00 manifest.json") {
		t.Errorf("tar lists:\n%s", list)
	}
}

// TestSizeAgainstZstd: at most 2 % larger than zstd -3 makes it.
func TestSizeAgainstZstd(t *testing.T) {
	blobs := []blob{{"artifacts/w.onnx", weights(5, 12<<20), 8 << 20}, {"artifacts/t.json", words(5, 9<<20), 8 << 20}}
	path, _ := writeTest(t, blobs)
	dir := t.TempDir()
	tool(t, dir, "zstd", "-q", "-d", path, "-o", "plain.tar")
	tool(t, dir, "zstd", "-q", "-3", "plain.tar")
	ours, theirs := int64(len(read(t, path))), int64(len(read(t, filepath.Join(dir, "plain.tar.zst"))))
	t.Logf("ours %d bytes, zstd -3 %d (%+.2f %%)", ours, theirs, 100*float64(ours-theirs)/float64(theirs))
	if ours*100 > theirs*102 {
		t.Errorf("%d bytes against %d", ours, theirs)
	}
}

// gnuBundle has GNU tar and zstd make a bundle.
func gnuBundle(t testing.TB, blobs []blob, format string, names []string, zstdArgs ...string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	put("manifest.json", testManifestRaw)
	put("manifest.sig", testSigRaw)
	for _, b := range blobs {
		put(b.path, b.data)
	}
	tool(t, dir, "tar", append([]string{"--format=" + format, "-cf", "plain.tar"}, names...)...)
	tool(t, dir, "zstd", append(append([]string{"-q"}, zstdArgs...), "plain.tar", "-o", "b.tar.zst")...)
	return filepath.Join(dir, "b.tar.zst")
}

// TestBundlesMadeByGNUTarAndZstd: stream mode, all formats, with folders and in any order.
func TestBundlesMadeByGNUTarAndZstd(t *testing.T) {
	blobs := sampleBlobs()
	short := append(append([]blob{}, blobs[:4]...), blobs[7])
	short = append(short, blob{"artifacts/sub/dir/x.pb", []byte("x"), 64 << 10})
	for _, c := range []struct {
		format string
		blobs  []blob
		names  []string
		zstd   []string
	}{
		{"ustar", short, []string{"manifest.json", "manifest.sig", "artifacts"}, nil},
		{"gnu", short, []string{"manifest.json", "manifest.sig", "artifacts/zeros.bin", "artifacts/sub/dir/x.pb", "artifacts/empty.bin", "artifacts/model.onnx", "artifacts/exact.bin", "artifacts/tokenizer.json"}, []string{"-19"}},
		{"pax", blobs, []string{"manifest.json", "manifest.sig", "artifacts"}, []string{"-T0"}},
		{"posix", blobs, []string{"manifest.json", "manifest.sig", "artifacts"}, []string{"--fast=3"}},
	} {
		path := gnuBundle(t, c.blobs, c.format, c.names, c.zstd...)
		s := mustOpen(t, path, OpenOptions{})
		if s.Kind() != KindStream {
			t.Fatalf("%s: kind %s", c.format, s.Kind())
		}
		m := rawManifest(c.blobs)
		extractAll(t, s, m, c.blobs, ExtractOptions{})
		extractAll(t, s, m, c.blobs, ExtractOptions{Paths: []string{"artifacts/model.onnx"}})
		extractAll(t, s, m, c.blobs, ExtractOptions{Paths: []string{"artifacts/model.onnx"}, Strict: true})
	}
}

// TestStreamedTar: `tar --zstd` writes through a pipe, so the frame states no content size.
func TestStreamedTar(t *testing.T) {
	blobs := sampleBlobs()[:2]
	dir := filepath.Dir(gnuBundle(t, blobs, "ustar", []string{"manifest.json", "manifest.sig", "artifacts"}))
	tool(t, dir, "tar", "--zstd", "-cf", "c.tar.zst", "manifest.json", "manifest.sig", "artifacts")
	s := mustOpen(t, filepath.Join(dir, "c.tar.zst"), OpenOptions{})
	extractAll(t, s, rawManifest(blobs), blobs, ExtractOptions{})
}

// zeroReader gives zero bytes without end.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSizesAround2And4And8GiB is threat 18: what the header says for sizes at the edges of fields and file systems. GNU tar
// reads the header alone; the data would take too long here.
func TestSizesAround2And4And8GiB(t *testing.T) {
	for _, gib := range []int64{2, 4, 8} {
		for _, d := range []int64{-1, 0, 1} {
			size := gib<<30 + d
			h := tarHeader("artifacts/big.bin", size, 1)
			if want := 512; size <= tarMaxOctal && len(h) != want {
				t.Errorf("%d: header of %d bytes, want %d", size, len(h), want)
			} else if size > tarMaxOctal && len(h) != 3*want {
				t.Errorf("%d: header of %d bytes, want %d", size, len(h), 3*want)
			}
			tr := &tarReader{r: bytes.NewReader(h)}
			if e, err := tr.next(); err != nil || e.size != size || e.name != "artifacts/big.bin" {
				t.Errorf("%d: read back as %+v, %v", size, e, err)
			}
			if got := gnuList(t, h); !strings.Contains(got, fmt.Sprintf(" %d ", size)) {
				t.Errorf("%d: GNU tar lists %q", size, got)
			}
		}
	}
}

func gnuList(t *testing.T, header []byte) string {
	t.Helper()
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("tar is not installed")
	}
	cmd := exec.Command("tar", "-tvf", "-")
	cmd.Stdin = bytes.NewReader(header)
	out, _ := cmd.Output() // complains about the missing data
	return string(out)
}

// TestGNUHeadersOfBigFiles reads what GNU tar writes for a sparse file of 8 GiB, in each format.
func TestGNUHeadersOfBigFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.bin")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{8<<30 - 1, 8 << 30, 8<<30 + 1} {
		if err := f.Truncate(size); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
		for _, format := range []string{"gnu", "pax"} {
			ctx, cancel := context.WithCancel(context.Background())
			cmd := exec.CommandContext(ctx, "tar", "--format="+format, "-C", dir, "-cf", "-", "big.bin")
			out, err := cmd.StdoutPipe()
			if err != nil || cmd.Start() != nil {
				cancel()
				t.Skip("tar is not installed")
			}
			e, err := (&tarReader{r: out}).next()
			cancel()
			_ = cmd.Wait()
			if err != nil || e.size != size || e.name != "big.bin" {
				t.Errorf("%s, %d bytes: %+v, %v", format, size, e, err)
			}
		}
	}
}
