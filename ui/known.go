package ui

import (
	"maps"
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"sluice/ui/widgets"
	"sluice/ui/widgets/style"
	"sluice/verify"
)

// known is what a person knows of supplier and site where they judge a file from another computer: the fingerprints of
// the first lists, as they came on another way, or a folder of lists that is trusted already. The last groups of a
// fingerprint are typed, so that comparing is not skipped. The core judges what was entered.
type known struct {
	w       *Window
	changed func()
	folders bool                           // by a folder, not by fingerprints
	folder  *widgets.Entry                 // its path
	carried map[verify.Root]string         // fingerprints of the first lists that the file carries
	typed   map[verify.Root]*widgets.Entry // their last groups
	choice  *widgets.Segments
}

// newKnown begins with the lists of this computer where it has both.
func newKnown(w *Window, changed func()) *known {
	k := &known{w: w, changed: changed, folder: widgets.NewEntry(), carried: map[verify.Root]string{}, typed: map[verify.Root]*widgets.Entry{}}
	entry := func(e *widgets.Entry) {
		e.OnChanged = func(string) { changed() }
		e.OnSubmitted = func(string) { w.shell.press() }
	}
	entry(k.folder)
	for _, of := range bothRoots {
		k.typed[of] = widgets.NewEntry()
		entry(k.typed[of])
	}
	if store, err := verify.OpenStore(keysFolder(w.root)); err == nil && store.Has(verify.Oem) && store.Has(verify.Site) && !w.demo {
		k.folders = true
		k.folder.SetText(keysFolder(w.root))
	}
	return k
}

var bothRoots = []verify.Root{verify.Oem, verify.Site}

// carries takes in the fingerprints of a file that was read.
func (k *known) carries(prints map[verify.Root]string) {
	if !maps.Equal(k.carried, prints) {
		k.carried = prints
		for _, e := range k.typed {
			e.SetText("")
		}
	}
}

// dir is the folder, "" for none.
func (k *known) dir() string {
	if !k.folders {
		return ""
	}
	return typedPath(k.folder.Text)
}

// prints are the fingerprints as the person compared and typed them; none with a folder.
func (k *known) prints() map[verify.Root]string {
	out := map[verify.Root]string{}
	if !k.folders {
		for of, e := range k.typed {
			out[of] = strings.Join(shownGroups(k.carried[of]), " ") + " " + hexDigits(e.Text)
		}
	}
	return out
}

func (k *known) ready() bool { return k.missing() == nil }

// missing is what is to be filled in next.
func (k *known) missing() fyne.Focusable {
	if k.folders {
		if k.dir() == "" {
			return k.folder
		}
		return nil
	}
	for _, of := range bothRoots {
		if len(hexDigits(k.typed[of].Text)) != hiddenDigits {
			return k.typed[of]
		}
	}
	return nil
}

// draw are the choice and what belongs to it.
func (k *known) draw() fyne.CanvasObject {
	w := k.w
	chosen := 0
	if k.folders {
		chosen = 1
	}
	k.choice = widgets.NewSegments([]string{w.t("known.prints"), w.t("known.folder")}, chosen, func(i int) {
		if k.folders != (i == 1) {
			k.folders = i == 1
			w.redraw()
		}
	})
	objs := []fyne.CanvasObject{text(style.Heading, w.t("known.title")), k.choice}
	if k.folders {
		pick := widgets.SecondaryButton(w.t("pick.folder"), func() { w.chooseFolder(func(dir string) { k.folder.SetText(dir) }) })
		return widgets.Column(12, append(objs, field(w.t("known.dir"), widgets.Ends(8, k.folder, pick), w.t("known.dir.note")))...)
	}
	var roots []fyne.CanvasObject
	for _, of := range bothRoots {
		roots = append(roots, widgets.Column(8, text(style.BodyStrong, w.t("first."+string(of)+".name")), w.comparedGroups(k.carried[of]),
			field(w.t("first.typed"), k.typed[of], w.t("first.typed.note"))))
	}
	return widgets.Column(12, append(objs, text(style.BodyDim, w.t("known.how")), widgets.Row(24, []float32{1, 1}, roots...))...)
}

// fingerprints are those of prints, without names.
func (k *known) fingerprints() []string { return slices.Sorted(maps.Values(k.prints())) }
