package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/internal/fault"
)

var volumeKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func signTest(s Statement) ([]byte, error) { return SignStatement(s, volumeKey) }

// splitTest makes volumes of a bundle whose frames are small beside them.
func splitTest(t testing.TB, seed uint64) (dir string, files []string, m *Manifest, blobs []blob) {
	t.Helper()
	for i := range 10 {
		blobs = append(blobs, blob{fmt.Sprintf("artifacts/%02d.bin", i), weights(seed+uint64(i), 30<<10), 64 << 10})
	}
	path, m := writeTest(t, blobs)
	files, err := SplitVolumes(context.Background(), path, 100<<10, signTest)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 || !strings.HasSuffix(files[3], ".tar.zst.volumes.sig") {
		t.Fatalf("made %q", files)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path), files, m, blobs
}

// openVolumesTest opens, checks the index's signature and compares it.
func openVolumesTest(path string, o OpenOptions) (*Source, error) {
	s, err := Open(context.Background(), path, o)
	if err != nil {
		return nil, err
	}
	return s, checkIndexTest(s)
}

func checkIndexTest(s *Source) error {
	pub, err := NewPublicKey(volumeKey.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	env, err := ParseEnvelope(s.VolumeIndex())
	if err != nil {
		return err
	}
	statement, _, err := env.Verify(TypeVolumes, []PublicKey{pub}, 1)
	if err != nil {
		return err
	}
	p, err := VolumesOf(statement)
	if err != nil {
		return err
	}
	return s.CheckIndex(p)
}

func verifyVolumes(path string, m *Manifest, o OpenOptions) error {
	s, err := openVolumesTest(path, o)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Extract(context.Background(), m, ExtractOptions{})
}

func TestVolumes(t *testing.T) {
	dir, files, m, blobs := splitTest(t, 1)
	for _, p := range files {
		s, err := openVolumesTest(p, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Kind() != KindVolumes || s.VolumeIndex() == nil {
			t.Fatalf("kind %s", s.Kind())
		}
		extractAll(t, s, m, blobs, ExtractOptions{})
		s.Close()
	}
	var whole []byte
	for _, p := range files[:3] {
		whole = append(whole, read(t, p)...)
	}
	joined := filepath.Join(dir, "joined.tar.zst")
	if err := os.WriteFile(joined, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	extractAll(t, mustOpen(t, joined, OpenOptions{}), m, blobs, ExtractOptions{})
}

// TestVolumesOnSeveralSticks: in any folder, whichever is named first.
func TestVolumesOnSeveralSticks(t *testing.T) {
	dir, files, m, _ := splitTest(t, 1)
	sticks := spread(t, dir, files)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		err := verifyVolumes(filepath.Join(sticks[order[0]], filepath.Base(files[order[0]])), m, OpenOptions{Also: []string{sticks[order[1]], sticks[order[2]]}})
		if err != nil {
			t.Errorf("order %v: %v", order, err)
		}
	}
	err := verifyVolumes(filepath.Join(sticks[0], filepath.Base(files[0])), m, OpenOptions{})
	if fault.CodeOf(err) != fault.VolumeMissing || len(fault.DetailOf(err)["volumes"].([]string)) != 2 {
		t.Errorf("two missing: %v", err)
	}
	err = verifyVolumes(filepath.Join(sticks[2], filepath.Base(files[2])), m, OpenOptions{Also: sticks[1:2]})
	if fault.CodeOf(err) != fault.VolumeMissing || !strings.Contains(err.Error(), ".001") {
		t.Errorf("first missing: %v", err)
	}
}

// spread puts each volume into a folder of its own, each with the index.
func spread(t *testing.T, dir string, files []string) (sticks []string) {
	t.Helper()
	for _, f := range files[:3] {
		d := t.TempDir()
		sticks = append(sticks, d)
		for _, p := range []string{f, files[3]} {
			if err := os.WriteFile(filepath.Join(d, filepath.Base(p)), read(t, p), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return sticks
}

// TestVolumesWithOnePort: the same folder shows one stick after the other.
func TestVolumesWithOnePort(t *testing.T) {
	dir, files, m, blobs := splitTest(t, 1)
	sticks := spread(t, dir, files)
	port := filepath.Join(t.TempDir(), "port")
	plug := func(i int) {
		_ = os.Remove(port)
		if err := os.Symlink(sticks[i], port); err != nil {
			t.Skip("no symbolic links here")
		}
	}
	var asked []int
	o := OpenOptions{Ask: func(_ context.Context, w VolumeWanted) (string, error) {
		asked = append(asked, w.Number)
		if w.Total != 3 || w.Name != filepath.Base(files[w.Number-1]) || fault.CodeOf(w.Reason) != fault.VolumeMissing {
			t.Errorf("asked for %+v", w)
		}
		plug(w.Number - 1)
		return port, nil
	}}
	plug(1) // stick 2 first
	s, err := openVolumesTest(filepath.Join(port, filepath.Base(files[1])), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	extractAll(t, s, m, blobs, ExtractOptions{})
	if !slices.Equal(asked, []int{1, 2, 3}) {
		t.Errorf("asked for %v", asked)
	}
	// What a first run staged is not asked for again.
	asked = nil
	plug(0)
	s2, err := openVolumesTest(filepath.Join(port, filepath.Base(files[0])), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	stores := map[string]*memStore{}
	for i, b := range blobs {
		st := newMemStore(&m.Artifacts[i])
		copy(st.data, b.data)
		st.have[0] = true
		stores[b.path] = st
	}
	paths := []string{blobs[8].path, blobs[9].path}
	if err := s2.Extract(context.Background(), m, ExtractOptions{Paths: paths, Store: func(a *Artifact) (ChunkStore, error) { return stores[a.Path], nil }}); err != nil || asked != nil {
		t.Errorf("staged chunks were asked for: %v, %v", asked, err)
	}
	// Giving up.
	o.Ask = func(context.Context, VolumeWanted) (string, error) { return "", errors.New("no") }
	plug(0)
	if err := verifyVolumes(filepath.Join(port, filepath.Base(files[0])), m, o); fault.CodeOf(err) != fault.VolumeMissing {
		t.Errorf("giving up: %v", err)
	}
}

// TestWrongVolumes is threat 7: each mishap has its own name.
func TestWrongVolumes(t *testing.T) {
	_, other, _, _ := splitTest(t, 100)
	for _, c := range []struct {
		name  string
		spoil func(dir string, files []string) error
		code  fault.Code
		words string
	}{
		{"damaged", func(_ string, f []string) error { return changeByte(f[1], 50_000) }, fault.VolumeDamaged, ".002"},
		{"damaged where a frame spans two", func(_ string, f []string) error { return changeByte(f[1], 5) }, fault.VolumeDamaged, `.002" is damaged at bytes 0 to`},
		{"damaged in the seek table", func(_ string, f []string) error { return changeByte(f[2], -20) }, fault.VolumeDamaged, ".003"},
		{"damaged in the head", func(_ string, f []string) error { return changeByte(f[0], 100) }, fault.VolumeDamaged, ".001"},
		{"swapped", func(_ string, f []string) error {
			return errors.Join(os.Rename(f[0], f[0]+"x"), os.Rename(f[1], f[0]), os.Rename(f[0]+"x", f[1]))
		}, fault.VolumeStale, "swapped"},
		{"of another release", func(_ string, f []string) error { return copyFile(other[1], f[1]) }, fault.VolumeStale, "another release"},
		{"of another size", func(_ string, f []string) error { return os.Truncate(f[1], 99_999) }, fault.VolumeStale, "99999 bytes"},
		{"missing", func(_ string, f []string) error { return os.Remove(f[1]) }, fault.VolumeMissing, ".002"},
		{"index missing", func(_ string, f []string) error { return os.Remove(f[3]) }, fault.VolumeIndex, "not beside"},
		{"index of another release", func(_ string, f []string) error { return copyFile(other[3], f[3]) }, fault.VolumeStale, "another release"},
		{"index truncated", func(_ string, f []string) error { return os.Truncate(f[3], 500) }, fault.SignatureInvalid, ""},
		{"index empty", func(_ string, f []string) error { return os.Truncate(f[3], 0) }, fault.SignatureMissing, ""},
		{"everything renamed", func(d string, f []string) error {
			for _, p := range f {
				if err := os.Rename(p, filepath.Join(d, strings.Replace(filepath.Base(p), "test-", "Test-", 1))); err != nil {
					return err
				}
			}
			return os.WriteFile(f[0], nil, 0o600)
		}, fault.VolumeIndex, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, files, m, _ := splitTest(t, 1)
			if err := c.spoil(dir, files); err != nil {
				t.Fatal(err)
			}
			err := verifyVolumes(files[0], m, OpenOptions{})
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %s: %v; want %s with %q", fault.CodeOf(err), err, c.code, c.words)
			}
			if c.name == "damaged" {
				d := fault.DetailOf(err)
				if d["volume"] != filepath.Base(files[1]) || d["path"] == "" || d["file_offset"].(int64) > 50_000 || d["file_offset"].(int64)+d["file_length"].(int64) <= 50_000 {
					t.Errorf("detail %v does not name the damage", d)
				}
			}
		})
	}
}

func TestTwoReleasesOnTwoSticks(t *testing.T) {
	_, files, m, _ := splitTest(t, 1)
	otherDir, _, _, _ := splitTest(t, 100)
	if err := verifyVolumes(files[0], m, OpenOptions{Also: []string{otherDir}}); fault.CodeOf(err) != fault.VolumeStale {
		t.Errorf("got %v", err)
	}
}

// TestVolumesNeedACheckedIndex: nothing is extracted on the word of an unverified index.
func TestVolumesNeedACheckedIndex(t *testing.T) {
	_, files, m, _ := splitTest(t, 1)
	s := mustOpen(t, files[0], OpenOptions{})
	if err := s.Extract(context.Background(), m, ExtractOptions{}); fault.CodeOf(err) != fault.VolumeIndex {
		t.Errorf("unchecked: %v", err)
	}
	if err := s.CheckIndex(nil); fault.CodeOf(err) != fault.VolumeIndex {
		t.Errorf("nil index: %v", err)
	}
	p := *s.volumes
	p.ManifestSHA384[0] ^= 1
	if err := s.CheckIndex(&p); fault.CodeOf(err) != fault.VolumeIndex {
		t.Errorf("another index: %v", err)
	}
	path, _ := writeTest(t, flipBlobs())
	if err := mustOpen(t, path, OpenOptions{}).CheckIndex(&p); fault.CodeOf(err) != fault.VolumeIndex {
		t.Errorf("index for a single file: %v", err)
	}
}

func TestVolumePredicates(t *testing.T) {
	_, files, _, _ := splitTest(t, 1)
	good := mustOpen(t, files[0], OpenOptions{}).volumes
	for name, c := range map[string]struct {
		change func(p *VolumesPredicate, s *Statement)
		code   fault.Code
	}{
		"another type":  {func(_ *VolumesPredicate, s *Statement) { s.PredicateType = TypeManifest }, fault.SignatureType},
		"1000 volumes":  {func(p *VolumesPredicate, _ *Statement) { p.Volumes = make([]VolumeInfo, 1000) }, fault.Limit},
		"no volumes":    {func(p *VolumesPredicate, _ *Statement) { p.Volumes = nil }, fault.VolumeIndex},
		"wrong order":   {func(p *VolumesPredicate, _ *Statement) { p.Volumes[1], p.Volumes[2] = p.Volumes[2], p.Volumes[1] }, fault.VolumeIndex},
		"a path":        {func(p *VolumesPredicate, _ *Statement) { p.Volumes[0].Name = "../x.tar.zst.001" }, fault.VolumeIndex},
		"no bytes":      {func(p *VolumesPredicate, _ *Statement) { p.Volumes[1].Size = 0 }, fault.VolumeIndex},
		"other subject": {func(_ *VolumesPredicate, s *Statement) { s.Subjects[0].SHA384[0] ^= 1 }, fault.VolumeIndex},
		"one subject":   {func(_ *VolumesPredicate, s *Statement) { s.Subjects = s.Subjects[:1] }, fault.VolumeIndex},
		"no seek table": {func(p *VolumesPredicate, _ *Statement) { p.SeekTable = nil }, fault.VolumeIndex},
		"other size":    {func(p *VolumesPredicate, _ *Statement) { p.Volumes[2].Size++ }, fault.VolumeIndex},
	} {
		p := VolumesPredicate{Volumes: slices.Clone(good.Volumes), ManifestSHA384: good.ManifestSHA384, SeekTable: slices.Clone(good.SeekTable)}
		s, err := good.statement()
		if err != nil {
			t.Fatal(err)
		}
		c.change(&p, &s)
		raw, err := CanonicalJSON(p)
		if err != nil {
			t.Fatal(err)
		}
		s.Predicate = raw
		if got, err := VolumesOf(&s); fault.CodeOf(err) != c.code || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplitRefusals(t *testing.T) {
	path, _ := writeTest(t, []blob{{"artifacts/a.bin", weights(1, 70<<10), 64 << 10}})
	ctx := context.Background()
	if _, err := SplitVolumes(ctx, path, 1000, signTest); fault.CodeOf(err) != fault.Usage {
		t.Errorf("tiny volumes: %v", err)
	}
	if _, err := SplitVolumes(ctx, filepath.Dir(path), MinVolumeSize, signTest); fault.CodeOf(err) != fault.Usage {
		t.Errorf("another name: %v", err)
	}
	if _, err := SplitVolumes(ctx, path, MinVolumeSize, func(Statement) ([]byte, error) { return nil, errors.New("no key") }); err == nil {
		t.Error("split without signature")
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("left behind: %q", left)
	}
	if err := os.WriteFile(path+".002", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SplitVolumes(ctx, path, MinVolumeSize, signTest); fault.CodeOf(err) != fault.Exists {
		t.Errorf("a volume that is there: %v", err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	big, _ := writeTest(t, []blob{{"artifacts/a.bin", make([]byte, 1000), 64 << 10}})
	if err := os.Truncate(big, 1000*MinVolumeSize); err != nil {
		t.Fatal(err)
	}
	if _, err := SplitVolumes(ctx, big, MinVolumeSize, signTest); err == nil {
		t.Error("a broken bundle was split")
	}
}

func changeByte(path string, at int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += int64(len(b))
	}
	b[at] ^= 4
	return os.WriteFile(path, b, 0o600)
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// TestFlippedBitsInVolumes samples threat 1 over all files of a split bundle, its index too.
func TestFlippedBitsInVolumes(t *testing.T) {
	_, files, m, _ := splitTest(t, 1)
	f := &memFiles{content: map[string][]byte{}}
	for _, p := range files {
		f.content[filepath.Base(p)] = read(t, p)
	}
	check := func() error {
		s, err := open(context.Background(), filepath.Base(files[0]), OpenOptions{}, f)
		if err != nil {
			return err
		}
		if err := checkIndexTest(s); err != nil {
			return err
		}
		return s.Extract(context.Background(), m, ExtractOptions{})
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	for _, p := range files {
		name := filepath.Base(p)
		b := f.content[name]
		for i := 0; i < len(b); i += 1 + len(b)/250 {
			b[i] ^= 1 << (i % 8)
			if err := check(); fault.CodeOf(err).Exit() != 3 {
				t.Errorf("%s, byte %d: %v", name, i, err)
			}
			b[i] ^= 1 << (i % 8)
		}
	}
}
