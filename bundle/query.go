package bundle

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"sluice/internal/fault"
)

// Artifact finds an artifact by its path; nil when there is none.
func (m *Manifest) Artifact(path string) *Artifact {
	for i := range m.Artifacts {
		if m.Artifacts[i].Path == path {
			return &m.Artifacts[i]
		}
	}
	return nil
}

// Variant finds a variant by its id; nil when there is none.
func (m *Manifest) Variant(id string) *Variant {
	for i := range m.Variants {
		if m.Variants[i].ID == id {
			return &m.Variants[i]
		}
	}
	return nil
}

func (m *Manifest) variant(id string) (*Variant, error) {
	if v := m.Variant(id); v != nil {
		return v, nil
	}
	known := make([]string, len(m.Variants))
	for i := range m.Variants {
		known[i] = m.Variants[i].ID
	}
	return nil, fault.New(fault.VariantUnknown, "no variant %q, want one of %q", clip(id), known).
		With("variant", clip(id)).With("variants", known)
}

// VariantPaths lists what one variant needs on disk, in manifest order: the artifacts that it lists, the files of all
// golden cases, those of a companion only where the variant lists the companion's artifact, and the quality figures' reports.
// Error: E-VARIANT-UNKNOWN.
func (m *Manifest) VariantPaths(id string) ([]string, error) {
	v, err := m.variant(id)
	if err != nil {
		return nil, err
	}
	need := make(map[string]bool, len(v.Artifacts))
	for _, p := range v.Artifacts {
		need[p] = true
	}
	golden := func(cases []GoldenCase) {
		for _, g := range cases {
			for _, p := range g.Inputs {
				need[p] = true
			}
			for _, p := range g.Outputs {
				need[p] = true
			}
		}
	}
	companions := make([]Companion, 0, len(m.InferenceContract.Companions))
	for _, c := range m.InferenceContract.Companions {
		if need[c.Artifact] {
			companions = append(companions, c)
		}
	}
	golden(m.InferenceContract.Golden)
	for _, c := range companions {
		golden(c.Golden)
	}
	for _, q := range m.Quality {
		need[q.Report] = true // "" names no artifact
	}
	out := make([]string, 0, len(need))
	for i := range m.Artifacts {
		if need[m.Artifacts[i].Path] {
			out = append(out, m.Artifacts[i].Path)
		}
	}
	return out, nil
}

// ModelPath is the variant's own model: the first listed artifact with role weights whose path ends in ".onnx".
// Error: E-VARIANT-UNKNOWN.
func (m *Manifest) ModelPath(id string) (string, error) {
	v, err := m.variant(id)
	if err != nil {
		return "", err
	}
	files := make(map[string]*Artifact, len(m.Artifacts))
	for i := range m.Artifacts {
		files[m.Artifacts[i].Path] = &m.Artifacts[i]
	}
	if p := modelOf(v, func(p string) *Artifact { return files[p] }); p != "" {
		return p, nil
	}
	return "", fault.New(fault.ManifestInvalid, "variant %q lists no model", clip(id))
}

func modelOf(v *Variant, artifact func(path string) *Artifact) string {
	for _, p := range v.Artifacts {
		if !strings.HasSuffix(p, ".onnx") {
			continue
		}
		if a := artifact(p); a != nil && a.Role == RoleWeights {
			return p
		}
	}
	return ""
}

// CreatedTime is created as a time in UTC; the zero time when it does not parse, which ParseManifest excludes.
func (m *Manifest) CreatedTime() time.Time {
	t, err := time.Parse(createdLayout, m.Created)
	if err != nil {
		return time.Time{}
	}
	return t
}

// FileName is what a bundle of this manifest is called.
func (m *Manifest) FileName() string {
	return fmt.Sprintf("%s-v%s.tar.zst", m.ModelFamily, m.Version)
}

// SemVer 2.0 without build metadata and without upper case.
var versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9a-z-]+(\.[0-9a-z-]+)*)?$`)

// ValidVersion accepts Semantic Versioning 2.0 without leading "v", upper case and build metadata, at most 64 bytes.
func ValidVersion(v string) error {
	if len(v) > 64 || !versionPattern.MatchString(v) || !semver.IsValid("v"+v) {
		return fault.New(fault.ManifestInvalid, "version %q, want SemVer 2.0 in lower case without v and without +build, such as \"1.4.2\"", clip(v)).
			With("version", clip(v))
	}
	return nil
}

// CompareVersions orders two valid versions by SemVer's precedence: -1, 0 or +1. An invalid one is below every valid one.
func CompareVersions(a, b string) int { return semver.Compare("v"+a, "v"+b) }

// DiskVersion is a version as a folder name: 1.4.2 is v1_4_2. Different versions give different names.
func DiskVersion(v string) string { return "v" + strings.ReplaceAll(v, ".", "_") }
