package fsx

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/internal/fault"
)

func open(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// A file where the folder should be is named with the account that cannot use it.
func TestWritableProbeOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := WritableProbe(name)
	want(t, err, fault.RootReadonly)
	if d := fault.DetailOf(err); d["path"] != name || d["account"] == nil {
		t.Errorf("detail %v, want path and account", d)
	}
}

func want(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has code %s, want %s", err, fault.CodeOf(err), code)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func symlink(t *testing.T, old, new string) {
	t.Helper()
	if err := os.Symlink(old, new); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

func TestWriteFileReplaces(t *testing.T) {
	root, dir := open(t)
	for _, content := range []string{"first", "", "a longer third"} {
		if err := WriteFile(root, "x.json", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(root, "x.json", 100)
		if err != nil || string(got) != content {
			t.Fatalf("read %q, %v, want %q", got, err, content)
		}
	}
	if got := names(t, dir); got != "x.json" {
		t.Errorf("folder holds %q, want only x.json", got)
	}
	if err := WriteFile(root, "none/x.json", nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("writing into a missing folder gave %v, want fs.ErrNotExist", err)
	}
}

func TestWriteFromKeepsTheOldFileWhenTheSourceFailsOrIsTooLong(t *testing.T) {
	root, dir := open(t)
	if err := WriteFile(root, "x", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := WriteFrom(root, "x", strings.NewReader("too long"), 5, 0o600)
	want(t, err, fault.Limit)
	broken := errors.New("stick pulled")
	_, err = WriteFrom(root, "x", errReader{broken}, 5, 0o600)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if n, err := WriteFrom(root, "y", strings.NewReader("exact"), 5, 0o600); err != nil || n != 5 {
		t.Errorf("content of exactly the limit: %d, %v", n, err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "x")); string(got) != "old" {
		t.Errorf("x holds %q, want the old content", got)
	}
	if got := names(t, dir); got != "x y" {
		t.Errorf("folder holds %q, want x y", got)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestLinksAreNotFollowed(t *testing.T) {
	root, dir := open(t)
	if err := os.MkdirAll(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "real", "f"), []byte("keep"), 0o644); err != nil {
		t.Fatal(err)
	}
	symlink(t, "real", filepath.Join(dir, "dirlink"))
	symlink(t, filepath.Join("real", "f"), filepath.Join(dir, "filelink"))

	want(t, WriteFile(root, "dirlink/f", nil, 0o644), fault.Path)
	want(t, WriteFile(root, "filelink", nil, 0o644), fault.Path)
	want(t, MkdirAll(root, "dirlink/new", 0o755), fault.Path)
	want(t, RenameDir(root, "dirlink", "moved"), fault.Path)
	want(t, RemoveAll(root, "dirlink/f"), fault.Path)
	for _, name := range []string{"dirlink/f", "filelink"} {
		_, err := ReadFile(root, name, 10)
		want(t, err, fault.Path)
	}
	_, err := RemoveTemps(root, "dirlink")
	want(t, err, fault.Path)
	want(t, WriteFile(root, "real", nil, 0o644), fault.Path) // a folder

	if err := RemoveAll(root, "dirlink"); err != nil { // the link goes, what it points at stays
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "real", "f")); string(got) != "keep" {
		t.Errorf("the link's target holds %q, want it untouched", got)
	}
}

func TestReadFileLimits(t *testing.T) {
	root, _ := open(t)
	if err := WriteFile(root, "x", []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(root, "x", 5); err != nil || string(got) != "12345" {
		t.Errorf("at the limit: %q, %v", got, err)
	}
	_, err := ReadFile(root, "x", 4)
	want(t, err, fault.Limit)
	if _, err = ReadFile(root, "none", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	_, err = ReadFile(root, ".", 4)
	want(t, err, fault.Path)
}

func TestRenameDir(t *testing.T) {
	root, dir := open(t)
	if err := MkdirAll(root, "a/b/c", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(root, "a/b/c", 0o755); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := MkdirAll(root, "taken", 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, RenameDir(root, "a/b", "taken"), fault.Exists)
	if err := WriteFile(root, "file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, RenameDir(root, "file", "new"), fault.Path)
	want(t, MkdirAll(root, "file", 0o755), fault.Path)
	want(t, MkdirAll(root, "file/x", 0o755), fault.Path)
	if err := RenameDir(root, "none", "new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if err := RenameDir(root, "a/b", "taken/b"); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "taken", "b", "c")); err != nil || !fi.IsDir() {
		t.Errorf("taken/b/c: %v", err)
	}
}

func TestRemoveAllOfReadOnlyFolders(t *testing.T) {
	root, dir := open(t)
	if err := MkdirAll(root, "v/artifacts/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(root, "v/artifacts/deep/f", []byte("x"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"v/artifacts/deep", "v/artifacts", "v"} {
		if err := os.Chmod(filepath.Join(dir, d), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 && runtime.GOOS == "linux" {
		// The superuser may do it anyway; run the part that matters on its own.
		openUp(root, "v")
		if fi, _ := os.Stat(filepath.Join(dir, "v", "artifacts", "deep")); fi.Mode().Perm() != 0o700 {
			t.Errorf("openUp left mode %v, want 0700", fi.Mode())
		}
	}
	if err := RemoveAll(root, "v"); err != nil {
		t.Fatal(err)
	}
	if err := RemoveAll(root, "v"); err != nil {
		t.Errorf("a missing name: %v", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left: %q", got)
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/../..", "a/..", "/etc"} {
		want(t, RemoveAll(root, bad), fault.Path)
	}
}

func TestRemoveTempsTakesOnlyItsOwn(t *testing.T) {
	root, dir := open(t)
	keep := []string{".~x.tmp", ".~x.0123456789abcdeX.tmp", "x.0123456789abcdef.tmp", ".~.json", "a"}
	for _, n := range append(keep, ".~state.json.0123456789abcdef.tmp") {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := RemoveTemps(root, ".")
	if err != nil || strings.Join(removed, " ") != ".~state.json.0123456789abcdef.tmp" {
		t.Errorf("removed %q, %v", removed, err)
	}
	if got := len(strings.Fields(names(t, dir))); got != len(keep) {
		t.Errorf("%d files left, want %d", got, len(keep))
	}
}

// Threat 20: a scanner holds a file open at rename.
func TestRetryOutlastsAScannerAndThenGivesUp(t *testing.T) {
	busy, other := errors.New("sharing violation"), errors.New("other")
	again := func(err error) bool { return errors.Is(err, busy) }
	var slept time.Duration
	sleep := func(d time.Duration) { slept += d }

	calls := 0
	err := retryIf(sleep, again, func() error {
		if calls++; calls < 5 {
			return busy
		}
		return nil
	})
	if err != nil || calls != 5 {
		t.Errorf("after %d calls: %v, want success at the fifth", calls, err)
	}
	calls, slept = 0, 0
	err = retryIf(sleep, again, func() error { calls++; return busy })
	if !errors.Is(err, busy) || calls != 10 || slept < 2*time.Second || slept > 5*time.Second {
		t.Errorf("gave up after %d calls and %v with %v, want 10 calls, about 3 s, the error", calls, slept, err)
	}
	calls = 0
	if err = retryIf(sleep, again, func() error { calls++; return other }); !errors.Is(err, other) || calls != 1 {
		t.Errorf("another error was tried %d times: %v", calls, err)
	}
}

func TestLockNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	l, err := Lock(path, "install by anna\nand more")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(path, "second")
	want(t, err, fault.Locked)
	d := fault.DetailOf(err)
	if d["holder"] != "install by anna and more" || d["pid"] != os.Getpid() {
		t.Errorf("detail %v, want the holder and pid %d", d, os.Getpid())
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if name, pid := Holder(path); name != "" || pid != 0 {
		t.Errorf("after unlocking the holder is %q, %d", name, pid)
	}
	l, err = Lock(path, "third")
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	if name, _ := Holder(path); name != "third" {
		t.Errorf("holder %q, want third", name)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	for _, junk := range []string{"", "anna", "-3 anna", "x y", strings.Repeat("1", 2000)} {
		if err := os.WriteFile(path+holderSuffix, []byte(junk), 0o644); err != nil {
			t.Fatal(err)
		}
		if name, pid := Holder(path); name != "" || pid != 0 {
			t.Errorf("holder file %.10q gave %q, %d, want nothing", junk, name, pid)
		}
	}
}

func TestLockRefusesALinkAndAFolder(t *testing.T) {
	dir := t.TempDir()
	want(t, func() error { _, err := Lock(dir, "x"); return err }(), fault.Path)
	symlink(t, filepath.Join(dir, "elsewhere"), filepath.Join(dir, ".lock"))
	want(t, func() error { _, err := Lock(filepath.Join(dir, ".lock"), "x"); return err }(), fault.Path)
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("the link was followed")
	}
}

// Threats 19 and 31: the lock of a killed process is free at once, and its name is still there to be told.
func TestLockOfAKilledProcessIsFree(t *testing.T) {
	if path := os.Getenv("FSX_TEST_LOCK"); path != "" {
		if _, err := Lock(path, "the child"); err != nil {
			os.Exit(3)
		}
		os.Stdout.WriteString("locked\n")
		time.Sleep(time.Minute)
	}
	path := filepath.Join(t.TempDir(), ".lock")
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockOfAKilledProcessIsFree$")
	cmd.Env = append(os.Environ(), "FSX_TEST_LOCK="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	_, err = Lock(path, "parent")
	want(t, err, fault.Locked)
	if d := fault.DetailOf(err); d["holder"] != "the child" || d["pid"] != cmd.Process.Pid {
		t.Errorf("detail %v, want the child's", d)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	l, err := Lock(path, "parent")
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestVolume(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "not", "yet")
	free, err := FreeBytes(missing)
	if err != nil || free <= 0 {
		t.Errorf("free bytes %d, %v", free, err)
	}
	if err := CheckSpace(missing, 1); err != nil {
		t.Error(err)
	}
	err = CheckSpace(missing, 1<<62)
	want(t, err, fault.Space)
	if d := fault.DetailOf(err); d["need"] != int64(1<<62) || d["free"] == nil {
		t.Errorf("detail %v, want need and free", d)
	}
	k, err := FSKind(missing)
	if err != nil || k.Name == "" || k.Refused {
		t.Errorf("kind %+v, %v", k, err)
	}
	if err := CheckFS(missing); err != nil {
		t.Error(err)
	}
	if err := WritableProbe(missing); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("the probe left %q", got)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, WritableProbe(file), fault.RootReadonly)
}

func TestRefusedKinds(t *testing.T) {
	for _, name := range []string{"vfat", "msdos", "exfat", "fat32", "nfs", "nfs4", "cifs", "smb2", "smb3", "fuse.sshfs", "9p", "network", "iso9660"} {
		if k := kindNamed(name); !k.Refused || k.Reason == "" {
			t.Errorf("%q is not refused with a reason", name)
		}
	}
	for _, name := range []string{"ext4", "xfs", "btrfs", "zfs", "ntfs", "refs", "apfs", "hfs", "tmpfs", "overlay", "fuseblk", "unknown (0x1)"} {
		if k := kindNamed(name); k.Refused {
			t.Errorf("%q is refused", name)
		}
	}
	if got := RefusedKinds(); len(got) != len(refused) {
		t.Errorf("%d kinds listed, want %d", len(got), len(refused))
	}
}

func TestClassifyKeepsCodes(t *testing.T) {
	coded := fault.New(fault.Digest, "x")
	if got := Classify(coded, "reading", "y"); got != error(coded) {
		t.Errorf("got %v, want the error as it was", got)
	}
	if Classify(nil, "reading", "y") != nil {
		t.Error("nil became an error")
	}
	want(t, Classify(fs.ErrNotExist, "reading", "y"), fault.IO)
}

func TestWriteFromLarge(t *testing.T) {
	root, _ := open(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if n, err := WriteFrom(root, "big", bytes.NewReader(data), 1<<30, 0o644); err != nil || n != int64(len(data)) {
		t.Fatalf("%d, %v", n, err)
	}
	got, err := ReadFile(root, "big", 1<<30)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back %d bytes, %v", len(got), err)
	}
}
