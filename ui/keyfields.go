package ui

import (
	"crypto/ed25519"

	"fyne.io/fyne/v2"

	"sluice/ui/widgets"
)

// keyFields are the file of a person's key and its passphrase. The key is read when it is used, and never kept.
type keyFields struct {
	w         *Window
	changed   func()
	file      string
	secret    string
	fileEntry *widgets.Entry
	passEntry *widgets.Entry
}

// draw makes the fields anew, with what was entered.
func (k *keyFields) draw() fyne.CanvasObject {
	w := k.w
	k.fileEntry, k.passEntry = widgets.NewEntry(), widgets.NewPasswordEntry()
	k.fileEntry.SetText(k.file)
	k.passEntry.SetText(k.secret)
	k.fileEntry.OnChanged = func(s string) { k.file = s; k.changed() }
	k.passEntry.OnChanged = func(s string) { k.secret = s }
	enter := func(string) { w.shell.press() }
	k.fileEntry.OnSubmitted, k.passEntry.OnSubmitted = enter, enter
	return widgets.Row(24, []float32{3, 2},
		w.fileField(w.t("key.file"), w.t("key.file.note"), k.fileEntry, nil),
		field(w.t("key.passphrase"), k.passEntry, w.t("key.passphrase.note")))
}

// missing is the field that is still empty, nil for none.
func (k *keyFields) missing() fyne.Focusable {
	if k.fileEntry != nil && !k.ready() {
		return k.fileEntry
	}
	return nil
}

// ready says whether a file was named.
func (k *keyFields) ready() bool { return typedPath(k.file) != "" }

// forget drops the passphrase.
func (k *keyFields) forget() { k.secret = "" }

// read gives a function that reads the key, for work beside the main goroutine.
func (k *keyFields) read() func() (ed25519.PrivateKey, error) {
	file, secret := typedPath(k.file), k.secret
	return func() (ed25519.PrivateKey, error) { return readKey(file, secret) }
}
