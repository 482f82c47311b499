package ui

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"

	"sluice/hwprobe"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/internal/printable"
)

// saveCopy asks where to put a file and writes it there; it begins at a stick that is plugged in. What goes wrong is said
// on top of the page.
func (w *Window) saveCopy(name string, content []byte) { w.saveThen(name, content, nil) }

// saveThen is saveCopy that tells when the file is on the disk; saved may be nil.
func (w *Window) saveThen(name string, content []byte, saved func()) {
	if w.win.Canvas().Overlays().Top() != nil {
		return // dialogs never stack
	}
	w.stick(func(mount string) {
		if w.win.Canvas().Overlays().Top() != nil {
			return
		}
		d := dialog.NewFileSave(func(out fyne.URIWriteCloser, err error) {
			if err != nil || out == nil {
				w.tell(err)
				return
			}
			path := filepath.FromSlash(out.URI().Path())
			_ = out.Close() // it is written so that a stick may be pulled
			w.save(path, content, saved)
		}, w.win)
		d.SetFileName(name)
		d.SetTitleText(w.t("pick.save.title"))
		d.SetConfirmText(w.t("pick.save.confirm"))
		if l := folder(mount); l != nil {
			d.SetLocation(l)
		}
		w.open(d)
	})
}

// save writes a file as a whole, on the disk before it is called saved.
func (w *Window) save(path string, content []byte, saved func()) {
	w.run(func(context.Context) error {
		dir, err := os.OpenRoot(filepath.Dir(path))
		if err != nil {
			return fault.New(fault.IO, "opening %q: %w", filepath.Dir(path), err).With("path", filepath.Dir(path))
		}
		defer dir.Close()
		return fsx.WriteFile(dir, filepath.Base(path), content, 0o644)
	}, nil, func(err error) {
		if err != nil {
			w.tell(err)
			return
		}
		if saved != nil {
			saved()
		}
		w.inform(w.t("save.done"), w.t("save.done.where", "path", printable.Line(path, 300)))
	})
}

// stick finds a removable drive to begin at, the first of several; then is told where it is mounted, "" for none.
func (w *Window) stick(then func(mount string)) {
	mount := ""
	w.soon(w.patience, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*lookForDrives)
		defer cancel()
		for _, d := range removable(w.c.Drives(ctx)) {
			mount = d.Mount
			break
		}
	}, func(bool) { then(mount) })
}

// filesOn finds files on drives that a person may mean, a few at most.
func filesOn(ctx context.Context, drives []hwprobe.Drive, fits func(path string) bool) []string {
	var out []string
	for _, d := range drives {
		entries := 0
		_ = filepath.WalkDir(d.Mount, func(path string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil || len(out) >= 5 {
				return fs.SkipAll
			}
			if err != nil {
				return nil
			}
			if entries++; entries > maxEntries {
				return fs.SkipAll
			}
			if rel, rerr := filepath.Rel(d.Mount, path); e.IsDir() && (rerr != nil || strings.Count(rel, string(filepath.Separator)) >= maxDepth) {
				return fs.SkipDir
			}
			if e.Type().IsRegular() && fits(path) {
				out = append(out, path)
			}
			return nil
		})
	}
	return out
}

// showFolder opens the folder of a file in the system's own way.
func (w *Window) showFolder(file string) {
	at := &url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Dir(file))}
	if err := w.c.App.OpenURL(at); err != nil {
		w.tell(fault.New(fault.IO, "opening folder %q: %w", filepath.Dir(file), err).With("path", filepath.Dir(file)))
	}
}

// folder is a place where a dialog begins; nil for one that is not there.
func folder(dir string) fyne.ListableURI {
	if fi, err := os.Stat(dir); dir == "" || err != nil || !fi.IsDir() {
		return nil
	}
	l, err := storage.ListerForURI(storage.NewFileURI(dir))
	if err != nil {
		return nil
	}
	return l
}

// dialogSize leaves a margin around a file dialog.
func (w *Window) dialogSize() fyne.Size {
	s := w.win.Canvas().Size()
	return fyne.NewSize(max(s.Width-120, 400), max(s.Height-120, 300))
}

// tell shows an error over the page; nil is nothing to tell.
func (w *Window) tell(err error) {
	if err != nil {
		w.aside(newRefusal(w, 0, err, w.closeAside))
	}
}
