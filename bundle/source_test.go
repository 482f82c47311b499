package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/fault"
	"sluice/internal/progress"
)

// inMemory opens a bundle on a medium that a test controls.
func inMemory(t testing.TB, b []byte, o OpenOptions) (*Source, *memFiles) {
	t.Helper()
	f := &memFiles{content: map[string][]byte{"x.tar.zst": b}}
	s, err := open(context.Background(), "x.tar.zst", o, f)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("got %s: %v; want %s", fault.CodeOf(err), err, code)
	}
}

// streamOf has our own decoder's counterpart write a bundle of one frame.
func streamOf(t testing.TB, blobs []blob) []byte {
	t.Helper()
	m := rawManifest(blobs)
	mtime, _ := checkMtime(m.Created)
	out := headBytes(testManifestRaw, testSigRaw, mtime)
	for _, b := range blobs {
		out = append(out, tarHeader(b.path, int64(len(b.data)), mtime)...)
		out = append(append(out, b.data...), make([]byte, tarPadding(int64(len(b.data))))...)
	}
	return oneFrame(t, append(out, make([]byte, tarEnd)...))
}

// TestDyingMedium is threat 29: another answer to the second read is the medium's fault, the same answer is not.
func TestDyingMedium(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	for name, b := range map[string][]byte{"indexed": read(t, path), "stream": streamOf(t, blobs)} {
		s, f := inMemory(t, b, OpenOptions{})
		at := int64(len(b) / 2)
		both := false
		f.alter = func(_ string, fresh bool, p []byte, off int64) error {
			if off <= at && at < off+int64(len(p)) && (!fresh || both) {
				p[at-off] ^= 1
			}
			return nil
		}
		err := s.Extract(context.Background(), m, ExtractOptions{})
		wantCode(t, err, fault.MediumDamaged)
		if d := fault.DetailOf(err); d["file_offset"].(int64) > at {
			t.Errorf("%s: detail %v", name, d)
		}
		both = true
		err = s.Extract(context.Background(), m, ExtractOptions{})
		if c := fault.CodeOf(err); c != fault.Digest && c != fault.Format {
			t.Errorf("%s: tampering gives %v", name, err)
		}
	}
}

// TestDamageIsNamed is threat 1: the message says which file and which bytes.
func TestDamageIsNamed(t *testing.T) {
	path, m := writeTest(t, sampleBlobs())
	b := read(t, path)
	s, f := inMemory(t, b, OpenOptions{})
	at := s.table.frames[2].off + 1000 // second chunk of the first artifact
	f.alter = func(_ string, _ bool, p []byte, off int64) error {
		if off <= at && at < off+int64(len(p)) {
			p[at-off] ^= 0x10
		}
		return nil
	}
	err := s.Extract(context.Background(), m, ExtractOptions{})
	wantCode(t, err, fault.Digest)
	d := fault.DetailOf(err)
	if d["path"] != "artifacts/model.onnx" || d["offset"] != int64(64<<10) || d["length"] != int64(64<<10) || d["file_offset"] != s.table.frames[2].off {
		t.Errorf("detail %v", d)
	}
	if !strings.Contains(err.Error(), `"artifacts/model.onnx": bytes 65536 to 131072`) {
		t.Errorf("message %q", err)
	}
	// What lies elsewhere comes through, for only its frames are read.
	if err := s.Extract(context.Background(), m, ExtractOptions{Paths: []string{"artifacts/zeros.bin"}}); err != nil {
		t.Errorf("an untouched artifact: %v", err)
	}
	s.table.checked = false // then the digests find it
	err = s.Extract(context.Background(), m, ExtractOptions{})
	if c := fault.CodeOf(err); c != fault.Digest && c != fault.Format || fault.DetailOf(err)["path"] != "artifacts/model.onnx" {
		t.Errorf("without check frame: %v, detail %v", err, fault.DetailOf(err))
	}
}

