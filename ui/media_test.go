package ui

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/assets"
	"sluice/internal/fault"
	"sluice/internal/testroot"
)

// A stick that comes is shown within two seconds, before it was searched; one that goes disappears as fast. The
// machines of these tests have no USB: folders stand for drives.
func TestMedia(t *testing.T) {
	s := testroot.New(t)
	one := stick(t, s.Bundle(testroot.BundleOptions{Version: "1.4.2"}), s.Bundle(testroot.BundleOptions{Version: "1.10.0"}))
	two := stick(t)
	b := siteBench(t, s, assets.Polish)
	var now []medium
	told := 0
	stop := b.watchMedia(func(m []medium) { now, told = m, told+1 })
	defer stop()
	b.settle("the first look", func() bool { return told == 1 })
	if len(now) != 0 {
		t.Fatalf("%+v", now)
	}
	within := func(what string, cond func() bool) {
		t.Helper()
		began := time.Now()
		b.settle(what, cond)
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("%s was noticed after %v", what, d)
		}
	}
	b.plug(one)
	within("a stick", func() bool { return len(now) == 1 })
	b.settle("its bundles", func() bool { return now[0].searched })
	got := now[0].bundles
	if len(got) != 2 || got[0].version != "1.10.0" || got[1].version != "1.4.2" || got[0].family != testroot.Family || got[0].size == 0 || got[0].problem != nil {
		t.Fatalf("%+v", got)
	}
	b.plug(one, two)
	within("a second stick", func() bool { return len(now) == 2 })
	put(t, two, got[1].path)
	b.settle("a bundle that was copied to it", func() bool {
		return len(now) == 2 && (len(now[0].bundles) == 1 || len(now[1].bundles) == 1)
	})
	b.plug(two)
	within("a stick pulled", func() bool { return len(now) == 1 })
	b.plug()
	within("the other one too", func() bool { return len(now) == 0 })
	stop()
	b.plug(one)
	was := told
	time.Sleep(2 * lookForDrives)
	b.settle("nothing more", func() bool { return true })
	if told != was {
		t.Error("a watcher that was stopped still tells")
	}
}

// What is no bundle is listed with its reason; what is hidden, deep or another kind of file is not.
func TestSearchFolder(t *testing.T) {
	s := testroot.New(t)
	dir := stick(t, s.Bundle(testroot.BundleOptions{Version: "1.4.2"}))
	for _, name := range []string{"bad.tar.zst", ".hidden/x.tar.zst", "a/b/c/d/deep.tar.zst", "notes.txt", "a/torn.tar.zst.volumes.sig"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("no bundle at all"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known := map[string]seenBundle{}
	for range 2 { // the second time from memory
		got := searchFolder(t.Context(), dir, known)
		var names []string
		for _, f := range got {
			names = append(names, f.name())
		}
		if len(got) != 3 || got[0].problem != nil || got[1].problem == nil || got[2].problem == nil {
			t.Fatalf("%q", names)
		}
		if fault.CodeOf(got[2].problem) != fault.Format && fault.CodeOf(got[1].problem) != fault.Format {
			t.Errorf("%v, %v", got[1].problem, got[2].problem)
		}
	}
}
