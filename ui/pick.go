package ui

import (
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"

	"sluice/internal/fault"
	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
)

// chooseFile lets a person point at a file; exts (such as ".pub") narrow what is listed, none lists everything. Nothing
// happens when something lies over the page already: dialogs never stack.
func (w *Window) chooseFile(exts []string, done func(path string)) {
	if w.win.Canvas().Overlays().Top() != nil {
		return
	}
	d := dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
		if err != nil {
			w.tell(fault.New(fault.IO, "choosing a file: %w", err))
			return
		}
		if r == nil {
			return
		}
		path := r.URI().Path()
		_ = r.Close() // it is opened again by whoever reads it, with a limit
		w.picked(path)
		done(filepath.FromSlash(path))
	}, w.win)
	if len(exts) > 0 {
		d.SetFilter(storage.NewExtensionFileFilter(exts))
	}
	d.SetTitleText(w.t("pick.file.title"))
	d.SetConfirmText(w.t("pick.confirm"))
	w.openAt(d)
}

// openAt shows a dialog at the place where a choice begins.
func (w *Window) openAt(d *dialog.FileDialog) {
	w.pickFrom(func(at fyne.ListableURI) {
		if w.win.Canvas().Overlays().Top() != nil {
			return
		}
		if at != nil {
			d.SetLocation(at)
		}
		w.open(d)
	})
}

// open shows a file dialog in our words. It has a size only once it is shown.
func (w *Window) open(d *dialog.FileDialog) {
	d.SetDismissText(w.t("button.cancel"))
	d.Show()
	d.Resize(w.dialogSize())
	d.Hide()
	d.Show() // in the middle: where it stands is found out when it is shown
}

// chooseFolder lets a person point at a folder.
func (w *Window) chooseFolder(done func(path string)) {
	if w.win.Canvas().Overlays().Top() != nil {
		return
	}
	d := dialog.NewFolderOpen(func(l fyne.ListableURI, err error) {
		if err != nil {
			w.tell(fault.New(fault.IO, "choosing a folder: %w", err))
			return
		}
		if l == nil {
			return
		}
		w.picked(filepath.Join(l.Path(), "x"))
		done(filepath.FromSlash(l.Path()))
	}, w.win)
	d.SetTitleText(w.t("pick.folder.title"))
	d.SetConfirmText(w.t("pick.confirm"))
	w.openAt(d)
}

// picked remembers the folder for the next choice. It is a convenience: nothing that matters is kept in preferences.
func (w *Window) picked(path string) {
	w.c.App.Preferences().SetString("folder", filepath.Dir(path))
}

// pickFrom tells where a choice begins: where the last one ended, else a stick that is there; nil: the system's idea.
func (w *Window) pickFrom(then func(fyne.ListableURI)) {
	if l := folder(w.c.App.Preferences().String("folder")); l != nil {
		then(l)
		return
	}
	w.stick(func(mount string) { then(folder(mount)) })
}

// field is a labelled place to enter something, with a few words below; note may be empty.
func field(label string, entry fyne.CanvasObject, note string) fyne.CanvasObject {
	objs := []fyne.CanvasObject{text(style.SmallStrong, label), entry}
	if note != "" {
		objs = append(objs, text(style.SmallDim, note))
	}
	return widgets.Column(4, objs...)
}

// fileField is an entry for a path with a button that opens a dialog for it.
func (w *Window) fileField(label, note string, entry *widgets.Entry, exts []string) fyne.CanvasObject {
	choose := widgets.SecondaryButton(w.t("pick.file"), func() {
		w.chooseFile(exts, func(path string) { entry.SetText(path) })
	})
	return field(label, widgets.Ends(8, entry, choose), note)
}

// typedPath cleans what a person typed or pasted as a path: quotes and spaces around it come with copying.
func typedPath(typed string) string {
	s := strings.TrimSpace(typed)
	if n := len(s); n > 1 && (s[0] == '"' && s[n-1] == '"' || s[0] == '\'' && s[n-1] == '\'') {
		s = s[1 : n-1]
	}
	return strings.TrimPrefix(s, "file://")
}
