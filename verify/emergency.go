package verify

import (
	"context"

	"sluice/bundle"
	"sluice/internal/fault"
)

// AuthenticateEmergency decides whether a bundle that the vendor did not sign may be taken because the site's role targets
// did, with its threshold. Everything else is as in Authenticate: volumes, manifest, expiry (of the site's root), family, floor.
//
// Errors: E-EMERGENCY-NEEDLESS when the vendor's signature holds, so that this way is never a habit; E-TRUST-NONE without
// a site root; those of Authenticate.
func (s *Store) AuthenticateEmergency(ctx context.Context, src *bundle.Source, h History) (*Authentic, error) {
	r, err := s.newest(Site)
	if err != nil {
		return nil, err
	}
	if s.Has(Oem) {
		if _, err := s.Authenticate(ctx, src, History{}); err == nil {
			return nil, needless()
		}
	}
	if err := s.CheckExpired(Site, h.Evidence); err != nil {
		return nil, err
	}
	a, err := r.judge(Site, s.lists(Site)).source(ctx, src)
	if err != nil {
		return nil, err
	}
	a.emergency = true
	if err := s.mayTake(a, r, h); err != nil {
		return nil, err
	}
	return a, nil
}

func needless() error {
	return fault.New(fault.EmergencyNeedless, "the bundle is signed by the vendor, so there is no emergency to declare")
}

// EmergencyInstalled judges the manifest of a version installed by emergency again, by the site's root that it was taken
// with. Where the vendor has signed the same manifest since and that signature lies there now, it counts as well: what was
// decided about the emergency stays as it is. Errors: as AuthenticateInstalled.
func (s *Store) EmergencyInstalled(manifest, sig []byte, siteRoot int, h History) (*Authentic, error) {
	r, err := s.numbered(Site, siteRoot)
	if err != nil {
		return nil, err
	}
	a, err := r.judge(Site, nil).manifest(manifest, sig)
	if err != nil {
		oem, nerr := s.newest(Oem)
		if nerr != nil {
			return nil, err
		}
		other, oerr := oem.judge(Oem, nil).manifest(manifest, sig)
		if oerr != nil {
			return nil, err
		}
		a = other
		a.version = siteRoot
	}
	a.emergency = true
	h.Floor = ""
	if err := h.check(a); err != nil {
		return nil, err
	}
	return a, nil
}

// Emergency says that the site signed the manifest by emergency, not the vendor; RootVersion is then the site's.
func (a *Authentic) Emergency() bool { return a.emergency }
