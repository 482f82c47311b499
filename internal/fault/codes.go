package fault

// The codes, grouped by exit status. A new one needs its words in assets/texts/errors.{en,pl}.json; a test compares.
const (
	Internal    Code = "E-INTERNAL"
	WindowCrash Code = "E-WINDOW-CRASH" // the window's program ended by itself

	// 2: wrong usage, wrong passphrase.
	Usage      Code = "E-USAGE"
	Passphrase Code = "E-PASSPHRASE"
	KeyRead    Code = "E-KEY-READ"  // a key file cannot be read as a key of the supported kind
	Spec       Code = "E-SPEC"      // bundle.yaml, policy or answers file given by the user is not valid
	Answers    Code = "E-ANSWERS"   // checklist answers missing, incomplete or for something else
	Exists     Code = "E-EXISTS"    // will not overwrite
	KeyUnfit   Code = "E-KEY-UNFIT" // a key that may not sign this (not in the policy or root)

	EmergencyNeedless Code = "E-EMERGENCY-NEEDLESS" // --emergency for what the vendor signed

	// 3: not authentic or not intact.
	Format              Code = "E-FORMAT"   // container malformed: tar, zstd, seek table, geometry
	Limit               Code = "E-LIMIT"    // a limit for untrusted bytes exceeded
	ManifestInvalid     Code = "E-MANIFEST" // manifest.json breaks the rules
	Path                Code = "E-PATH"     // unsafe or clashing path
	Entry               Code = "E-ENTRY"    // link, device, sparse, missing, duplicate or unlisted archive entry
	Digest              Code = "E-DIGEST"   // bytes differ from their signed digest
	Schema              Code = "E-SCHEMA"   // a format version this program does not know
	HashAlg             Code = "E-HASH-ALG" // hash_alg other than sha384
	SignatureMissing    Code = "E-SIGNATURE-MISSING"
	SignatureInvalid    Code = "E-SIGNATURE-INVALID"
	SignatureUntrusted  Code = "E-SIGNATURE-UNTRUSTED"
	SignatureType       Code = "E-SIGNATURE-TYPE"      // genuine signature of something else
	SignatureThreshold  Code = "E-SIGNATURE-THRESHOLD" // fewer trusted signatures than the root asks for
	TrustNone           Code = "E-TRUST-NONE"
	TrustInvalid        Code = "E-TRUST-INVALID"
	TrustFingerprint    Code = "E-TRUST-FINGERPRINT"
	TrustExpired        Code = "E-TRUST-EXPIRED"
	TrustStep           Code = "E-TRUST-STEP"    // a root between the kept one and the offered one is missing
	TrustFork           Code = "E-TRUST-FORK"    // two proven roots with one number
	RevocationsInvalid  Code = "E-REVOCATIONS"   // a revocation list breaks the rules
	KeyWeak             Code = "E-KEY-WEAK"      // low-order or non-canonical public key
	VersionOlder        Code = "E-VERSION-OLDER" // below the floor
	VersionReused       Code = "E-VERSION-REUSED"
	FamilyOther         Code = "E-FAMILY-OTHER"
	VolumeMissing       Code = "E-VOLUME-MISSING"
	VolumeDamaged       Code = "E-VOLUME-DAMAGED"
	VolumeStale         Code = "E-VOLUME-STALE"         // volume of another release or size
	VolumeIndex         Code = "E-VOLUME-INDEX"         // .volumes.sig missing or wrong
	ProvenanceSignature Code = "E-PROVENANCE-SIGNATURE" // a model's own signature does not hold
	ProvenanceFiles     Code = "E-PROVENANCE-FILES"     // the files to pack are not those that were signed as the model
	ProgramUnknown      Code = "E-PROGRAM-UNKNOWN"      // nothing vouches for a program file
	ProgramChanged      Code = "E-PROGRAM-CHANGED"      // a program file is not the one that the vendor's statement names
	InstalledChanged    Code = "E-INSTALLED-CHANGED"    // files of an installed version differ, are missing or too many
	Request             Code = "E-REQUEST"              // a request for a sign-off, or its answer, is damaged or not genuine
	RequestTrust        Code = "E-REQUEST-TRUST"        // nothing given to compare a request's trust roots with
	LogExport           Code = "E-LOG-EXPORT"           // an exported log is damaged or not genuine

	// 4: no models here.
	BundleMissing  Code = "E-BUNDLE-MISSING"
	VersionUnknown Code = "E-VERSION-UNKNOWN" // no such version installed

	// 5: this machine fits no variant.
	NoVariant         Code = "E-NO-VARIANT"
	VariantIneligible Code = "E-VARIANT-INELIGIBLE"
	VariantUnknown    Code = "E-VARIANT-UNKNOWN"

	// 6: smoke test failed, engine fails.
	SmokeFailed   Code = "E-SMOKE-FAILED"
	EngineLibrary Code = "E-ENGINE-LIBRARY" // the library's digest is not one we may load
	EngineLoad    Code = "E-ENGINE-LOAD"    // the library does not load or is too old
	EngineNeeded  Code = "E-ENGINE-NEEDED"  // needs the full runtime: operator, type or provider not supported here
	ModelInvalid  Code = "E-MODEL-INVALID"  // the model file is broken
	ModelLimit    Code = "E-MODEL-LIMIT"    // time or memory limit hit
	ModelCrash    Code = "E-MODEL-CRASH"
	Contract      Code = "E-CONTRACT"       // contract and model disagree on names, types, shapes
	NotRun        Code = "E-NOT-RUN"        // --strict: a variant could not be executed here
	SecondOpinion Code = "E-SECOND-OPINION" // another engine computes something else

	// 7: the gate is closed or policy refuses.
	NotSignedOff   Code = "E-NOT-SIGNED-OFF"
	NotLive        Code = "E-NOT-LIVE"    // installed, but the stage is not switched on
	StageOrder     Code = "E-STAGE-ORDER" // a step of demo, paper, live would be skipped
	PolicyNone     Code = "E-POLICY-NONE"
	PolicyInvalid  Code = "E-POLICY-INVALID"
	PolicyRefuses  Code = "E-POLICY-REFUSES"  // role, person or key not allowed here
	SignoffInvalid Code = "E-SIGNOFF-INVALID" // a sign-off does not verify or belongs to something else
	SignoffRefused Code = "E-SIGNOFF-REFUSED" // a person refused to sign
	SignoffVoid    Code = "E-SIGNOFF-VOID"    // something changed after a signature
	RequestStale   Code = "E-REQUEST-STALE"   // something changed since a sign-off was asked for elsewhere
	RequestOther   Code = "E-REQUEST-OTHER"   // a signed request that was not made here, or is for something else
	LogBroken      Code = "E-LOG-BROKEN"
	Evidence       Code = "E-EVIDENCE" // an evidence pack is not genuine or not intact
	RecordEdited   Code = "E-RECORD-EDITED"
	MachineOther   Code = "E-MACHINE-OTHER"
	VersionInUse   Code = "E-VERSION-IN-USE" // remove of the live version or its way back
	RollbackNone   Code = "E-ROLLBACK-NONE"
	Revoked        Code = "E-REVOKED"        // a revocation list names the key or the bundle
	KnowledgeOld   Code = "E-KNOWLEDGE-OLD"  // newest evidence older than the site's policy allows
	ClosedExpired  Code = "E-CLOSED-EXPIRED" // the root has expired and the site's policy closes live then

	EmergencyPaper   Code = "E-EMERGENCY-PAPER"   // the policy lets no version installed by emergency go live
	EmergencyReview  Code = "E-EMERGENCY-REVIEW"  // a review is owed before the next live start
	EmergencyOver    Code = "E-EMERGENCY-OVER"    // its hours of live are over
	EmergencyClock   Code = "E-EMERGENCY-CLOCK"   // the clock was set back, so its hours cannot be measured
	EmergencyRefused Code = "E-EMERGENCY-REFUSED" // its review said no
	ReviewSelf       Code = "E-REVIEW-SELF"       // the reviewer installed, signed for or switched on what they review
	ReviewNone       Code = "E-REVIEW-NONE"       // no review is owed

	// 8: input/output.
	IO             Code = "E-IO"
	Space          Code = "E-SPACE"
	SourceMissing  Code = "E-SOURCE-MISSING"
	MediumRemoved  Code = "E-MEDIUM-REMOVED"
	MediumDamaged  Code = "E-MEDIUM-DAMAGED" // a second read of the same bytes differs: dying stick, not tampering
	RootReadonly   Code = "E-ROOT-READONLY"
	RootFilesystem Code = "E-ROOT-FILESYSTEM"
	Lease          Code = "E-LEASE"          // a bot's lease cannot be written
	WindowMissing  Code = "E-WINDOW-MISSING" // no window program beside this one, or it cannot be started
	WindowDisplay  Code = "E-WINDOW-DISPLAY" // no display, or it cannot be opened
	WindowOpenGL   Code = "E-WINDOW-OPENGL"  // no usable OpenGL
	WindowLibrary  Code = "E-WINDOW-LIBRARY" // a library of the system is missing
	WindowSilent   Code = "E-WINDOW-SILENT"  // started, but no window came

	Locked    Code = "E-LOCKED"    // 9
	Cancelled Code = "E-CANCELLED" // 130
)