// TestPulledMedium: errors of the system are told apart.
func TestPulledMedium(t *testing.T) {
	path, m := writeTest(t, sampleBlobs())
	b := read(t, path)
	for _, c := range []struct {
		err  error
		gone bool
		code fault.Code
	}{
		{syscall.EIO, true, fault.MediumRemoved},
		{syscall.ENODEV, false, fault.MediumRemoved},
		{syscall.EIO, false, fault.MediumDamaged},
	} {
		s, f := inMemory(t, b, OpenOptions{})
		f.alter = func(string, bool, []byte, int64) error { return c.err }
		if c.gone {
			f.content = nil
		}
		wantCode(t, s.Extract(context.Background(), m, ExtractOptions{}), c.code)
	}
	s, f := inMemory(t, b, OpenOptions{})
	f.content = map[string][]byte{"x.tar.zst": b[:100]}
	wantCode(t, s.Extract(context.Background(), m, ExtractOptions{}), fault.IO)
}

// TestHangingMedium is threat 30: a medium that does not answer, or trickles, ends in a plain message, and cancelling works.
func TestHangingMedium(t *testing.T) {
	path, m := writeTest(t, sampleBlobs())
	b := read(t, path)
	hang := make(chan struct{})
	defer close(hang)
	for name, data := range map[string][]byte{"indexed": b, "stream": streamOf(t, sampleBlobs())} {
		s, f := inMemory(t, data, OpenOptions{Stall: 50 * time.Millisecond})
		f.alter = func(string, bool, []byte, int64) error { <-hang; return nil }
		begin := time.Now()
		err := s.Extract(context.Background(), m, ExtractOptions{})
		wantCode(t, err, fault.IO)
		if fault.DetailOf(err)["stalled"] != true || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %s", name, err, time.Since(begin))
		}
		s, f = inMemory(t, data, OpenOptions{})
		f.alter = func(string, bool, []byte, int64) error { <-hang; return nil }
		promptly(t, name, func(ctx context.Context) error { return s.Extract(ctx, m, ExtractOptions{}) })
		if _, err := open(context.Background(), "x.tar.zst", OpenOptions{Stall: 20 * time.Millisecond}, f); fault.CodeOf(err) != fault.IO {
			t.Errorf("%s: opening a hanging medium: %v", name, err)
		}
	}
}

// promptly cancels a job after 20 ms and demands that it ends within 200 ms. A busy machine gets three attempts.
func promptly(t *testing.T, name string, job func(context.Context) error) {
	t.Helper()
	var took time.Duration
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		var at time.Time
		stop := time.AfterFunc(20*time.Millisecond, func() { at = time.Now(); cancel() })
		err := job(ctx)
		if stop.Stop() {
			t.Fatalf("%s: ended before it was cancelled: %v", name, err)
		}
		<-ctx.Done()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%s, cancelled: %v", name, err)
		}
		if took = time.Since(at); took < 200*time.Millisecond {
			return
		}
	}
	t.Errorf("%s: cancelling took %s", name, took)
}

// TestCancelIsPrompt cancels in the midst of large chunks.
func TestCancelIsPrompt(t *testing.T) {
	path, m := writeTest(t, []blob{{"artifacts/w.bin", weights(3, 48<<20), 16 << 20}})
	s := mustOpen(t, path, OpenOptions{})
	promptly(t, "large chunks", func(ctx context.Context) error { return s.Extract(ctx, m, ExtractOptions{}) })
}

// TestResume takes staged chunks instead of reading, unless they are wrong.
func TestResume(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	s, f := inMemory(t, read(t, path), OpenOptions{})
	a := &m.Artifacts[0]
	st := newMemStore(a)
	failing := errors.New("disk full")
	st.onWrite = func(i int) error {
		if i == 2 {
			return failing
		}
		return nil
	}
	o := ExtractOptions{Paths: []string{a.Path}, Workers: 1, Store: func(*Artifact) (ChunkStore, error) { return st, nil }}
	if err := s.Extract(context.Background(), m, o); !errors.Is(err, failing) || st.closed || !st.aborted {
		t.Fatalf("first run: %v, closed %v", err, st.closed)
	}
	st.data[70_000] ^= 1 // chunk 1 rotted on the disk meanwhile
	st.onWrite, st.aborted, st.written = nil, false, 0
	var reads []int64
	var mu sync.Mutex
	f.alter = func(_ string, _ bool, _ []byte, off int64) error {
		mu.Lock()
		defer mu.Unlock()
		reads = append(reads, off)
		return nil
	}
	if err := s.Extract(context.Background(), m, o); err != nil || !st.closed || !bytes.Equal(st.data, blobs[0].data) {
		t.Fatalf("second run: %v", err)
	}
	if st.written != len(a.Chunks)-1 || len(reads) != len(a.Chunks)-1 {
		t.Errorf("%d chunks written, %d read, want %d: all but the staged one", st.written, len(reads), len(a.Chunks)-1)
	}
}

