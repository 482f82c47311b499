package gate_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/bundle"
	"sluice/compliance"
	"sluice/gate"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/testroot"
	"sluice/verify"
)

func keys(names ...string) (private []ed25519.PrivateKey, public []bundle.PublicKey) {
	for _, n := range names {
		private = append(private, testroot.Key(n))
		public = append(public, testroot.Public(testroot.Key(n)))
	}
	return private, public
}

// rotated is what both roots become: other keys sign bundles, and the site's policy.
func rotated(s *testroot.Site) map[string][]byte {
	_, vendor := keys("vendor2")
	_, site := keys("site2")
	return map[string][]byte{
		"2.root.json":      s.NextRoot(verify.Oem, verify.RootChange{AddTargets: vendor, RemoveTargets: []bundle.PublicKey{testroot.Public(s.Vendor)}}, s.Vendor),
		"site.2.root.json": s.NextRoot(verify.Site, verify.RootChange{AddTargets: site, RemoveTargets: []bundle.PublicKey{testroot.Public(s.Owner)}}, s.Owner),
	}
}

// Rotation alone closes nothing: what is live keeps running on a key that signs nothing new any more.
func TestRotationClosesNothing(t *testing.T) {
	s := testroot.Live(t)
	steps, err := s.Take(rotated(s))
	if err != nil || len(steps) != 2 {
		t.Fatalf("%+v, %v", steps, err)
	}
	if a, err := check(t, s, slot.Live); err != nil || a.Version != "1.0.0" {
		t.Fatalf("%+v, %v", a, err)
	}
	// The published key is the new one; a machine that died before it was replaced is not closed, and mends it.
	pub := s.Path(slot.VendorKeyFile)
	now, err := os.ReadFile(pub)
	if err != nil || string(now) != string(testroot.Public(testroot.Key("vendor2")).PEM()) {
		t.Fatalf("%s, %v", now, err)
	}
	if err := os.WriteFile(pub, testroot.Public(s.Vendor).PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, s, slot.Live); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.1.0"})), fault.SignatureUntrusted)
	if again, err := os.ReadFile(pub); err != nil || string(again) != string(now) {
		t.Errorf("the published key was not mended: %s, %v", again, err)
	}
	// The old key signs no policy any more, the new one does; signatures of people stand on both.
	next := *s.Policy
	next.Number++
	raw, err := compliance.SignPolicy(&next, s.Owner)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.In.PolicySet(t.Context(), raw), fault.SignatureUntrusted)
	s.Owner = testroot.Key("site2")
	s.PutPolicy(&next)
	private, _ := keys("vendor2")
	second := s.GoLive(testroot.BundleOptions{Version: "1.1.0", Keys: private})
	if second.TrustRoot != 2 || second.Previous == nil || second.Previous.TrustRoot != 1 {
		t.Errorf("judged by %d, before by %+v", second.TrustRoot, second.Previous)
	}
	if _, err := check(t, s, slot.Live); err != nil {
		t.Fatal(err)
	}
}

// The next root lies beside the bundle that its new key signed: it is taken over before the bundle is judged, and logged.
func TestTrustComesWithTheBundle(t *testing.T) {
	s := testroot.Live(t)
	private, _ := keys("vendor2")
	path := s.Bundle(testroot.BundleOptions{Version: "1.1.0", Keys: private})
	wantCode(t, s.TryInstall(path), fault.SignatureUntrusted)
	s.Put(filepath.Dir(path), rotated(s))
	s.Install(path)
	log, err := os.ReadFile(s.Path("audit/decision_logs/demo.jsonl"))
	if err != nil || strings.Count(string(log), `"event":"trust_update"`) != 4 { // intent and outcome of both
		t.Errorf("%d entries, %v", strings.Count(string(log), `"event":"trust_update"`), err)
	}
}

