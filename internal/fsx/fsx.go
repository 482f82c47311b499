// Package fsx changes files so that a power cut leaves the old state or the new one: writes below an os.Root that are
// synced before their name appears, renames that outlast a virus scanner, the lock of a root and what the file
// system under it can promise. It does not know what the files mean, and it follows no symbolic link.
//
// Names are relative to the os.Root and separated by slashes on every system.
package fsx

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"sluice/internal/fault"
)

// Names of temporary files: tempPrefix, the final base name, a dot, 16 hexadecimal digits, tempSuffix.
const (
	tempPrefix = ".~"
	tempSuffix = ".tmp"
)

// WriteFile makes name hold exactly data, all or nothing: a temporary file beside it is written and synced, renamed
// over name, and the folder is synced. The folder must exist. perm applies before the umask.
// Errors: E-SPACE, E-ROOT-READONLY, E-PATH (a symbolic link or a folder is in the way), E-IO.
func WriteFile(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	_, err := WriteFrom(root, name, bytes.NewReader(data), int64(len(data)), perm)
	return err
}

// WriteFrom is WriteFile with the bytes of r, at most limit of them (E-LIMIT when r has more). It returns how many
// bytes were written.
func WriteFrom(root *os.Root, name string, r io.Reader, limit int64, perm fs.FileMode) (int64, error) {
	if err := replaceable(root, name); err != nil {
		return 0, err
	}
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return 0, fault.New(fault.IO, "drawing a temporary name: %w", err)
	}
	temp := path.Join(path.Dir(name), tempPrefix+path.Base(name)+"."+hex.EncodeToString(salt[:])+tempSuffix)
	n, err := writeTemp(root, temp, r, limit, perm)
	if err == nil {
		err = Rename(root, temp, name)
	}
	if err != nil {
		_ = root.Remove(temp) // best effort; RemoveTemps finds what stays behind
		return 0, err
	}
	return n, nil
}

func writeTemp(root *os.Root, temp string, r io.Reader, limit int64, perm fs.FileMode) (n int64, err error) {
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return 0, Classify(err, "writing", temp)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = Classify(cerr, "closing", temp)
		}
	}()
	n, err = io.Copy(f, io.LimitReader(r, limit))
	if err != nil {
		return 0, Classify(err, "writing", temp)
	}
	if n == limit { // one byte more is too many
		var extra [1]byte
		switch m, rerr := io.ReadFull(r, extra[:]); {
		case m > 0:
			return 0, fault.New(fault.Limit, "content of %q is longer than %d bytes", temp, limit).With("limit", limit)
		case rerr != io.EOF:
			return 0, Classify(rerr, "reading the content of", temp)
		}
	}
	if err := f.Sync(); err != nil {
		return 0, Classify(err, "syncing", temp)
	}
	return n, nil
}

// replaceable refuses a name below a symbolic link, or one that is a link, a folder or a device.
func replaceable(root *os.Root, name string) error {
	if err := CheckNoLinks(root, path.Dir(name)); err != nil {
		return err
	}
	fi, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return Classify(err, "looking at", name)
	case !fi.Mode().IsRegular():
		return notRegular(name, fi.Mode())
	}
	return nil
}

func notRegular(name string, mode fs.FileMode) error {
	return fault.New(fault.Path, "%q is a %s, want a regular file", name, kindOf(mode)).With("path", name)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	case mode&fs.ModeIrregular != 0:
		return "junction or other reparse point"
	}
	return "regular file"
}

// CheckNoLinks refuses (E-PATH) a name of which some existing part, the last one included, is a symbolic link or a
// Windows reparse point, or a part before the last is no folder. What does not exist yet is no link. "." is always fine.
func CheckNoLinks(root *os.Root, name string) error {
	name = path.Clean(name)
	if name == "." {
		return nil
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		p := path.Join(parts[:i+1]...)
		fi, err := root.Lstat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return Classify(err, "looking at", p)
		case fi.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0:
			return fault.New(fault.Path, "%q is a %s; links are not followed here", p, kindOf(fi.Mode())).With("path", p)
		case i < len(parts)-1 && !fi.IsDir():
			return fault.New(fault.Path, "%q is a %s, want a folder", p, kindOf(fi.Mode())).With("path", p)
		}
	}
	return nil
}

