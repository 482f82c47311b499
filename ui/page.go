package ui

import "fyne.io/fyne/v2"

// screen is one thing to do. It holds the token of the step before and what the user has entered, and no rule.
type screen interface {
	// page draws the screen from its state. The window calls it again whenever something that shows changed: the
	// screen itself by redraw, the language, the theme, the size of text.
	page() page
}

// leaver is a screen that has something to end when another takes its place.
type leaver interface{ leave() }

// shower is a screen that starts something when it is first shown, such as a task.
type shower interface{ shown() }

// page is what the window shows of a screen. All words are in the window's language already.
type page struct {
	step    int               // 1 to 7 in the journey; 0 for pages beside it
	done    int               // steps done; 0: all before step
	title   string            // required
	lead    string            // one or two sentences below the title
	content fyne.CanvasObject // scrolls when it is higher than the window; nil for none
	back    func()            // nil: no such button
	cancel  func()            // nil: no such button; Escape presses it
	escape  func()            // what Escape does where there is neither
	extra   []action          // further buttons at the left of the footer
	hint    string            // a few words beside them
	primary *action           // the one button at the right; nil: none
	words   map[string]string // other words for "back" and "cancel"
	focus   fyne.Focusable    // gets the keyboard first; nil: the primary button when it can be pressed

	// missing is what a person has to fill in next before the primary button can be pressed; Ctrl+J goes there.
	// nil, or a nil result: nothing.
	missing func() fyne.Focusable
}

// action is a button of the footer.
type action struct {
	label  string
	do     func()
	off    bool // cannot be pressed now; hint says why
	danger bool
}
