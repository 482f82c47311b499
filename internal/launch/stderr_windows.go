package launch

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// Stderr is where messages go; show ends the program's output. A program that was double-clicked has no console: what it
// said is shown in a message box.
func Stderr() (w io.Writer, show func()) {
	h, err := windows.GetStdHandle(windows.STD_ERROR_HANDLE)
	if err == nil && h != 0 && h != windows.InvalidHandle {
		return os.Stderr, func() {}
	}
	var said bytes.Buffer
	return &said, func() {
		text, terr := windows.UTF16PtrFromString(boxText(said.String()))
		title, err := windows.UTF16PtrFromString("Sluice")
		if terr != nil || err != nil || said.Len() == 0 {
			return
		}
		_, _ = windows.MessageBox(0, text, title, windows.MB_OK|windows.MB_ICONWARNING) // without it nothing can be said
	}
}
