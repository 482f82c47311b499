// Package oemrepo tries the template repository of docs/oem-repository: a release by tag push, its guards, its log.
package oemrepo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"sluice/assets"
)

const template = "../../docs/oem-repository"

// shell is a repository in which commands run as on a release engineer's machine.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

func (s *shell) try(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *shell) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// fails runs what must fail and say why.
func (s *shell) fails(why, name string, args ...string) {
	s.t.Helper()
	if out, err := s.try(name, args...); err == nil || !strings.Contains(out, why) {
		s.t.Errorf("%s %s: %v, want a failure that says %q:\n%s", name, strings.Join(args, " "), err, why, out)
	}
}

func (s *shell) with(env ...string) *shell {
	return &shell{s.t, s.dir, append(append([]string(nil), s.env...), env...)}
}

func (s *shell) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shell) read(name string) string {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

// repository is the template with the demo model in models/, committed, with a bare one to push to, and the program.
func repository(t *testing.T) *shell {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the release scripts are written for a POSIX shell")
	}
	for _, tool := range []string{"git", "zstd", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: bash scripts/setup-debian.sh installs it", tool)
		}
	}
	work := t.TempDir()
	program := filepath.Join(work, "sluice")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "sluice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	s := &shell{t, filepath.Join(work, "repo"), append(os.Environ(), "SLUICE="+program, "BOT_CORE_REQUIRE_OEM_MODELS=",
		"SLUICE_ROOT=", "LC_ALL=C", "HOME="+work, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Release", "GIT_AUTHOR_EMAIL=release@example.org",
		"GIT_COMMITTER_NAME=Release", "GIT_COMMITTER_EMAIL=release@example.org")}
	if err := os.CopyFS(s.dir, os.DirFS(template)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "audit", "decision_logs", "demo.jsonl")); err != nil { // the example, of another key
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "machine", "machine.pub")); err != nil {
		t.Fatal(err)
	}
	demo, err := os.MkdirTemp(work, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(demo, assets.Demo()); err != nil {
		t.Fatal(err)
	}
	s.run("cp", "-r", demo+"/.", "models/")
	s.run(program, "keys", "generate", "--out", "keys", "--name", "oem_model_signing", "--no-passphrase")
	s.run("cp", "keys/oem_model_signing.pub", "ai_models/keys/")
	s.run("chmod", "+x", "-R", "scripts")
	s.run("git", "init", "--quiet", "--initial-branch=main")
	s.run("git", "init", "--quiet", "--bare", "../origin.git")
	s.run("git", "remote", "add", "origin", "../origin.git")
	s.run("git", "add", ".")
	s.run("git", "commit", "--quiet", "-m", "Begin")
	return s
}

