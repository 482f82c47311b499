package verify

import (
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sluice/bundle"
	"sluice/internal/fault"
)

// ProgramSchema is the only schema of a statement about programs.
const ProgramSchema = "sluice-program/1"

// ProgramStatementFile is where the vendor's statement about programs lies: beside them.
const ProgramStatementFile = "programs.sig"

// MaxProgramStatement is the largest statement about programs in bytes.
const MaxProgramStatement = 64 << 10

// ProgramPredicate is what the vendor says of the programs that are the subjects of its statement (bundle.TypeProgram).
type ProgramPredicate struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`
	Built   string `json:"built,omitempty"` // RFC 3339, UTC
}

// ProgramStatement is such a statement, proven.
type ProgramStatement struct {
	ProgramPredicate
	Signers  []Signer
	subjects []bundle.Subject
}

// Names says whether the statement is about a file with that digest, whatever it is called now.
func (s *ProgramStatement) Names(digest bundle.Digest) bool {
	return slices.ContainsFunc(s.subjects, func(x bundle.Subject) bool { return x.SHA384 == digest })
}

// SignPrograms makes the statement that a release of this program carries. subjects are the program files.
func SignPrograms(subjects []bundle.Subject, p ProgramPredicate, keys ...ed25519.PrivateKey) ([]byte, error) {
	p.Schema = ProgramSchema
	if err := p.check(); err != nil {
		return nil, fault.New(fault.Usage, "signing programs: %w", err)
	}
	raw, err := bundle.CanonicalJSON(p)
	if err != nil {
		return nil, fmt.Errorf("writing the statement about programs: %w", err)
	}
	for i := range subjects {
		subjects[i].Name = filepath.Base(subjects[i].Name)
	}
	return bundle.SignStatement(bundle.Statement{Subjects: subjects, PredicateType: bundle.TypeProgram, Predicate: raw}, keys...)
}

func (p *ProgramPredicate) check() error {
	switch {
	case p.Schema != ProgramSchema:
		return fmt.Errorf("schema %q, want %q", clip(p.Schema), ProgramSchema)
	case p.Version == "" || len(p.Version) > 100:
		return fmt.Errorf("version %q, want 1 to 100 bytes", clip(p.Version))
	}
	if p.Built != "" {
		if _, err := time.Parse(time.RFC3339, p.Built); err != nil {
			return fmt.Errorf("built: %w", err)
		}
	}
	return nil
}

// Programs proves a statement about programs: signed by the threshold of role targets of the newest oem root.
// Errors: E-TRUST-NONE, E-SIGNATURE-*, E-LIMIT.
func (s *Store) Programs(raw []byte) (*ProgramStatement, error) {
	st, keys, err := s.Envelope(Oem, RoleTargets, raw, bundle.TypeProgram, MaxProgramStatement)
	if err != nil {
		return nil, err
	}
	out := &ProgramStatement{subjects: st.Subjects}
	if err := bundle.StrictUnmarshal(st.Predicate, &out.ProgramPredicate, MaxProgramStatement); err != nil {
		return nil, fault.New(fault.SignatureInvalid, "reading the statement about programs: %w", err)
	}
	if err := out.check(); err != nil {
		return nil, fault.New(fault.SignatureInvalid, "the statement about programs: %w", err)
	}
	for _, k := range keys {
		out.Signers = append(out.Signers, Signer{KeyID: k.ID(), Fingerprint: k.Fingerprint(), Role: RoleTargets})
	}
	return out, nil
}