// Threat 2: the number of a root never goes down, and nothing of what is trusted is changed by hand.
func TestThreat2TrustTakenAwayByHand(t *testing.T) {
	for name, change := range map[string]func(s *testroot.Site) error{
		"newest root removed": func(s *testroot.Site) error { return os.Remove(s.Path("ai_models/keys/oem/2.root.json")) },
		"list removed":        func(s *testroot.Site) error { return os.Remove(s.Path("ai_models/keys/revocations.json")) },
		"root put there": func(s *testroot.Site) error {
			return os.WriteFile(s.Path("ai_models/keys/oem/3.root.json"), s.NextRoot(verify.Oem, verify.RootChange{}, s.Vendor), 0o644)
		},
		"list put there": func(s *testroot.Site) error {
			return os.WriteFile(s.Path("ai_models/keys/site.revocations.json"), s.Revoke(verify.Site, 1, time.Now(), s.Owner, nil, []bundle.Digest{{1}}), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t)
			files := rotated(s)
			_, leaked := keys("stranger")
			files["revocations.json"] = s.Revoke(verify.Oem, 1, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), s.Vendor, leaked, nil)
			if _, err := s.Take(files); err != nil {
				t.Fatal(err)
			}
			if _, err := check(t, s, slot.Live); err != nil {
				t.Fatal(err)
			}
			if err := change(s); err != nil {
				t.Fatal(err)
			}
			_, err := check(t, s, slot.Live)
			wantCode(t, err, fault.RecordEdited)
			private, _ := keys("vendor", "vendor2")
			wantCode(t, s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.1.0", Keys: private})), fault.RecordEdited)
		})
	}
}

// A revoked bundle, vendor's key or person's key closes the gate at its next check, with the reason; damage is named first.
func TestRevocationClosesTheGate(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for name, files := range map[string]func(s *testroot.Site) map[string][]byte{
		"bundle, by the vendor": func(s *testroot.Site) map[string][]byte {
			return map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 1, at, s.Vendor, nil, []bundle.Digest{manifestOf(t, s)})}
		},
		"bundle, by the site": func(s *testroot.Site) map[string][]byte {
			return map[string][]byte{"site.revocations.json": s.Revoke(verify.Site, 1, at, s.Owner, nil, []bundle.Digest{manifestOf(t, s)})}
		},
		"vendor's key, by the site": func(s *testroot.Site) map[string][]byte {
			return map[string][]byte{"site.revocations.json": s.Revoke(verify.Site, 1, at, s.Owner, []bundle.PublicKey{testroot.Public(s.Vendor)}, nil)}
		},
		"person's key": func(s *testroot.Site) map[string][]byte {
			return map[string][]byte{"site.revocations.json": s.Revoke(verify.Site, 1, at, s.Owner, []bundle.PublicKey{testroot.Public(s.Keys["jan"])}, nil)}
		},
		"site's key": func(s *testroot.Site) map[string][]byte {
			_, site := keys("site2")
			return map[string][]byte{
				"site.2.root.json": s.NextRoot(verify.Site, verify.RootChange{AddTargets: site, AddRoot: site, RemoveRoot: []bundle.PublicKey{testroot.Public(s.Owner)},
					RemoveTargets: []bundle.PublicKey{testroot.Public(s.Owner)}}, s.Owner, testroot.Key("site2")),
				"site.revocations.json": s.Revoke(verify.Site, 1, at, testroot.Key("site2"), []bundle.PublicKey{testroot.Public(s.Owner)}, nil),
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t)
			if _, err := s.Take(files(s)); err != nil {
				t.Fatal(err)
			}
			a, err := check(t, s, slot.Live)
			wantCode(t, err, fault.Revoked)
			if detail := fault.DetailOf(err); detail["reason"] == nil || a.Version != "1.0.0" {
				t.Errorf("detail %v, answer %+v", detail, a)
			}
			st, err := s.In.Status()
			if err != nil || len(st.Problems) == 0 && len(st.Waiting) == 0 {
				t.Errorf("status %+v, %v", st, err)
			}
			if err := os.WriteFile(s.Path("ai_models/bundles/v1_0_0/extra"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = check(t, s, slot.Live)
			wantCode(t, err, fault.InstalledChanged)
		})
	}
}