// TestWholeFileDigest: chunks that match under a contradicting file digest are refused before the store is closed.
func TestWholeFileDigest(t *testing.T) {
	path, m := writeTest(t, sampleBlobs())
	m.Artifacts[0].SHA384[0] ^= 1
	s := mustOpen(t, path, OpenOptions{})
	st := newMemStore(&m.Artifacts[0])
	err := s.Extract(context.Background(), m, ExtractOptions{Paths: []string{m.Artifacts[0].Path}, Store: func(*Artifact) (ChunkStore, error) { return st, nil }})
	wantCode(t, err, fault.Digest)
	if st.closed || !st.aborted {
		t.Error("the store was closed")
	}
}

// TestProgress: whole bytes, one end, each chunk named once.
func TestProgress(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	s := mustOpen(t, path, OpenOptions{})
	var events []progress.Event
	if err := s.Extract(context.Background(), m, ExtractOptions{Step: progress.Stage, Progress: func(e progress.Event) { events = append(events, e) }}); err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, b := range blobs {
		total += int64(len(b.data))
	}
	last := events[len(events)-1]
	if !last.Final || last.Done != total || last.Total != total || last.Step != progress.Stage {
		t.Errorf("last event %+v, want %d bytes", last, total)
	}
	for _, e := range events[:len(events)-1] {
		if e.Final {
			t.Error("two ends")
		}
	}
	told := map[progress.Chunk]int{}
	for _, e := range events {
		for _, c := range e.Chunks {
			told[c]++
		}
	}
	for _, a := range m.Artifacts {
		for i := range a.Chunks {
			c := progress.Chunk{Artifact: a.Path, Index: i}
			if told[c] != 1 {
				t.Errorf("chunk %v was told %d times, want once", c, told[c])
			}
			delete(told, c)
		}
	}
	if len(told) > 0 {
		t.Errorf("told chunks %v that are none", told)
	}
}

