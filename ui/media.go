package ui

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/bundle"
	"sluice/hwprobe"
	"sluice/internal/fault"
	"sluice/internal/printable"
)

// How often drives are looked for, and bundles on a drive that stays.
const (
	lookForDrives  = 700 * time.Millisecond
	lookForBundles = 3 * time.Second
)

// Limits of the search on one drive: a slow stick with a million files is not walked to its end.
const (
	maxDepth     = 3
	maxEntries   = 20000
	maxFound     = 200
	openPatience = 20 * time.Second
)

// medium is a removable drive with the bundles found on it.
type medium struct {
	drive    hwprobe.Drive
	searched bool          // false: the first search is still under way
	bundles  []foundBundle // newest version first
}

// foundBundle is what a bundle says of itself. Nothing of it is verified.
type foundBundle struct {
	path     string // of the bundle, or of the index of its volumes
	family   string // empty: it does not tell
	version  string
	created  time.Time // zero: it does not tell
	variants int
	size     int64 // bytes, all volumes together; 0: it does not tell
	volumes  int   // 0: one file
	missing  []int // numbers of volumes that are not beside the index
	problem  error // why it does not tell
}

// name is the file's name without what every bundle's name ends with.
func (f foundBundle) name() string {
	base := strings.TrimSuffix(filepath.Base(f.path), ".volumes.sig")
	return printable.Line(strings.TrimSuffix(base, ".tar.zst"), 120)
}

// name is what a person calls the drive.
func (m medium) name(w *Window) string {
	place := strings.TrimSuffix(m.drive.Mount, string(filepath.Separator))
	if m.drive.Label != "" && !strings.HasSuffix(place, m.drive.Label) {
		place = m.drive.Label + ", " + place
	}
	return w.t("media.drive", "place", printable.Line(place, 120))
}

// media watches removable drives as they come and go.
type media struct {
	w     *Window
	show  func([]medium)
	at    map[string]*medium // by mount and device
	stops map[string]func()  // of the searches, by the same
	stop  func()
	told  bool
}

// watchMedia tells which removable drives there are, at once and whenever one comes, goes, or is searched. A drive
// is shown before it is searched, so that nothing seems to be overlooked. The result ends it.
func (w *Window) watchMedia(show func([]medium)) (stop func()) {
	m := &media{w: w, show: show, at: map[string]*medium{}, stops: map[string]func(){}}
	m.stop = w.watch(lookForDrives, func(ctx context.Context) func() {
		drives := removable(w.c.Drives(ctx))
		return func() { m.drives(drives) }
	})
	return func() {
		m.stop()
		for _, s := range m.stops {
			s()
		}
	}
}

func removable(all []hwprobe.Drive) []hwprobe.Drive {
	var out []hwprobe.Drive
	for _, d := range all {
		if d.Removable && d.Mount != "" {
			out = append(out, d)
		}
	}
	return out
}

// drives takes in which drives there are now.
func (m *media) drives(now []hwprobe.Drive) {
	changed := !m.told // that there is none is news too
	m.told = true
	here := map[string]bool{}
	for _, d := range now {
		key := d.Mount + "\x00" + d.Device
		here[key] = true
		if m.at[key] != nil {
			continue
		}
		changed = true
		m.at[key] = &medium{drive: d}
		known := map[string]seenBundle{} // only this drive's searches use it, one after the other
		m.stops[key] = m.w.watch(lookForBundles, func(ctx context.Context) func() {
			found := searchFolder(ctx, d.Mount, known)
			return func() { m.found(key, found) }
		})
	}
	for key := range m.at {
		if !here[key] {
			m.stops[key]()
			delete(m.at, key)
			delete(m.stops, key)
			changed = true
		}
	}
	if changed {
		m.tell()
	}
}

func (m *media) found(key string, found []foundBundle) {
	at := m.at[key]
	if at == nil || at.searched && slices.EqualFunc(at.bundles, found, foundBundle.same) {
		return
	}
	at.searched, at.bundles = true, found
	m.tell()
}

func (f foundBundle) same(o foundBundle) bool {
	return f.path == o.path && f.version == o.version && f.family == o.family && f.size == o.size && f.created.Equal(o.created) &&
		slices.Equal(f.missing, o.missing) && fault.CodeOf(f.problem) == fault.CodeOf(o.problem)
}