// Another person signs where one person's key leaked, and the gate opens again.
func TestLeakedPersonIsReplaced(t *testing.T) {
	s := testroot.Live(t)
	if _, err := s.Take(map[string][]byte{"site.revocations.json": s.Revoke(verify.Site, 1, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), s.Owner,
		[]bundle.PublicKey{testroot.Public(s.Keys["anna"])}, nil)}); err != nil {
		t.Fatal(err)
	}
	_, err := check(t, s, slot.Live)
	wantCode(t, err, fault.Revoked)
	for _, stage := range []slot.Stage{slot.Paper, slot.Live} {
		if _, err := s.Decide(stage, "ewa"); err != nil {
			t.Fatalf("%s: %v", stage, err)
		}
	}
	if _, err := check(t, s, slot.Live); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.In.Disable(t.Context(), "ewa", "test"), "")
}

func manifestOf(t *testing.T, s *testroot.Site) bundle.Digest {
	t.Helper()
	raw, err := os.ReadFile(s.Path("ai_models/bundles/v1_0_0/manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	return slot.Sum(raw)
}

// The clocks of threat 6. Nothing that a clock says may count.
var clocks = map[string][]time.Time{ // one after the other: what an earlier one did must not poison a later one
	"right":                  {time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)},
	"1970":                   {time.Unix(0, 0)},
	"set back":               {time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)},
	"2038":                   {time.Unix(1<<31+5, 0)},
	"+20 years once, back":   {time.Date(2046, 11, 25, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)},
	"battery lost in 2026":   {time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
	"+20 years and no other": {time.Date(2046, 11, 25, 0, 0, 0, 0, time.UTC)},
}

// Threat 6: at each clock, none of what should not be accepted is, and no current bundle is refused.
func TestThreat6Clocks(t *testing.T) {
	accepted, refused := 0, 0
	for name, sequence := range clocks {
		t.Run(name, func(t *testing.T) {
			s := testroot.Live(t) // root until 2036, version 1.0.0 of 2026-11-01 live
			_, leaked := keys("leaked")
			for i, at := range sequence {
				s.SetClock(at)
				if i == 0 {
					if _, err := s.Take(map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 1, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), s.Vendor, leaked, nil)}); err != nil {
						refused++
						t.Errorf("a revocation list: %v", err)
					}
				}
				version := "1.1." + string(rune('0'+i))
				if err := s.TryInstall(s.Bundle(testroot.BundleOptions{Version: version, Created: "2026-11-22T00:00:00Z"})); err != nil {
					refused++
					t.Errorf("a current bundle at %s: %v", at, err)
				}
				for what, c := range map[string]struct {
					o    testroot.BundleOptions
					code fault.Code
				}{
					"made after the root's end": {testroot.BundleOptions{Version: "2.0.0", Created: "2036-01-01T00:00:01Z"}, fault.TrustExpired},
					"of a stranger":             {testroot.BundleOptions{Version: "2.0.0", Keys: []ed25519.PrivateKey{testroot.Key("leaked")}}, fault.SignatureUntrusted},
					"below the floor":           {testroot.BundleOptions{Version: "0.9.0", Created: "2026-11-22T00:00:00Z"}, fault.VersionOlder},
					"the same version again":    {testroot.BundleOptions{Version: version, Created: "2026-11-22T00:00:00Z", Salt: "x"}, fault.VersionReused},
				} {
					if err := s.TryInstall(s.Bundle(c.o)); err == nil {
						accepted++
						t.Errorf("%s at %s", what, at)
					} else if fault.CodeOf(err) != c.code {
						t.Errorf("%s at %s: %v", what, at, err)
					}
				}
				if _, err := gate.Check(t.Context(), s.Root(), gate.Options{Env: env("1"), Clock: s.Config.Clock}); err != nil {
					refused++
					t.Errorf("the gate at %s: %v", at, err)
				}
				if _, err := s.Decide(slot.Paper, "anna"); err != nil {
					refused++
					t.Errorf("a sign-off at %s: %v", at, err)
				}
				k := s.In.Knowledge()
				if got := k.Evidence.Format(time.DateOnly); got != "2026-11-22" || k.ClockBehind != at.Before(k.Evidence) || len(k.Expired) != 0 || k.Source != slot.EvidenceManifest {
					t.Errorf("at %s: %+v", at, k)
				}
			}
			// Still at the last clock: the vendor changes the key, and then revokes the old one.
			private, public := keys("vendor2")
			if _, err := s.Take(map[string][]byte{"2.root.json": s.NextRoot(verify.Oem, verify.RootChange{AddTargets: public, RemoveTargets: []bundle.PublicKey{testroot.Public(s.Vendor)}}, s.Vendor)}); err != nil {
				refused++
				t.Errorf("the next list: %v", err)
			}
			if err := s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.2.0", Keys: private, Created: "2026-11-22T00:00:00Z"})); err != nil {
				refused++
				t.Errorf("a bundle by the new key: %v", err)
			}
			if err := s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.3.0", Created: "2026-11-22T00:00:00Z"})); fault.CodeOf(err) != fault.SignatureUntrusted {
				accepted++
				t.Errorf("a bundle by the old key: %v", err)
			}
			if _, err := check(t, s, slot.Live); err != nil {
				refused++
				t.Errorf("the gate after a rotation: %v", err)
			}
			all := append(leaked, testroot.Public(s.Vendor))
			if _, err := s.Take(map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 2, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), s.Vendor, all, nil)}); err != nil {
				refused++
				t.Errorf("the second revocation list: %v", err)
			}
			if _, err := check(t, s, slot.Live); fault.CodeOf(err) != fault.Revoked {
				accepted++
				t.Errorf("the gate after the revocation: %v", err)
			}
		})
	}
	if accepted != 0 || refused != 0 {
		t.Errorf("%d accepted that should not be, %d false refusals", accepted, refused)
	}
}