// Open opens a regular file for reading; no part of its name may be a link. What was looked at and what was opened
// are compared, so that a link slipped in between is refused as well.
// The error wraps fs.ErrNotExist when there is none.
func Open(root *os.Root, name string) (*os.File, error) {
	if err := CheckNoLinks(root, name); err != nil {
		return nil, err
	}
	before, err := root.Lstat(name)
	if err != nil {
		return nil, Classify(err, "looking at", name)
	}
	if !before.Mode().IsRegular() {
		return nil, notRegular(name, before.Mode())
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, Classify(err, "opening", name)
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fault.New(fault.Path, "%q changed while it was opened", name).With("path", name)
	}
	if err != nil {
		f.Close()
		return nil, Classify(err, "opening", name)
	}
	return f, nil
}

// ReadFile reads a regular file of at most limit bytes (E-LIMIT when it is longer), with Open's rules.
func ReadFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := Open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, Classify(err, "reading", name)
	}
	if int64(len(data)) > limit {
		return nil, fault.New(fault.Limit, "%q is longer than %d bytes", name, limit).With("path", name).With("limit", limit)
	}
	return data, nil
}

// Rename moves a file within root, replacing a regular file of the new name, and syncs both folders. On Windows it
// keeps trying for about three seconds while a scanner or indexer holds one of the files open.
func Rename(root *os.Root, oldName, newName string) error {
	if err := CheckNoLinks(root, path.Dir(newName)); err != nil {
		return err
	}
	if err := retry(time.Sleep, func() error { return root.Rename(oldName, newName) }); err != nil {
		return Classify(err, fmt.Sprintf("renaming %q to", oldName), newName)
	}
	return syncBoth(root, oldName, newName)
}

// RenameDir moves a folder within root to a name that is free (E-EXISTS otherwise), with Rename's patience, and syncs
// both parent folders. What lies in the folder must have been synced by whoever wrote it.
func RenameDir(root *os.Root, oldName, newName string) error {
	if err := CheckNoLinks(root, oldName); err != nil {
		return err
	}
	if err := CheckNoLinks(root, path.Dir(newName)); err != nil {
		return err
	}
	if _, err := root.Lstat(newName); err == nil { // rename(2) would replace an empty folder
		return fault.New(fault.Exists, "%q is already there", newName).With("path", newName)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Classify(err, "looking at", newName)
	}
	fi, err := root.Lstat(oldName)
	if err != nil {
		return Classify(err, "looking at", oldName)
	}
	if !fi.IsDir() {
		return fault.New(fault.Path, "%q is a %s, want a folder", oldName, kindOf(fi.Mode())).With("path", oldName)
	}
	if err := retry(time.Sleep, func() error { return root.Rename(oldName, newName) }); err != nil {
		return Classify(err, fmt.Sprintf("renaming %q to", oldName), newName)
	}
	return syncBoth(root, oldName, newName)
}

func syncBoth(root *os.Root, oldName, newName string) error {
	if err := SyncDir(root, path.Dir(newName)); err != nil {
		return err
	}
	if path.Dir(oldName) == path.Dir(newName) {
		return nil
	}
	return SyncDir(root, path.Dir(oldName))
}

