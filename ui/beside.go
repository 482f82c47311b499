package ui

// The pages beside the journey, which the rail and the start screen open.

// log opens the decision log.
func (w *Window) log() {}

// help opens the help page.
func (w *Window) help() {}

// people opens the register of people.
func (w *Window) people() {}