// TestReleaseByTag walks two releases through the very script that the workflow runs, from the tag's push to the bot's guard.
func TestReleaseByTag(t *testing.T) {
	s := repository(t)
	const release, guard = "scripts/models/ci_release.sh", "scripts/models/guard_oem_models.sh"
	secrets := s.with("OEM_MODEL_SIGNING_KEY=" + strings.TrimSpace(s.read("keys/oem_model_signing.key")))

	secrets.fails("wanted: models/vX.Y.Z", release, "v1.0.0", "origin")
	s.fails("OEM_MODEL_SIGNING_KEY", release, "models/v1.0.0", "origin")
	secrets.fails("is not what is checked out", release, "models/v1.0.0", "origin")

	s.run("git", "tag", "models/v1.0.0")
	s.run("git", "push", "--quiet", "origin", "main", "models/v1.0.0")
	t.Log(secrets.run(release, "models/v1.0.0", "origin"))
	secrets.fails("is published already", release, "models/v1.0.0", "origin")

	s.write("models/bundle.yaml", strings.Replace(s.read("models/bundle.yaml"), "\nversion: 1.0.0", "\nversion: 1.1.0", 1))
	secrets.fails("uncommitted changes", release, "models/v1.0.0", "origin")
	s.run("git", "commit", "--quiet", "-am", "Train again")
	s.run("git", "tag", "models/v1.2.0")
	secrets.fails("says version 1.1.0, the release is called 1.2.0", release, "models/v1.2.0", "origin")
	s.run("git", "tag", "models/v1.1.0")

	// The CI has no machine.key but its secret; without it the chain could only be broken.
	machine := filepath.Join(s.dir, "machine", "machine.key")
	key, err := os.ReadFile(machine)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(machine); err != nil {
		t.Fatal(err)
	}
	secrets.fails("can only be continued with the key", release, "models/v1.1.0", "origin")
	if err := os.WriteFile(machine, key, 0o600); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(s.run("base64", "-w0", "machine/machine.key"))
	if err := os.Remove(machine); err != nil {
		t.Fatal(err)
	}
	secrets.with("SLUICE_MACHINE_KEY="+secret).run(release, "models/v1.1.0", "origin")

	// What a bot's repository gets.
	bot := &shell{t, filepath.Join(filepath.Dir(s.dir), "bot"), append(s.env, "BOT_CORE_REQUIRE_OEM_MODELS=1")}
	s.run("git", "clone", "--quiet", "--branch", "release/models", "../origin.git", bot.dir)
	for _, file := range []string{"ai_models/bundles/v1_0_0/market-regime-v1.0.0.tar.zst", "ai_models/bundles/v1_1_0/market-regime-v1.1.0.tar.zst", "ai_models/bundles/latest/market-regime-v1.1.0.tar.zst"} {
		bot.read(file)
	}
	if _, err := os.Stat(filepath.Join(bot.dir, "ai_models/bundles/latest/market-regime-v1.0.0.tar.zst")); err == nil {
		t.Error("latest/ still holds the version before")
	}
	if _, err := os.Stat(filepath.Join(bot.dir, "machine/machine.key")); err == nil {
		t.Error("the log's private key was published")
	}
	program := strings.TrimPrefix(bot.env[indexOf(bot.env, "SLUICE=")], "SLUICE=")
	bot.run(program, "log", "verify", "--root", ".")
	shown := bot.run(program, "log", "show", "--root", ".", "--event", "note", "--json")
	for _, tag := range []string{"models/v1.0.0", "models/v1.1.0"} {
		if !strings.Contains(shown, "released "+tag) {
			t.Errorf("the log has no entry of %s", tag)
		}
	}
	sum := strings.Fields(bot.run("sha384sum", "ai_models/bundles/latest/market-regime-v1.1.0.tar.zst"))[0]
	if !strings.Contains(shown, `"bundle":"`+sum+`"`) {
		t.Errorf("no entry has the digest of the bundle, %s:\n%s", sum, shown)
	}

	bot.run(guard)
	guardInGo(t, bot, "")
	bundle := filepath.Join(bot.dir, "ai_models/bundles/latest/market-regime-v1.1.0.tar.zst")
	raw, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(raw)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(bundle, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	bot.fails("InvalidOEMBundle", guard)
	bot.with("BOT_CORE_REQUIRE_OEM_MODELS=0").fails("InvalidOEMBundle", guard)
	guardInGo(t, bot, "InvalidOEMBundle")
	if err := os.Remove(bundle); err != nil {
		t.Fatal(err)
	}
	bot.fails("MissingOEMBundle", guard)
	guardInGo(t, bot, "MissingOEMBundle")
	if out, err := bot.with("BOT_CORE_REQUIRE_OEM_MODELS=off").try(guard); err != nil || !strings.Contains(out, "WARNING") {
		t.Errorf("models are not mandatory: %v\n%s", err, out)
	}
}

func indexOf(env []string, prefix string) int {
	for i, e := range env {
		if strings.HasPrefix(e, prefix) {
			return i
		}
	}
	return -1
}

// guardInGo runs the repository's Go guard offline against this very source; why is what it must fail with, or empty.
func guardInGo(t *testing.T, bot *shell, why string) {
	t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off"}
	for _, name := range []string{"GOMODCACHE", "GOCACHE"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	goes := bot.with(env...)
	goes.run("cp", filepath.Join(source, "go.sum"), ".")
	goes.run("go", "mod", "edit", "-replace", "sluice="+source)
	if why == "" {
		goes.run("go", "test", "-count=1", "./tests")
		return
	}
	goes.fails(why, "go", "test", "-count=1", "./tests")
}

// TestTemplateLog: the log in the template is a real one, with the digests of a bundle and its manifest.
func TestTemplateLog(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sluice")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "sluice")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	s := &shell{t, filepath.Join(t.TempDir(), "repo"), os.Environ()}
	if err := os.CopyFS(s.dir, os.DirFS(template)); err != nil {
		t.Fatal(err)
	}
	s.run(program, "log", "verify", "--root", ".")
	shown := s.run(program, "log", "show", "--root", ".", "--event", "note", "--json")
	for _, want := range []string{`"bundle":"`, `"manifest.json":"`, "released models/v"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no entry with %s:\n%s", want, shown)
		}
	}
	const log = "audit/decision_logs/demo.jsonl"
	s.write(log, strings.Replace(s.read(log), "released models/v1", "released models/v2", 1))
	s.fails("E-LOG-BROKEN", program, "log", "verify", "--root", ".")
}

// TestWorkflow: both copies are one text, start on the tags of a release, insist on models, and run scripts that exist.
func TestWorkflow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(template, "deploy/ci/github_actions_oem_models.yml"))
	if err != nil {
		t.Fatal(err)
	}
	twin, err := os.ReadFile(filepath.Join(template, ".github/workflows/oem_models.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, twin) {
		t.Error(".github/workflows/oem_models.yml is not the copy of deploy/ci/github_actions_oem_models.yml")
	}
	var w struct {
		On struct {
			Push struct{ Tags []string }
		}
		Env  map[string]string
		Jobs map[string]struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	if len(w.On.Push.Tags) != 1 || w.On.Push.Tags[0] != "models/v*" {
		t.Errorf("starts on %q, want models/v*", w.On.Push.Tags)
	}
	if w.Env["BOT_CORE_REQUIRE_OEM_MODELS"] != "1" {
		t.Error("models are not mandatory in the workflow")
	}
	scripts := 0
	for name, job := range w.Jobs {
		for _, step := range job.Steps {
			for word := range strings.FieldsSeq(step.Run) {
				if !strings.HasPrefix(word, "scripts/") {
					continue
				}
				scripts++
				if _, err := os.Stat(filepath.Join(template, word)); err != nil {
					t.Errorf("job %s: %v", name, err)
				}
			}
		}
	}
	if scripts < 4 {
		t.Errorf("%d scripts in the workflow, want at least 4", scripts)
	}
}