// A root that signed evidence proves to have expired refuses new installs and sign-offs, whatever the clock says; live keeps
// running unless the site's policy closes it, and the next root opens all again.
func TestExpiredBySignedEvidence(t *testing.T) {
	for _, closes := range []bool{false, true} {
		s := testroot.Live(t)
		if closes {
			next := *s.Policy
			next.Number, next.CloseOnExpiry = next.Number+1, true
			s.PutPolicy(&next)
		}
		waiting := s.Bundle(testroot.BundleOptions{Version: "1.1.0"})
		s.Install(waiting)
		s.SetClock(time.Unix(0, 0))
		_, some := keys("some")
		if _, err := s.Take(map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 1, time.Date(2036, 6, 1, 0, 0, 0, 0, time.UTC), s.Vendor, some, nil)}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.2.0"})), fault.TrustExpired)
		_, err := s.Decide(slot.Paper, "ewa")
		wantCode(t, err, fault.TrustExpired)
		want := fault.Code("")
		if closes {
			want = fault.ClosedExpired
		}
		_, err = check(t, s, slot.Live)
		wantCode(t, err, want)
		if k := s.In.Knowledge(); len(k.Expired) != 2 || k.CloseOnThat != closes { // the site's root ends on the same day
			t.Errorf("%+v", k)
		}
		later := verify.RootChange{Expires: time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)}
		if _, err := s.Take(map[string][]byte{"2.root.json": s.NextRoot(verify.Oem, later, s.Vendor), "site.2.root.json": s.NextRoot(verify.Site, later, s.Owner)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Decide(slot.Paper, "ewa"); err != nil {
			t.Error(err)
		}
		if _, err := check(t, s, slot.Live); err != nil {
			t.Error(err)
		}
	}
}

// Evidence of the program's own build counts too.
func TestBuildIsEvidence(t *testing.T) {
	s := testroot.Live(t)
	s.Config.Built = time.Date(2036, 2, 1, 0, 0, 0, 0, time.UTC)
	s.Restart()
	wantCode(t, s.TryInstall(s.Bundle(testroot.BundleOptions{Version: "1.1.0"})), fault.TrustExpired)
	if _, err := check(t, s, slot.Live); err != nil {
		t.Error(err)
	}
}

