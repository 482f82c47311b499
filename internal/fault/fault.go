// Package fault holds the stable codes of everything a user can be refused for, and the exit status of each.
// It does not hold the words: titles, meanings and remedies in both languages are in assets/texts.
package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// Code is a stable name of one kind of refusal, such as "E-DIGEST". Codes never change meaning.
type Code string

// Error is an error with a code and facts for people and programs.
type Error struct {
	Code   Code
	Detail map[string]any // JSON-friendly facts: path, offset, want, got, …
	err    error
}

// New makes an error with a code. The format may hold %w.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, err: fmt.Errorf(format, args...)}
}

// With returns a copy of e that also carries one fact.
func (e *Error) With(key string, value any) *Error {
	d := maps.Clone(e.Detail)
	if d == nil {
		d = map[string]any{}
	}
	d[key] = value
	return &Error{Code: e.Code, Detail: d, err: e.err}
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// Is makes errors.Is(err, ErrX) true for any two errors of one code, so that a package's sentinel
// (a *Error without detail) stands for the whole class.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// CodeOf finds the outermost code of err: E-CANCELLED for a cancelled context, E-INTERNAL when there is none.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	return Internal
}

// DetailOf merges the facts of all coded errors in the chain; outer ones win.
func DetailOf(err error) map[string]any {
	out := map[string]any{}
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		for k, v := range e.Detail {
			if _, ok := out[k]; !ok {
				out[k] = v
			}
		}
		err = e.Unwrap()
	}
	return out
}

// Exit is the process's exit status for a code, as documented in docs/commands.md.
func (c Code) Exit() int {
	if n, ok := exits[c]; ok {
		return n
	}
	return 1
}