func (m *media) tell() {
	var out []medium
	for _, key := range slices.Sorted(maps.Keys(m.at)) {
		out = append(out, *m.at[key])
	}
	m.show(out)
}

// seenBundle is a bundle described before, as long as its file has not changed.
type seenBundle struct {
	size  int64
	mtime time.Time
	found foundBundle
}

// searchFolder finds bundles in a folder and below it. known carries over what was described before; it may be empty.
func searchFolder(ctx context.Context, dir string, known map[string]seenBundle) []foundBundle {
	var out []foundBundle
	entries := 0
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			return nil // an unreadable folder hides nothing else; a drive that is gone is noticed elsewhere
		}
		if entries++; entries > maxEntries || len(out) >= maxFound {
			return fs.SkipAll
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return nil
		}
		name := d.Name()
		if d.IsDir() {
			if strings.Count(rel, string(filepath.Separator)) >= maxDepth || rel != "." && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		split := strings.HasSuffix(name, ".tar.zst.volumes.sig")
		if !d.Type().IsRegular() || !split && !strings.HasSuffix(name, ".tar.zst") {
			return nil
		}
		out = append(out, describeOnce(ctx, path, split, d, known))
		return nil
	})
	slices.SortStableFunc(out, newestFirst)
	return out
}

func newestFirst(a, b foundBundle) int {
	switch {
	case (a.problem == nil) != (b.problem == nil):
		if a.problem == nil {
			return -1
		}
		return 1
	case a.family != b.family:
		return strings.Compare(a.family, b.family)
	case a.problem != nil || a.version == "" || b.version == "":
		return strings.Compare(a.path, b.path)
	}
	return bundle.CompareVersions(b.version, a.version)
}

func describeOnce(ctx context.Context, path string, split bool, d fs.DirEntry, known map[string]seenBundle) foundBundle {
	fi, err := d.Info()
	if err != nil || split { // volumes come and go beside their index
		return describeBundle(ctx, path)
	}
	if s, ok := known[path]; ok && s.size == fi.Size() && s.mtime.Equal(fi.ModTime()) {
		return s.found
	}
	f := describeBundle(ctx, path)
	if ctx.Err() == nil && known != nil {
		known[path] = seenBundle{fi.Size(), fi.ModTime(), f}
	}
	return f
}

// describeBundle reads what a bundle says of itself: a .tar.zst, one of its volumes, or their index.
func describeBundle(ctx context.Context, path string) foundBundle {
	f := foundBundle{path: path}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	src, err := bundle.Open(ctx, path, bundle.OpenOptions{})
	if err != nil {
		f.problem = err
		f.lookAtVolumes(nil)
		return f
	}
	defer src.Close()
	f.size = src.Size()
	f.lookAtVolumes(src.VolumeIndex())
	m, err := bundle.ParseManifest(src.ManifestBytes())
	if err != nil {
		f.problem = err
		return f
	}
	f.family, f.version, f.created, f.variants = m.ModelFamily, m.Version, m.CreatedTime(), len(m.Variants)
	return f
}

// lookAtVolumes counts the volumes that an index names and those that are not beside it.
func (f *foundBundle) lookAtVolumes(index []byte) {
	base, ok := strings.CutSuffix(f.path, ".volumes.sig")
	if !ok {
		return
	}
	if index == nil {
		raw, err := os.ReadFile(f.path) // the walk found a regular file; the envelope's parser has the limit
		if err != nil || len(raw) > bundle.MaxEnvelopeSize {
			return
		}
		index = raw
	}
	env, err := bundle.ParseEnvelope(index)
	if err != nil {
		return
	}
	st, err := env.Unverified()
	if err != nil {
		return
	}
	p, err := bundle.VolumesOf(st)
	if err != nil {
		return
	}
	f.volumes, f.size, f.missing = len(p.Volumes), 0, nil
	for i, v := range p.Volumes {
		f.size += v.Size
		if fi, err := os.Stat(filepath.Join(filepath.Dir(base), v.Name)); err != nil || fi.Size() != v.Size {
			f.missing = append(f.missing, i+1)
		}
	}
}
