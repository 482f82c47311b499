package slot

import (
	"errors"
	"fmt"
	"io/fs"

	"sluice/bundle"
	"sluice/internal/fault"
	"sluice/internal/fsx"
)

// StateSchema is the format of machine/state.json.
const StateSchema = "sluice-state/1"

// State is what an installation remembers between runs. The logs say the same; whoever judges takes the stricter of both.
type State struct {
	Schema      string                   `json:"schema"`
	ModelFamily string                   `json:"model_family,omitempty"` // one root holds one family
	Floor       string                   `json:"floor,omitempty"`        // highest version that was ever live
	Seen        map[string]bundle.Digest `json:"seen,omitempty"`         // version -> manifest digest, once installed
}

// State reads the memory; an empty one when there is none. E-RECORD-EDITED when it cannot be what this program wrote.
func (d *Dir) State() (*State, error) {
	raw, err := d.Read(stateFile, MaxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Schema: StateSchema}, nil
	}
	if err != nil {
		return nil, edited(stateFile, err)
	}
	return parseState(raw)
}

func parseState(raw []byte) (*State, error) {
	s := &State{}
	err := bundle.StrictUnmarshal(raw, s, MaxRecord)
	if err == nil && s.Schema != StateSchema {
		err = fmt.Errorf("schema %q, want %q", s.Schema, StateSchema)
	}
	if err == nil && s.Floor != "" {
		err = bundle.ValidVersion(s.Floor)
	}
	for v := range s.Seen {
		if err == nil {
			err = bundle.ValidVersion(v)
		}
	}
	if err != nil {
		return nil, fault.New(fault.RecordEdited, "record %q: %w", stateFile, err).With("path", stateFile)
	}
	return s, nil
}

// WriteState replaces the memory. The caller holds the lock.
func (d *Dir) WriteState(s *State) error {
	raw, err := encode(s)
	if err != nil {
		return err
	}
	return fsx.WriteFile(d.root, stateFile, raw, 0o644)
}

// Remember merges a version into the memory and raises the floor when live is true; it says whether anything changed.
func (s *State) Remember(family, version string, digest bundle.Digest, live bool) bool {
	changed := false
	if s.ModelFamily == "" {
		s.ModelFamily, changed = family, true
	}
	if _, ok := s.Seen[version]; !ok {
		if s.Seen == nil {
			s.Seen = map[string]bundle.Digest{}
		}
		s.Seen[version], changed = digest, true
	}
	if live && (s.Floor == "" || bundle.CompareVersions(version, s.Floor) > 0) {
		s.Floor, changed = version, true
	}
	return changed
}
