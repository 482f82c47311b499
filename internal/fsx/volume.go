package fsx

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"

	"sluice/internal/fault"
)

// Kind is what a file system is, and whether a root may lie on it.
type Kind struct {
	Name    string `json:"name"`             // "ext4", "ntfs", "vfat", "nfs", …; "unknown" with the number where the system gives no name
	Refused bool   `json:"refused"`          // a root may not lie here
	Reason  string `json:"reason,omitempty"` // why it is refused
}

// Reasons for refusing. FAT keeps neither permissions nor an atomic rename over an existing name; on a network drive
// another machine may hold the truth, and locks and syncs may be promises only.
const (
	reasonFAT     = "FAT keeps no permissions and cannot replace a file atomically"
	reasonNetwork = "a network drive can vanish, and its locks and syncs are not reliable"
	reasonMedium  = "a medium that can only be read"
	reasonShared  = "a folder shared from another system, whose locks and syncs are not reliable"
)

// refused lists file systems on which no root may lie, by the names that Linux, macOS and Windows use in lower case.
var refused = map[string]string{
	"vfat": reasonFAT, "msdos": reasonFAT, "fat": reasonFAT, "fat12": reasonFAT, "fat16": reasonFAT, "fat32": reasonFAT,
	"exfat": reasonFAT, "fuse.exfat": reasonFAT, "fuse.exfat-fuse": reasonFAT, "fuse.fusefat": reasonFAT, "umsdos": reasonFAT,

	"nfs": reasonNetwork, "nfs4": reasonNetwork, "cifs": reasonNetwork, "smb": reasonNetwork, "smb2": reasonNetwork,
	"smb3": reasonNetwork, "smbfs": reasonNetwork, "ncpfs": reasonNetwork, "ncp": reasonNetwork, "afs": reasonNetwork,
	"afpfs": reasonNetwork, "webdav": reasonNetwork, "coda": reasonNetwork, "ceph": reasonNetwork, "lustre": reasonNetwork,
	"orangefs": reasonNetwork, "network": reasonNetwork, "fuse.sshfs": reasonNetwork, "fuse.glusterfs": reasonNetwork,
	"fuse.davfs": reasonNetwork, "davfs": reasonNetwork, "fuse.s3fs": reasonNetwork, "fuse.rclone": reasonNetwork,
	"fuse.ceph": reasonNetwork, "fuse.curlftpfs": reasonNetwork, "fuse.smbnetfs": reasonNetwork, "fuse.gvfsd-fuse": reasonNetwork,

	"vboxsf": reasonShared, "fuse.vmhgfs-fuse": reasonShared, "vmhgfs": reasonShared, "9p": reasonShared, "prl_fs": reasonShared,

	"iso9660": reasonMedium, "cd9660": reasonMedium, "udf": reasonMedium, "cdfs": reasonMedium, "squashfs": reasonMedium,
	"erofs": reasonMedium, "cramfs": reasonMedium, "romfs": reasonMedium,
}

func kindNamed(name string) Kind {
	reason, bad := refused[name]
	return Kind{Name: name, Refused: bad, Reason: reason}
}

// RefusedKinds lists the names of file systems on which no root may lie, sorted.
func RefusedKinds() []string {
	out := make([]string, 0, len(refused))
	for k := range refused {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// FSKind tells the file system that holds path or, while path does not exist, its nearest existing parent.
func FSKind(path string) (Kind, error) {
	at, err := existing(path)
	if err != nil {
		return Kind{}, err
	}
	k, err := fsKind(at)
	if err != nil {
		return Kind{}, Classify(err, "asking for the file system of", at)
	}
	return k, nil
}

// CheckFS refuses a root (E-ROOT-FILESYSTEM) on FAT, a network drive or a medium that can only be read.
func CheckFS(path string) error {
	k, err := FSKind(path)
	if err != nil {
		return err
	}
	if k.Refused {
		return fault.New(fault.RootFilesystem, "%q lies on file system %q: %s", path, k.Name, k.Reason).
			With("path", path).With("filesystem", k.Name).With("reason", k.Reason)
	}
	return nil
}

// FreeBytes is how many bytes this account may still write at path or, while it does not exist, at its nearest
// existing parent. Quotas are included where the system includes them.
func FreeBytes(path string) (int64, error) {
	at, err := existing(path)
	if err != nil {
		return 0, err
	}
	n, err := freeBytes(at)
	if err != nil {
		return 0, Classify(err, "asking for the free space of", at)
	}
	return n, nil
}

// CheckSpace refuses (E-SPACE with "need" and "free") when fewer than need bytes are free at path.
func CheckSpace(path string, need int64) error {
	free, err := FreeBytes(path)
	if err != nil {
		return err
	}
	if free < need {
		return fault.New(fault.Space, "%q has %d bytes free, want %d", path, free, need).
			With("path", path).With("need", need).With("free", free)
	}
	return nil
}

// WritableProbe tries to make, write, sync, rename and remove a file in the folder path or, while it does not exist, in
// its nearest existing parent. E-ROOT-READONLY carries "path" (also as "folder") and "account".
func WritableProbe(path string) error {
	at, err := existing(path)
	if err != nil {
		return err
	}
	fi, err := os.Stat(at)
	if err != nil {
		return Classify(err, "looking at", at)
	}
	if !fi.IsDir() {
		return fault.New(fault.RootReadonly, "%q is a %s, want a folder", at, kindOf(fi.Mode())).
			With("folder", at).With("path", at).With("account", Account())
	}
	if err := probe(at); err != nil {
		if noSpace(err) {
			return fault.New(fault.Space, "writing a trial file into %q: %w", at, err).With("path", at)
		}
		return fault.New(fault.RootReadonly, "account %q cannot write into %q: %w", Account(), at, err).
			With("folder", at).With("path", at).With("account", Account())
	}
	return nil
}

func probe(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	first := tempPrefix + "probe." + hex.EncodeToString(salt[:]) + tempSuffix
	second := tempPrefix + "probe2." + hex.EncodeToString(salt[:]) + tempSuffix
	f, err := root.OpenFile(first, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(first); _ = root.Remove(second) }()
	_, err = f.Write(make([]byte, 4096))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := Rename(root, first, second); err != nil {
		return err
	}
	return root.Remove(second)
}

// Account names the account this process runs as, for messages.
func Account() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if id := os.Getuid(); id >= 0 {
		return fmt.Sprintf("uid %d", id)
	}
	return "unknown"
}

// existing walks up from path to the nearest name that exists.
func existing(path string) (string, error) {
	p, err := filepath.Abs(path)
	if err != nil {
		return "", fault.New(fault.IO, "finding %q: %w", path, err)
	}
	for {
		_, err := os.Stat(p)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", Classify(err, "looking at", p)
		}
		parent := filepath.Dir(p)
		if parent == p {
			return "", fault.New(fault.IO, "no part of %q exists", path).With("path", path)
		}
		p = parent
	}
}
