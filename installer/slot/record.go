package slot

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/inference"
	"sluice/internal/fault"
)

// RecordSchema is the format of a stage record.
const RecordSchema = "sluice-record/1"

// Record says what one stage runs. It is replaced as a whole, never edited; its digest stands in the stage's log.
type Record struct {
	Schema         string          `json:"schema"`
	Stage          Stage           `json:"stage"`
	Enabled        bool            `json:"enabled"` // live only: switched on; demo and paper are always true
	ModelFamily    string          `json:"model_family"`
	Version        string          `json:"version"`
	Variant        string          `json:"variant"`
	Folder         string          `json:"folder"` // below the root, with slashes
	ManifestSHA384 bundle.Digest   `json:"manifest_sha384"`
	TrustRoot      int             `json:"trust_root"` // number of the oem root (in an emergency the site's) that the bundle was judged by
	Engine         Engine          `json:"engine"`
	Proof          Proof           `json:"proof"`
	Machine        Machine         `json:"machine"`
	SignOffs       []SignOff       `json:"sign_offs,omitempty"` // of this stage and the ones below
	Logs           map[string]Head `json:"logs"`                // heads of the logs right before this record was made
	Policy         *PolicyRef      `json:"policy,omitempty"`    // paper, live: what the sign-offs were judged by
	Installer      string          `json:"installer,omitempty"` // who installed this version, as they said
	Attempts       []Attempt       `json:"attempts,omitempty"`  // demo: variants tried in this installation, in order
	At             string          `json:"at"`                  // RFC 3339, UTC, by the local clock
	Operator       string          `json:"operator,omitempty"`
	Reason         string          `json:"reason,omitempty"`   // live: why it was switched off or rolled back
	Rollback       *SignOff        `json:"rollback,omitempty"` // live: the signed statement that brought this version back
	Previous       *Record         `json:"previous,omitempty"` // live: the way back; has no previous of its own
	Emergency      *Emergency      `json:"emergency,omitempty"`
}

// Emergency marks a version that the site signed itself; see package compliance.
type Emergency = compliance.Emergency

// Judged says by whose trust root a version folder is authenticated.
type Judged struct {
	TrustRoot int        // number of the oem root, or of the site's in an emergency
	Emergency *Emergency // nil: the vendor signed it
}

// Judged is how the record's version came to be trusted.
func (r *Record) Judged() Judged {
	return Judged{TrustRoot: r.TrustRoot, Emergency: r.Emergency.Plain()}
}

// Engine is what ran the golden cases, and what the gate will run.
type Engine struct {
	Kind          string        `json:"kind"`
	Version       string        `json:"version,omitempty"`
	Library       string        `json:"library,omitempty"` // below the root
	LibrarySHA384 bundle.Digest `json:"library_sha384,omitzero"`
	Provider      string        `json:"provider"`
	Threads       int           `json:"threads"`
	Program       bundle.Digest `json:"program_sha384,omitzero"` // the copy under bin/ that ran them
}

// Proof is the golden report of a passed smoke test.
type Proof struct {
	Cases    []Case  `json:"cases"`
	Warmup   int     `json:"warmup,omitempty"` // calls per case before timing
	Runs     int     `json:"runs,omitempty"`   // timed calls per case
	MedianMS float64 `json:"median_ms"`
	P95MS    float64 `json:"p95_ms"`
	LimitMS  float64 `json:"limit_ms"`
	PeakMiB  int64   `json:"peak_mib"`
	LimitMiB int64   `json:"limit_mib"`
	// Evidence is where the engine itself says that it ran the models; Confinement what kept the child in meanwhile.
	Evidence    []inference.Placement  `json:"evidence,omitempty"`
	Confinement *inference.Confinement `json:"confinement,omitempty"`
	// Report is the whole smoke report under reports/.
	Report *compliance.Source `json:"report,omitempty"`
}

// Case is one golden case.
type Case = inference.CaseResult

// PolicyRef names one policy of the site.
type PolicyRef struct {
	Number int           `json:"number"`
	SHA384 bundle.Digest `json:"sha384"` // in RFC 8785 form
}

