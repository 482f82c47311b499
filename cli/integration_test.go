package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// integrationBlock is the one block of that language in docs/integration.md.
func integrationBlock(t *testing.T, lang string) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "integration.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("%d %s blocks in docs/integration.md, want 1", len(found), lang)
	}
	return found[0][1]
}

// botRoots are machines on which the examples must end in these ways.
func botRoots(t *testing.T) map[string]struct{ root, says string } {
	t.Helper()
	site, err := siteUpTo("live")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	roots := map[string]struct{ root, says string }{"open": {filepath.Join(site, "root"), "OEM models verified; fallback is disabled"}, "empty": {filepath.Join(work, "empty"), "MissingOEMBundle"}}
	for name, c := range map[string]struct {
		says   string
		damage func(root string)
	}{
		"untrusted": {"InvalidOEMSignature", func(root string) { oemRemove(t, filepath.Join(root, "ai_models/keys/oem")) }},
		"model": {"E-INSTALLED-CHANGED", func(root string) {
			oemFlip(t, filepath.Join(root, "ai_models/bundles/v1_0_0/artifacts/models/volatility-trees.onnx"))
		}},
		"off": {"E-NOT-LIVE", func(root string) { oemWrite(t, filepath.Join(root, "ai_models/live.off"), "{}") }},
	} {
		root := filepath.Join(work, name)
		if err := copyTree(root, filepath.Join(site, "root")); err != nil {
			t.Fatal(err)
		}
		c.damage(root)
		roots[name] = struct{ root, says string }{root, c.says}
	}
	return roots
}

func oemWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// botEnds runs an example on each of the machines. Only the open one may end well.
func botEnds(t *testing.T, command func(root string) *exec.Cmd) {
	for name, c := range botRoots(t) {
		t.Run(name, func(t *testing.T) {
			cmd := command(c.root)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (name == "open") || !strings.Contains(string(out), c.says) {
				t.Errorf("%v, want %q:\n%s", err, c.says, out)
			}
		})
	}
}

func TestIntegrationGo(t *testing.T) {
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	oemWrite(t, filepath.Join(dir, "main.go"), string(integrationBlock(t, "go")))
	oemWrite(t, filepath.Join(dir, "go.mod"), "module example.org/bot\n\ngo 1.26\n\nrequire sluice v0.0.0\n\nreplace sluice => "+filepath.ToSlash(source)+"\n")
	sum, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	oemWrite(t, filepath.Join(dir, "go.sum"), string(sum))
	bot := filepath.Join(dir, "bot.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bot, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	botEnds(t, func(root string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), bot)
		cmd.Env = append(os.Environ(), "SLUICE_ROOT="+root)
		return cmd
	})
}

func TestIntegrationPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is missing: bash scripts/setup-debian.sh installs it")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bot := filepath.Join(dir, "bot.py")
	oemWrite(t, bot, string(integrationBlock(t, "python")))
	if err := os.Symlink(bin, filepath.Join(dir, "sluice")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	botEnds(t, func(root string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), python, bot)
		cmd.Env = append(os.Environ(), "SLUICE_ROOT="+root, "BOT_CORE_REQUIRE_OEM_MODELS=1", "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		return cmd
	})
}
