package ui

import (
	"encoding/json"

	"fyne.io/fyne/v2/lang"

	"sluice/assets"
)

// fyneWords are the texts of Fyne's own dialogs and menus that the window shows, with their keys in our catalogue.
var fyneWords = map[string]string{
	"Advanced": "advanced", "Cancel": "cancel", "Confirm": "confirm", "Copy": "copy", "Create Folder": "create-folder", "Cut": "cut", "Enter filename": "filename",
	"Error": "error", "Favourites": "favourites", "File": "file", "Folder": "folder", "New Folder": "new-folder", "No": "no", "OK": "ok", "Open": "open",
	"Paste": "paste", "Quit": "quit", "Redo": "redo", "Save": "save", "Select all": "select-all", "Show Hidden Files": "hidden", "Undo": "undo", "Yes": "yes",
	"file.name": "name", "file.parent": "parent",
}

// teach puts Fyne's own words into our language. Fyne chooses its language by the system alone, so what it looks up
// under the system's language is replaced.
func teach(l assets.Lang) error {
	words := map[string]string{}
	for id, key := range fyneWords {
		words[id] = l.Text("ui.fyne." + key)
	}
	raw, err := json.Marshal(words)
	if err != nil {
		return err
	}
	return lang.AddTranslationsForLocale(raw, lang.SystemLocale())
}