// SyncDir makes the names in a folder durable. On Windows there is no such call: NTFS journals names itself.
func SyncDir(root *os.Root, name string) error {
	if !dirSyncs {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return Classify(err, "opening folder", name)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !unsupported(err) {
		return Classify(err, "syncing folder", name)
	}
	return nil
}

// MkdirAll makes a folder and its parents and syncs each folder in which one appeared. Links on the way are refused.
func MkdirAll(root *os.Root, name string, perm fs.FileMode) error {
	name = path.Clean(name)
	if name == "." {
		return nil
	}
	if err := CheckNoLinks(root, name); err != nil {
		return err
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		p := path.Join(parts[:i+1]...)
		err := root.Mkdir(p, perm)
		if errors.Is(err, fs.ErrExist) {
			fi, serr := root.Lstat(p)
			if serr != nil {
				return Classify(serr, "looking at", p)
			}
			if !fi.IsDir() {
				return fault.New(fault.Path, "%q is a %s, want a folder", p, kindOf(fi.Mode())).With("path", p)
			}
			continue
		}
		if err != nil {
			return Classify(err, "making folder", p)
		}
		if err := SyncDir(root, path.Dir(p)); err != nil {
			return err
		}
	}
	return nil
}

// RemoveAll removes a file or a folder with everything in it, read-only folders included; links are removed, never
// followed. A name that does not exist is no error; root itself ("." or "") is refused.
func RemoveAll(root *os.Root, name string) error {
	clean := path.Clean(name)
	if name == "" || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") || path.IsAbs(clean) {
		return fault.New(fault.Path, "will not remove %q, want a name below the root", name).With("path", name)
	}
	if err := CheckNoLinks(root, path.Dir(clean)); err != nil {
		return err
	}
	err := retry(time.Sleep, func() error { return root.RemoveAll(clean) })
	if errors.Is(err, fs.ErrPermission) {
		openUp(root, clean)
		err = retry(time.Sleep, func() error { return root.RemoveAll(clean) })
	}
	if err != nil {
		return Classify(err, "removing", clean)
	}
	err = SyncDir(root, path.Dir(clean))
	if errors.Is(err, fs.ErrNotExist) { // the parent is not there either
		return nil
	}
	return err
}

// openUp gives the owner write access to every folder of a tree, so that its entries can be unlinked.
func openUp(root *os.Root, name string) {
	_ = fs.WalkDir(root.FS(), name, func(p string, d fs.DirEntry, err error) error {
		if d == nil || !d.IsDir() { // entries are not followed: a link is no folder here
			return nil
		}
		if err != nil { // could not be listed, even after the chmod below
			return fs.SkipDir
		}
		_ = root.Chmod(p, 0o700)
		return nil
	})
}

// RemoveTemps removes what interrupted WriteFile calls left in a folder and returns the names. Call it only while
// holding the lock of the root.
func RemoveTemps(root *os.Root, dir string) ([]string, error) {
	if err := CheckNoLinks(root, dir); err != nil {
		return nil, err
	}
	d, err := root.Open(dir)
	if err != nil {
		return nil, Classify(err, "opening folder", dir)
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return nil, Classify(err, "listing folder", dir)
	}
	var removed []string
	for _, e := range entries {
		if !isTemp(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		p := path.Join(dir, e.Name())
		if err := retry(time.Sleep, func() error { return root.Remove(p) }); err != nil {
			return removed, Classify(err, "removing", p)
		}
		removed = append(removed, p)
	}
	return removed, nil
}

func isTemp(base string) bool {
	rest, ok := strings.CutSuffix(base, tempSuffix)
	if !ok || !strings.HasPrefix(rest, tempPrefix) || len(rest) < len(tempPrefix)+1+1+16 {
		return false
	}
	salt := rest[len(rest)-16:]
	_, err := hex.DecodeString(salt)
	return err == nil && rest[len(rest)-17] == '.'
}

// retry repeats op while its error is one that goes away by itself: nine times over about three seconds.
func retry(sleep func(time.Duration), op func() error) error {
	return retryIf(sleep, transient, op)
}

func retryIf(sleep func(time.Duration), again func(error) bool, op func() error) error {
	wait := 6 * time.Millisecond
	for attempt := 0; ; attempt++ {
		err := op()
		if err == nil || attempt == 9 || !again(err) {
			return err
		}
		sleep(wait)
		wait *= 2 // 6 ms … 1.5 s, 3.1 s in all
	}
}

// Classify gives an error of the file system its code: E-SPACE, E-ROOT-READONLY or E-IO. An error that has a code
// keeps it; fs.ErrNotExist and the like stay visible to errors.Is. doing is a gerund, name what it was done to.
func Classify(err error, doing, name string) error {
	var coded *fault.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	switch {
	case noSpace(err):
		return fault.New(fault.Space, "%s %q: %w", doing, name, err).With("path", name)
	case readOnly(err):
		return fault.New(fault.RootReadonly, "%s %q: %w", doing, name, err).With("path", name).With("account", Account())
	case transient(err):
		return fault.New(fault.IO, "%s %q: another program, often a virus scanner, holds it open: %w", doing, name, err).
			With("path", name).With("held_open", true)
	}
	return fault.New(fault.IO, "%s %q: %w", doing, name, err).With("path", name)
}
