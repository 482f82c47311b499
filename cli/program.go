package cli

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/fault"
	"sluice/verify"
)

func (a *app) versionVerbs() []*cobra.Command {
	return []*cobra.Command{a.verb("version", "version", cobra.NoArgs, nil, func(ctx context.Context, _ []string) (result, error) { return a.versions(ctx) })}
}

// versions says which program this is, and which one is installed.
func (a *app) versions(ctx context.Context) (result, error) {
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	p, err := in.Programs(ctx)
	if p == nil {
		return nil, err
	}
	r := &versionResult{Version: p.Running.Version, Built: p.Running.Built, SHA384: p.Running.SHA384, Path: p.Running.Path, Installed: p.Installed, Relation: p.Relation}
	if err != nil { // which program this is does not depend on an installation that is damaged
		r.Problem = &installer.Problem{Code: fault.CodeOf(err), Message: err.Error()}
	}
	return r, nil
}

type versionResult struct {
	Version   string                 `json:"version"`
	Built     string                 `json:"built,omitempty"`
	SHA384    bundle.Digest          `json:"sha384"`
	Path      string                 `json:"path"`
	Installed *installer.ProgramInfo `json:"installed,omitempty"`
	Relation  string                 `json:"relation"` // of this program to the installed one: same, older, newer, other, none
	Problem   *installer.Problem     `json:"problem,omitempty"`
}

func (r *versionResult) text(p *printer) {
	p.line("sluice %s", r.Version)
	p.field(p.t("program.built"), r.Built)
	p.field("SHA-384", r.SHA384.String())
	if r.Installed != nil {
		p.field(p.t("program.installed"), r.Installed.Path)
		p.field("", firstOr(r.Installed.Version, "?")+" "+r.Installed.SHA384.String())
		p.relation(r.Relation, r.Version, r.Installed.Version)
	}
	if r.Problem != nil {
		p.line("%s %s %s", p.mark("bad"), r.Problem.Code, clean(r.Problem.Message))
	}
}

// relation says in words how a program stands to the installed one.
func (p *printer) relation(relation, this, installed string) {
	mark := p.mark("warn")
	if relation == installer.ProgramSame {
		mark = p.mark("ok")
	}
	if relation != installer.ProgramNone {
		p.line("%s %s", mark, p.t("program."+relation, "this", clean(firstOr(this, "?")), "installed", clean(firstOr(installed, "?"))))
	}
}

// verifyProgram checks a program file; statement empty: programs.sig beside it, when it is there.
func (a *app) verifyProgram(ctx context.Context, path, statement string) (result, error) {
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	var raw []byte
	if statement == "" {
		beside := filepath.Join(filepath.Dir(path), verify.ProgramStatementFile)
		if _, err := os.Lstat(beside); err == nil {
			statement = beside
		}
	}
	if statement != "" {
		if raw, err = readLimited(statement, verify.MaxProgramStatement); err != nil {
			return nil, err
		}
	}
	c, err := in.VerifyProgram(ctx, path, raw)
	if c != nil && raw != nil {
		c.Statement = statement
	}
	if err != nil {
		if c != nil {
			err = &foundError{err, c}
		}
		return nil, err
	}
	return &programResult{c}, nil
}

type programResult struct{ *installer.ProgramCheck }

func (r *programResult) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.bold(p.t("program.good", "path", clean(r.Path))))
	p.field("SHA-384", r.SHA384.String())
	if r.Signed {
		p.field(p.t("program.signed"), clean(r.Version)+" "+r.Built)
	}
	for _, s := range r.Signers {
		p.field(p.t("verify.signer"), s)
	}
	if r.Relation != installer.ProgramNone {
		p.line("  %s", p.t("program.stick-"+r.Relation))
	}
	if r.Self {
		p.line("%s %s", p.mark("warn"), p.t("program.self"))
	}
}

// signPrograms makes the statement about a release's programs.
func (a *app) signPrograms(paths []string, version, out string, k *keyFlags) (result, error) {
	if out == "" {
		return nil, usage("sign --program wants --out FILE, usually %s beside the programs", verify.ProgramStatementFile)
	}
	keys, err := k.load(a)
	if err != nil {
		return nil, err
	}
	var subjects []bundle.Subject
	for _, path := range paths {
		s, err := subjectOf(path)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	about := verify.ProgramPredicate{Version: firstOr(version, a.env.Version)}
	if !a.env.Built.IsZero() && version == "" {
		about.Built = a.env.Built.UTC().Format(time.RFC3339)
	}
	raw, err := verify.SignPrograms(subjects, about, keys...)
	if err != nil {
		return nil, err
	}
	if err := writeNew(out, raw, 0o644); err != nil {
		return nil, err
	}
	r := &programsSigned{Path: out, Version: about.Version, Built: about.Built, Programs: map[string]string{}}
	for _, s := range subjects {
		r.Programs[s.Name] = s.SHA384.String()
	}
	return r, nil
}

func subjectOf(path string) (bundle.Subject, error) {
	f, err := os.Open(path)
	if err != nil {
		return bundle.Subject{}, ioFault(err, path)
	}
	defer f.Close()
	small, large := sha256.New(), sha512.New384()
	if _, err := io.Copy(io.MultiWriter(small, large), f); err != nil {
		return bundle.Subject{}, ioFault(err, path)
	}
	return bundle.Subject{Name: filepath.Base(path), SHA256: bundle.Digest256(small.Sum(nil)), SHA384: bundle.Digest(large.Sum(nil))}, nil
}

type programsSigned struct {
	Path     string            `json:"path"`
	Version  string            `json:"version"`
	Built    string            `json:"built,omitempty"`
	Programs map[string]string `json:"programs"` // name -> SHA-384
}

func (r *programsSigned) text(p *printer) {
	p.line("%s %s", p.mark("ok"), p.t("program.statement", "path", r.Path, "version", r.Version))
	for name, digest := range r.Programs {
		p.field(clean(name), digest)
	}
}