var exits = map[Code]int{
	Internal: 1, WindowCrash: 1,
	Usage: 2, Passphrase: 2, KeyRead: 2, Spec: 2, Answers: 2, Exists: 2, KeyUnfit: 2,
	Format: 3, Limit: 3, ManifestInvalid: 3, Path: 3, Entry: 3, Digest: 3, Schema: 3, HashAlg: 3, SignatureMissing: 3,
	SignatureInvalid: 3, SignatureUntrusted: 3, SignatureType: 3, SignatureThreshold: 3, TrustNone: 3, TrustInvalid: 3, Evidence: 3,
	TrustStep: 3, TrustFork: 3, RevocationsInvalid: 3,
	TrustFingerprint: 3, TrustExpired: 3, KeyWeak: 3, VersionOlder: 3, VersionReused: 3, FamilyOther: 3,
	VolumeMissing: 3, VolumeDamaged: 3, VolumeStale: 3, VolumeIndex: 3, InstalledChanged: 3,
	BundleMissing: 4, VersionUnknown: 4,
	NoVariant: 5, VariantIneligible: 5, VariantUnknown: 5,
	SmokeFailed: 6, EngineLibrary: 6, EngineLoad: 6, EngineNeeded: 6, ModelInvalid: 6, ModelLimit: 6, ModelCrash: 6,
	Contract: 6, NotRun: 6, SecondOpinion: 6,
	NotSignedOff: 7, NotLive: 7, StageOrder: 7, PolicyNone: 7, PolicyInvalid: 7, PolicyRefuses: 7, SignoffInvalid: 7,
	SignoffRefused: 7, SignoffVoid: 7, RequestStale: 7, RequestOther: 7, Request: 3, RequestTrust: 3, LogExport: 3, Lease: 8, LogBroken: 7, RecordEdited: 7, MachineOther: 7, VersionInUse: 7, RollbackNone: 7,
	Revoked: 7, KnowledgeOld: 7, ClosedExpired: 7,
	IO: 8, Space: 8, SourceMissing: 8, MediumRemoved: 8, MediumDamaged: 8, RootReadonly: 8, RootFilesystem: 8,
	EmergencyNeedless: 2, EmergencyPaper: 7, EmergencyReview: 7, EmergencyOver: 7, EmergencyClock: 7, EmergencyRefused: 7,
	ReviewSelf: 7, ReviewNone: 7, ProgramUnknown: 3, ProgramChanged: 3, ProvenanceSignature: 3, ProvenanceFiles: 3,
	WindowMissing: 8, WindowDisplay: 8, WindowOpenGL: 8, WindowLibrary: 8, WindowSilent: 8,
	Locked: 9, Cancelled: 130,
}

// Codes lists every code.
func Codes() []Code {
	out := make([]Code, 0, len(exits))
	for c := range exits {
		out = append(out, c)
	}
	return out
}