// Threat 5: the same old stick for ever. The site's limit rests on the local clock: it can only refuse, nothing of it is kept, and a
// clock that is certainly wrong refuses nothing.
func TestThreat5SameOldStick(t *testing.T) {
	s := testroot.Live(t)
	next := *s.Policy
	next.Number, next.MaxAgeDays = next.Number+1, 365
	s.PutPolicy(&next)
	old := s.Bundle(testroot.BundleOptions{Version: "1.1.0"}) // of 2026-11-01
	for _, c := range []struct {
		at   time.Time
		path string
		code fault.Code
	}{
		{time.Date(2027, 11, 3, 0, 0, 0, 0, time.UTC), old, fault.KnowledgeOld},
		{time.Date(2046, 11, 3, 0, 0, 0, 0, time.UTC), old, fault.KnowledgeOld},
		{time.Date(2027, 10, 30, 0, 0, 0, 0, time.UTC), old, ""},
		{time.Unix(0, 0), old, ""},
		{time.Date(2027, 11, 3, 0, 0, 0, 0, time.UTC), s.Bundle(testroot.BundleOptions{Version: "1.2.0", Created: "2027-10-01T00:00:00Z"}), ""},
		{time.Date(2028, 9, 1, 0, 0, 0, 0, time.UTC), old, ""}, // something newer is known
	} {
		s.SetClock(c.at)
		wantCode(t, s.TryInstall(c.path), c.code)
	}
	s.SetClock(time.Date(2029, 9, 1, 0, 0, 0, 0, time.UTC))
	_, err := s.Decide(slot.Paper, "anna")
	wantCode(t, err, fault.KnowledgeOld)
	k := s.In.Knowledge()
	if !k.TooOld || k.LimitDays != 365 || k.AgeDays != 701 || k.ClockBehind {
		t.Errorf("%+v", k)
	}
	if _, err := check(t, s, slot.Live); err != nil {
		t.Errorf("what is live keeps running: %v", err)
	}
	_, some := keys("some")
	if _, err := s.Take(map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 1, time.Date(2029, 8, 1, 0, 0, 0, 0, time.UTC), s.Vendor, some, nil)}); err != nil {
		t.Fatal(err)
	}
	if k := s.In.Knowledge(); k.TooOld || k.Source != slot.EvidenceRevocations {
		t.Errorf("a current list is knowledge too: %+v", k)
	}
}

// A medium with a forged, a skipped or a half signed root is refused before its bundle is judged; nothing is taken.
func TestHostileTrustOnTheMedium(t *testing.T) {
	s := testroot.Live(t)
	_, other := keys("other")
	change := verify.RootChange{AddTargets: other}
	two := s.NextRoot(verify.Oem, change, s.Vendor)
	three, err := verify.NextRoot(two, verify.RootChange{})
	if err != nil {
		t.Fatal(err)
	}
	if three, err = verify.SignRoot(three, two, s.Vendor); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files map[string][]byte
		code  fault.Code
	}{
		"not signed":      {map[string][]byte{"2.root.json": s.NextRoot(verify.Oem, change)}, fault.TrustInvalid},
		"two of a number": {map[string][]byte{"2.root.json": two, "oem.2.root.json": s.NextRoot(verify.Oem, verify.RootChange{Expires: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)}, s.Vendor)}, fault.TrustFork},
		"skipped":         {map[string][]byte{"3.root.json": three}, fault.TrustStep},
		"strange list":    {map[string][]byte{"revocations.json": s.Revoke(verify.Oem, 1, time.Now(), testroot.Key("other"), other, nil)}, fault.SignatureUntrusted},
		"site's by oem":   {map[string][]byte{"site.2.root.json": two}, fault.TrustInvalid},
		"damaged":         {map[string][]byte{"oem.2.root.json": two[:len(two)/2]}, fault.TrustInvalid},
		"good and wrong":  {map[string][]byte{"2.root.json": two, "site.revocations.json": []byte("{}")}, fault.SignatureInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			path := s.Bundle(testroot.BundleOptions{Version: "1.1.0"})
			s.Put(filepath.Dir(path), c.files)
			wantCode(t, s.TryInstall(path), c.code)
			src, err := s.In.Open(t.Context(), path, bundle.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			_, err = s.In.Authenticate(t.Context(), src)
			wantCode(t, err, c.code)
			if store, err := verify.OpenStore(s.Path(slot.KeysDir)); err != nil || store.Version(verify.Oem) != 1 || len(store.Revocations()) != 0 {
				t.Errorf("taken: %v", err)
			}
		})
	}
	if _, err := check(t, s, slot.Live); err != nil {
		t.Error(err)
	}
}