// TestManifestDisagrees is threat 12 in an indexed bundle: the frames follow from the manifest.
func TestManifestDisagrees(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *Manifest)
		code   fault.Code
	}{
		"artifact missing":  {func(m *Manifest) { m.Artifacts = m.Artifacts[1:] }, fault.Format},
		"artifact too many": {func(m *Manifest) { m.Artifacts = append(m.Artifacts, m.Artifacts[0]) }, fault.Format},
		"renamed":           {func(m *Manifest) { m.Artifacts[0].Path = "artifacts/madel.onnx" }, fault.Entry},
		"other order":       {func(m *Manifest) { m.Artifacts[0], m.Artifacts[1] = m.Artifacts[1], m.Artifacts[0] }, fault.Format},
		"size":              {func(m *Manifest) { m.Artifacts[0].Size++ }, fault.Format},
		"size in padding":   {func(m *Manifest) { m.Artifacts[4].Size++ }, fault.Entry},
		"chunk size":        {func(m *Manifest) { m.Artifacts[0].ChunkSize *= 2 }, fault.ManifestInvalid},
		"time":              {func(m *Manifest) { m.Created = "2026-11-01T12:00:01Z" }, fault.Format},
		"time of old":       {func(m *Manifest) { m.Created = "1969-11-01T12:00:01Z" }, fault.ManifestInvalid},
		"digest":            {func(m *Manifest) { m.Artifacts[1].Chunks[1][5] ^= 1 }, fault.Digest},
	} {
		path, m := writeTest(t, sampleBlobs())
		c.change(m)
		if err := mustOpen(t, path, OpenOptions{}).Extract(context.Background(), m, ExtractOptions{}); fault.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

// TestTruncated: no beginning of a bundle is a bundle.
func TestTruncated(t *testing.T) {
	path, m := writeTest(t, flipBlobs())
	b := read(t, path)
	for n := 0; n < len(b); n += 1 + n/200%7 {
		if err := checkBytes(b[:n], m, testManifestRaw, testSigRaw); fault.CodeOf(err).Exit() != 3 {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if err := checkBytes(append(b[:len(b):len(b)], 0), m, testManifestRaw, testSigRaw); err == nil {
		t.Error("a byte after the seek table passes")
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	_, err := Open(ctx, filepath.Join(dir, "none.tar.zst"), OpenOptions{})
	wantCode(t, err, fault.SourceMissing)
	_, err = Open(ctx, dir, OpenOptions{})
	wantCode(t, err, fault.SourceMissing)
	_, err = Open(ctx, filepath.Join(dir, "none.tar.zst.001"), OpenOptions{})
	wantCode(t, err, fault.SourceMissing)
	for name, content := range map[string]string{
		"empty": "", "text": "this is no bundle, but a text of some length", "gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Open(ctx, p, OpenOptions{})
		wantCode(t, err, fault.Format)
	}
	if runtime.GOOS != "windows" {
		fifo := filepath.Join(dir, "fifo")
		if exec.Command("mkfifo", fifo).Run() == nil {
			_, err = Open(ctx, fifo, OpenOptions{})
			wantCode(t, err, fault.SourceMissing)
		}
	}
}

// TestReplaceHead: another signature, the same rest.
func TestReplaceHead(t *testing.T) {
	blobs := sampleBlobs()
	path, m := writeTest(t, blobs)
	dst := filepath.Join(t.TempDir(), "new.tar.zst")
	sig := bytes.Repeat([]byte("another signature "), 50)
	ctx := context.Background()
	if err := ReplaceHead(ctx, path, dst, testManifestRaw, sig); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dst, OpenOptions{})
	if !bytes.Equal(s.SignatureBytes(), sig) {
		t.Error("the signature is not the new one")
	}
	extractAll(t, s, m, blobs, ExtractOptions{})
	wantCode(t, ReplaceHead(ctx, path, dst, testManifestRaw, sig), fault.Exists)
	wantCode(t, ReplaceHead(ctx, path, dst+"2", append(testManifestRaw, ' '), sig), fault.Usage)
	wantCode(t, ReplaceHead(ctx, path, dst+"2", testManifestRaw, make([]byte, MaxSignatureSize+1)), fault.Limit)
	if err := changeByte(path, int64(len(read(t, path))/2)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, ReplaceHead(ctx, path, dst+"2", testManifestRaw, sig), fault.Digest)
	if _, err := os.Stat(dst + "2"); err == nil {
		t.Error("a failed copy stays")
	}
}

// TestSourceChangesWhileBuilding: the writer believes the manifest, not the file.
func TestSourceChangesWhileBuilding(t *testing.T) {
	blobs := sampleBlobs()
	m := rawManifest(blobs)
	for name, change := range map[string]func(b *blob){
		"shorter": func(b *blob) { b.data = b.data[:len(b.data)-1] },
		"longer":  func(b *blob) { b.data = append(b.data[:len(b.data):len(b.data)], 0) },
		"changed": func(b *blob) { b.data = bytes.Clone(b.data); b.data[99_999] ^= 1 },
	} {
		now := sampleBlobs()
		change(&now[0])
		var out bytes.Buffer
		if err := WriteBundle(context.Background(), &out, testManifestRaw, testSigRaw, m, opener(now), nil); fault.CodeOf(err) != fault.Digest {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := WriteBundle(ctx, &bytes.Buffer{}, testManifestRaw, testSigRaw, m, opener(blobs), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// memoryChild, when set, makes the test binary extract a bundle and print its peak memory.
const memoryChild = "SLUICE_TEST_EXTRACT"

// TestMemory is threat 13's bound: chunks of the largest size, more bytes than the bound, in a process of its own.
func TestMemory(t *testing.T) {
	if path := os.Getenv(memoryChild); path != "" {
		extractForMemory(t, path)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("peak memory is read from /proc")
	}
	blobs := []blob{{"artifacts/w.bin", weights(3, 16<<20), 16 << 20}}
	for i := range 12 {
		blobs = append(blobs, blob{"artifacts/" + strconv.Itoa(i), blobs[0].data, 16 << 20})
	}
	blobs = append(blobs, blob{"artifacts/long.bin", bytes.Repeat(blobs[0].data, 5), 16 << 20})
	path, m := writeTest(t, blobs)
	raw, err := CanonicalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".json", raw, 0o600); err != nil {
		t.Fatal(err)
	}
	paths := []string{path}
	if _, err := exec.LookPath("zstd"); err == nil {
		tool(t, filepath.Dir(path), "zstd", "-q", "-d", path, "-o", "plain")
		tool(t, filepath.Dir(path), "zstd", "-q", "-1", "--long=25", "plain", "-o", "stream.tar.zst")
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "stream.tar.zst.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(filepath.Dir(path), "stream.tar.zst"))
	}
	for _, p := range paths {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMemory$", "-test.v")
		cmd.Env = append(os.Environ(), memoryChild+"="+p, "GOMAXPROCS=16")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "peak KiB ")
		kib, _ := strconv.Atoi(strings.Fields(rest + " x")[0])
		t.Logf("%s: peak %d MiB", filepath.Base(p), kib>>10)
		if kib == 0 || kib>>10 >= 256 {
			t.Errorf("%s took %d MiB, want less than 256", filepath.Base(p), kib>>10)
		}
	}
}

func extractForMemory(t *testing.T, path string) {
	var m Manifest
	if err := StrictUnmarshal(read(t, path+".json"), &m, MaxManifestSize); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, OpenOptions{})
	if err := s.Extract(context.Background(), &m, ExtractOptions{}); err != nil {
		t.Fatal(err)
	}
	status := string(read(t, "/proc/self/status"))
	_, rest, _ := strings.Cut(status, "VmHWM:")
	t.Logf("peak KiB %s", strings.Fields(rest)[0])
}

// bomb is a frame header that asks for much.
func bomb(fhd byte, rest ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, zstdMagic), append([]byte{fhd}, rest...)...)
}

// TestZstdBombs is threat 13: refused at once, by limit.
func TestZstdBombs(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		code fault.Code
	}{
		"9 bytes, 512 MiB window": {bomb(fhdChecksum, 0x98, 1, 0, 0), fault.Limit},
		"single segment of 4 GiB": {bomb(fhdChecksum|fhdSingleSegment|0x80, 0xff, 0xff, 0xff, 0xff, 1, 0, 0), fault.Limit},
		"content of 2^63":         {bomb(fhdChecksum|0xc0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0), fault.Format},
		"reserved bit":            {bomb(fhdChecksum|fhdReserved, 0x50, 1, 0, 0), fault.Format},
		"unused bit":              {bomb(fhdChecksum|fhdUnused, 0x50, 1, 0, 0), fault.Format},
		"dictionary":              {bomb(fhdChecksum|1, 0x50, 7, 1, 0, 0), fault.Format},
		"no checksum":             {bomb(0, 0x50, 1, 0, 0), fault.Format},
		"reserved block":          {bomb(fhdChecksum, 0x50, 7, 0, 0, 0, 0), fault.Format},
		"large block":             {bomb(fhdChecksum, 0x50, 5, 0, 0xff, 0, 0), fault.Format},
		"skippable first":         {append([]byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9}, bomb(fhdChecksum, 0x50, 1, 0, 0)...), fault.Format},
		"a seek table of 2^32-1":  {binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff, 0}, seekMagic), fault.Format},
		"a seek table of 100000":  {binary.LittleEndian.AppendUint32([]byte{0xa0, 0x86, 1, 0, 0}, seekMagic), fault.Format},
	} {
		_, err := open(context.Background(), "x.tar.zst", OpenOptions{}, &memFiles{content: map[string][]byte{"x.tar.zst": c.b}})
		if fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
