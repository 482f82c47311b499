package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"sluice/internal/fault"
)

// holderSuffix is added to a lock's name for the file that names its holder. The lock file itself stays empty:
// on Windows a locked file cannot be read by others.
const holderSuffix = ".holder"

// maxHolder limits what is read from a holder file.
const maxHolder = 1024

// Held is an OS lock that ends with the process, however that ends.
type Held struct {
	f      *flock.Flock
	holder string
}

// Lock locks the file at path, making it if need be, without waiting. holder says who works on what ("install by
// anna") and is written beside it together with the process id. E-LOCKED carries "holder" and "pid" of the other.
func Lock(path, holder string) (*Held, error) {
	if err := plainOrAbsent(path); err != nil {
		return nil, err
	}
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(0o660))
	got, err := f.TryLock()
	if err != nil {
		return nil, Classify(err, "locking", path)
	}
	if !got {
		name, pid := Holder(path)
		if name == "" {
			name = "unknown"
		}
		return nil, fault.New(fault.Locked, "%q is locked by %q (process %d)", path, name, pid).
			With("path", path).With("holder", name).With("pid", pid)
	}
	l := &Held{f: f, holder: path + holderSuffix}
	if err := l.sign(holder); err != nil {
		_ = f.Unlock()
		return nil, err
	}
	return l, nil
}

// sign replaces the holder file. It needs no durability: after a power cut nobody holds the lock.
func (l *Held) sign(holder string) error {
	if err := os.Remove(l.holder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Classify(err, "removing", l.holder)
	}
	f, err := os.OpenFile(l.holder, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return Classify(err, "writing", l.holder)
	}
	text := fmt.Sprintf("%d %s\n", os.Getpid(), strings.ToValidUTF8(oneLine(holder), "?"))
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Classify(err, "writing", l.holder)
	}
	return nil
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// Unlock gives the lock back. The lock file stays: removing it would let two processes lock two files of one name.
func (l *Held) Unlock() error {
	_ = os.Remove(l.holder)
	if err := l.f.Unlock(); err != nil {
		return Classify(err, "unlocking", l.f.Path())
	}
	return nil
}

// Holder reads who holds, or last held and never gave back, the lock at path: a hint for people. Empty and 0 when
// nobody says so.
func Holder(path string) (name string, pid int) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return "", 0
	}
	defer root.Close()
	raw, err := ReadFile(root, filepath.Base(path)+holderSuffix, maxHolder)
	if err != nil {
		return "", 0
	}
	id, rest, ok := strings.Cut(strings.TrimSuffix(string(raw), "\n"), " ")
	pid, err = strconv.Atoi(id)
	if !ok || err != nil || pid < 0 {
		return "", 0
	}
	return oneLine(strings.ToValidUTF8(rest, "?")), pid
}

func plainOrAbsent(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return Classify(err, "looking at", path)
	case !fi.Mode().IsRegular():
		return notRegular(path, fi.Mode())
	}
	return nil
}