// SignOff names a signed record under reports/ by its digest.
type SignOff struct {
	Stage  Stage         `json:"stage"`
	Path   string        `json:"path"` // below the root
	SHA384 bundle.Digest `json:"sha384"`
	Person string        `json:"person"`
	Role   string        `json:"role,omitempty"`
}

// Head is the state of a log: how many entries, and the digest of the last line.
type Head = compliance.LogHead

// Attempt is one variant's smoke test during an installation.
type Attempt struct {
	Variant string     `json:"variant"`
	Engine  string     `json:"engine,omitempty"`
	Passed  bool       `json:"passed"`
	Code    fault.Code `json:"code,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	// Report holds each golden case. nil when it never came to them and, in a record, for the attempt that passed: its
	// rows are the record's proof.
	Report *inference.Report `json:"smoke,omitempty"`
	// Omitted are rows of cases that passed and are left out of a record for their number (MaxRows).
	Omitted int `json:"rows_omitted,omitempty"`
}

// MaxRows is how many golden cases of a failed attempt a record keeps: those that failed come first. The log has them all.
const MaxRows = 1000

// Kept is the attempt as a record keeps it.
func (a Attempt) Kept() Attempt {
	switch {
	case a.Report == nil:
	case a.Passed:
		a.Report = nil
	case len(a.Report.Cases) > MaxRows:
		r := *a.Report
		cases := slices.Clone(r.Cases)
		slices.SortStableFunc(cases, func(x, y Case) int {
			switch {
			case x.Passed == y.Passed:
				return 0
			case y.Passed:
				return -1
			}
			return 1
		})
		a.Omitted = len(cases) - MaxRows
		r.Cases = cases[:MaxRows]
		a.Report = &r
	}
	return a
}

// Encode writes the record as indented JSON after checking it.
func (r *Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return encode(r)
}

// ParseRecord reads the record of a stage strictly. E-RECORD-EDITED for anything this program would not have written.
func ParseRecord(stage Stage, raw []byte) (*Record, error) {
	r := &Record{}
	err := bundle.StrictUnmarshal(raw, r, MaxRecord)
	if err == nil {
		err = r.check()
	}
	if err == nil && r.Stage != stage {
		err = fmt.Errorf("it is the record of stage %q", r.Stage)
	}
	if err != nil {
		return nil, fault.New(fault.RecordEdited, "record %q: %w", stage.RecordFile(), err).With("path", stage.RecordFile())
	}
	return r, nil
}

func (r *Record) check() error {
	switch {
	case r.Schema != RecordSchema:
		return fmt.Errorf("schema %q, want %q", r.Schema, RecordSchema)
	case r.Stage != Demo && r.Stage != Paper && r.Stage != Live:
		return fmt.Errorf("stage %q, want demo, paper or live", r.Stage)
	case r.Stage != Live && !r.Enabled:
		return fmt.Errorf("stage %q cannot be switched off", r.Stage)
	case r.Stage != Live && (r.Previous != nil || r.Rollback != nil):
		return fmt.Errorf("stage %q has no way back", r.Stage)
	case r.ModelFamily == "" || r.Variant == "":
		return errors.New("model family or variant is empty")
	case r.ManifestSHA384.IsZero():
		return errors.New("no manifest digest")
	case r.TrustRoot < 1:
		return fmt.Errorf("trust root %d, want 1 or more", r.TrustRoot)
	case r.Machine.KeyID == "":
		return errors.New("no machine")
	case len(r.Proof.Cases) == 0:
		return errors.New("no golden case")
	}
	if err := bundle.ValidVersion(r.Version); err != nil {
		return err
	}
	if !ValidFolder(r.Folder, r.Version, r.Variant) {
		return fmt.Errorf("folder %q does not belong to version %q and variant %q", r.Folder, r.Version, r.Variant)
	}
	if l := r.Engine.Library; l != "" && (r.Engine.LibrarySHA384.IsZero() || path.Dir(path.Dir(l)) != EnginesDir ||
		path.Base(path.Dir(l)) != r.Engine.LibrarySHA384.String()) {
		return fmt.Errorf("engine library %q does not lie in %q", l, EnginesDir)
	}
	for _, s := range r.SignOffs {
		if err := s.check(); err != nil {
			return err
		}
	}
	if r.Stage == Demo && r.Policy != nil || r.Stage != Demo && (r.Policy == nil || r.Policy.Number < 1 || r.Policy.SHA384.IsZero()) {
		return fmt.Errorf("stage %q with policy %+v", r.Stage, r.Policy)
	}
	if r.Rollback != nil {
		if err := r.Rollback.check(); err != nil {
			return err
		}
	}
	if e := r.Emergency; e != nil {
		if err := e.Check(); err != nil {
			return err
		}
		if e.Window != nil && r.Stage != Live {
			return fmt.Errorf("stage %q has a time of live by emergency", r.Stage)
		}
	}
	if _, err := time.Parse(time.RFC3339, r.At); err != nil {
		return fmt.Errorf("time %q: %w", r.At, err)
	}
	if p := r.Previous; p != nil {
		if p.Stage != Live || p.Previous != nil {
			return errors.New("the previous record is not that of one live version")
		}
		if p.ModelFamily != r.ModelFamily {
			return fmt.Errorf("the previous record is of family %q", p.ModelFamily)
		}
		return p.check()
	}
	return nil
}

func (s SignOff) check() error {
	if path.Dir(s.Path) != ReportsDir || bundle.ValidPath(s.Path) != nil || strings.HasPrefix(path.Base(s.Path), ".") {
		return fmt.Errorf("sign-off %q does not lie in %q", s.Path, ReportsDir)
	}
	if s.SHA384.IsZero() || s.Person == "" {
		return fmt.Errorf("sign-off %q has no digest or no person", s.Path)
	}
	return nil
}

// Same says whether both records name the same bytes (version, variant, manifest and folder), trusted in the same way.
func (r *Record) Same(o *Record) bool {
	return r != nil && o != nil && r.Version == o.Version && r.Variant == o.Variant &&
		r.ManifestSHA384 == o.ManifestSHA384 && r.Folder == o.Folder && r.Emergency.Same(o.Emergency)
}

// Record reads a stage's record and its digest; nil without an error when there is none.
func (d *Dir) Record(stage Stage) (*Record, bundle.Digest, error) {
	raw, err := d.Read(stage.RecordFile(), MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, bundle.Digest{}, nil
	}
	if err != nil {
		return nil, bundle.Digest{}, edited(stage.RecordFile(), err)
	}
	r, err := ParseRecord(stage, raw)
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	return r, Sum(raw), nil
}

// encode is RFC 8785 with indentation: one way to write a number or a name, still pleasant to read.
func encode(v any) ([]byte, error) {
	raw, err := bundle.CanonicalJSON(v)
	if err != nil {
		return nil, fault.New(fault.Internal, "writing a record: %w", err)
	}
	out := jsontext.Value(raw)
	if err := out.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fault.New(fault.Internal, "writing a record: %w", err)
	}
	return append(out, '\n'), nil
}

func sum384(data []byte) [sha512.Size384]byte { return sha512.Sum384(data) }

// ProofFacts is what a record says of its golden cases and measured limits, as evidence of a checklist.
func (r *Record) ProofFacts() compliance.Evidence {
	p := r.Proof
	worstAbs, worstRel := 0.0, 0.0
	for _, c := range p.Cases {
		worstAbs, worstRel = max(worstAbs, c.WorstAbs), max(worstRel, c.WorstRel)
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	var sources []compliance.Source
	if p.Report != nil {
		sources = []compliance.Source{*p.Report}
	}
	return compliance.Evidence{
		compliance.EvidenceGolden: {Passed: len(p.Cases) > 0, Sources: sources, Values: map[string]string{"cases": strconv.Itoa(len(p.Cases)),
			"worst_abs": number(worstAbs), "worst_rel": number(worstRel), "engine": r.Engine.Kind, "engine_version": r.Engine.Version,
			"provider": r.Engine.Provider}},
		compliance.EvidenceLimits: {Passed: p.MedianMS <= p.LimitMS && (p.LimitMiB == 0 || p.PeakMiB <= p.LimitMiB), Sources: sources, Values: map[string]string{
			"median_ms": number(p.MedianMS), "p95_ms": number(p.P95MS), "limit_ms": number(p.LimitMS),
			"peak_mib": strconv.FormatInt(p.PeakMiB, 10), "limit_mib": strconv.FormatInt(p.LimitMiB, 10)}},
	}
}
