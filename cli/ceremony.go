package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/bundle"
	"sluice/installer/slot"
	"sluice/internal/fault"
	"sluice/internal/fsx"
	"sluice/verify"
)

// ceremonyVerbs change lists of trusted keys: a draft travels from person to person, each adds a signature on a machine of their own,
// and copies that were signed apart are joined. docs/trust.md and the runbooks tell how.
func (a *app) ceremonyVerbs() []*cobra.Command {
	var add, rotate nextFlags
	addCmd := a.verb("add --of oem|site --role root|targets --pub FILE… --out FILE", "trust.add", cobra.NoArgs, func(f *pflag.FlagSet) {
		add.add(a, f)
	}, func(ctx context.Context, _ []string) (result, error) {
		if len(add.pubs) == 0 || add.role == "" {
			return nil, usage("trust add wants --role root or targets, at least one --pub FILE, and --out FILE")
		}
		return add.run(a)
	})
	rotateCmd := a.verb("rotate --of oem|site [--remove KEY]… [--pub FILE]… --out FILE", "trust.rotate", cobra.NoArgs, func(f *pflag.FlagSet) {
		rotate.add(a, f)
		f.StringArrayVar(&rotate.remove, "remove", nil, a.t("flag.remove-key"))
	}, func(ctx context.Context, _ []string) (result, error) {
		if len(rotate.pubs)+len(rotate.remove) == 0 && rotate.expires == "" && rotate.rootThreshold+rotate.threshold == 0 {
			return nil, usage("trust rotate wants something to change: --remove, --pub, --expires, --threshold or --root-threshold")
		}
		return rotate.run(a)
	})
	var sign trustSignFlags
	signCmd := a.verb("sign FILE [--key K]… [--merge COPY]…", "trust.sign", cobra.ExactArgs(1), func(f *pflag.FlagSet) { sign.add(a, f) },
		func(ctx context.Context, args []string) (result, error) { return sign.run(a, args[0]) })
	var revoke revokeFlags
	revokeCmd := a.verb("revoke --of oem|site [--pub FILE|--key-id ID]… [--bundle FILE|--manifest SHA384]… --reason TEXT --out FILE", "trust.revoke", cobra.NoArgs,
		func(f *pflag.FlagSet) { revoke.add(a, f) },
		func(ctx context.Context, _ []string) (result, error) { return revoke.run(ctx, a) })
	return []*cobra.Command{addCmd, rotateCmd, revokeCmd, signCmd}
}

// nextFlags are what drafts of a next list have in common.
type nextFlags struct {
	of, from, role           string
	pubs, remove             []string
	rootThreshold, threshold int
	expires, out             string
	keys                     keyFlags
}

func (n *nextFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&n.of, "of", "oem", a.t("flag.of"))
	f.StringVar(&n.from, "from", "", a.t("flag.from-list"))
	f.StringVar(&n.role, "role", "", a.t("flag.key-role"))
	f.StringArrayVar(&n.pubs, "pub", nil, a.t("flag.new-pub"))
	f.IntVar(&n.rootThreshold, "root-threshold", 0, a.t("flag.next-root-threshold"))
	f.IntVar(&n.threshold, "threshold", 0, a.t("flag.next-threshold"))
	f.StringVar(&n.expires, "expires", "", a.t("flag.next-expires"))
	f.StringVar(&n.out, "out", "", a.t("flag.out-file"))
	n.keys.add(a, f)
}

// previous is the list that the draft follows: the file given, or the installation's newest.
func (n *nextFlags) previous(a *app) ([]byte, error) {
	of, err := rootName(n.of)
	if err != nil {
		return nil, err
	}
	if n.from == "" {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		store, _, err := in.LookTrust(nil)
		if err != nil {
			return nil, err
		}
		return store.RootFile(of, 0)
	}
	raw, err := readLimited(n.from, verify.MaxRootSize)
	if err != nil {
		return nil, err
	}
	info, err := verify.DescribeRoot(raw)
	if err != nil {
		return nil, withPath(err, n.from)
	}
	if info.Of != "" && info.Of != of {
		return nil, usage("--from %q is a list of %q, --of says %q", n.from, info.Of, of)
	}
	return raw, nil
}

func (n *nextFlags) run(a *app) (result, error) {
	if n.out == "" {
		return nil, usage("--out FILE is missing")
	}
	switch n.role {
	case "", verify.RoleRoot, verify.RoleTargets:
	default:
		return nil, usage("--role %q, want root or targets", n.role)
	}
	previous, err := n.previous(a)
	if err != nil {
		return nil, err
	}
	expires, err := parseDate(n.expires, 0)
	if err != nil {
		return nil, err
	}
	c := verify.RootChange{RootThreshold: n.rootThreshold, TargetsThreshold: n.threshold, Expires: expires}
	roles := map[string]bool{}
	for _, hint := range n.remove {
		key, has, err := n.find(previous, hint)
		if err != nil {
			return nil, err
		}
		for _, r := range has {
			if n.role != "" && r != n.role {
				continue
			}
			roles[r] = true
			if r == verify.RoleRoot {
				c.RemoveRoot = append(c.RemoveRoot, key)
			} else {
				c.RemoveTargets = append(c.RemoveTargets, key)
			}
		}
	}
	if n.role != "" {
		roles = map[string]bool{n.role: true}
	}
	if len(n.pubs) > 0 && len(roles) == 0 {
		return nil, usage("--pub without --remove wants --role root or targets")
	}
	for _, path := range n.pubs {
		key, err := readPublicKey(path)
		if err != nil {
			return nil, err
		}
		if roles[verify.RoleRoot] {
			c.AddRoot = append(c.AddRoot, key)
		}
		if roles[verify.RoleTargets] {
			c.AddTargets = append(c.AddTargets, key)
		}
	}
	draft, err := verify.NextRoot(previous, c)
	if err != nil {
		return nil, err
	}
	if len(n.keys.keys) > 0 {
		if draft, err = signRoot(a, &n.keys, draft, previous); err != nil {
			return nil, err
		}
	}
	if err := writeNew(n.out, draft, 0o644); err != nil {
		return nil, err
	}
	return rootProgress(n.out, draft, previous)
}

// find takes a public key file, or digits of a key id or fingerprint.
func (n *nextFlags) find(previous []byte, hint string) (bundle.PublicKey, []string, error) {
	if _, err := os.Stat(hint); err != nil {
		return verify.RootKey(previous, hint)
	}
	key, err := readPublicKey(hint)
	if err != nil {
		return key, nil, err
	}
	roles, err := verify.RolesOf(previous, key)
	if err == nil && len(roles) == 0 {
		err = fault.New(fault.Spec, "key %s (%q) is not in this list", key.Fingerprint(), hint).With("key_id", key.ID()).With("path", hint)
	}
	return key, roles, err
}

func signRoot(a *app, k *keyFlags, draft, previous []byte) ([]byte, error) {
	keys, err := k.load(a)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if draft, err = verify.SignRoot(draft, previous, key); err != nil {
			return nil, err
		}
	}
	return draft, nil
}

type trustSignFlags struct {
	keys     keyFlags
	previous string
	merge    []string
}

func (s *trustSignFlags) add(a *app, f *pflag.FlagSet) {
	s.keys.add(a, f)
	f.StringVar(&s.previous, "previous", "", a.t("flag.previous"))
	f.StringArrayVar(&s.merge, "merge", nil, a.t("flag.merge"))
}

// run signs in place: what is there is replaced whole or not at all.
func (s *trustSignFlags) run(a *app, path string) (result, error) {
	if len(s.keys.keys)+len(s.merge) == 0 {
		return nil, usage("trust sign wants --key K, --merge COPY, or both")
	}
	raw, err := readLimited(path, verify.MaxRevocationsSize)
	if err != nil {
		return nil, err
	}
	var copies [][]byte
	for _, m := range s.merge {
		c, err := readLimited(m, verify.MaxRevocationsSize)
		if err != nil {
			return nil, err
		}
		copies = append(copies, c)
	}
	var out []byte
	var r result
	if isEnvelope(raw) {
		out, r, err = s.list(a, path, raw, copies)
	} else {
		out, r, err = s.root(a, path, raw, copies)
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, ioFault(err, path)
	}
	defer dir.Close()
	return r, fsx.WriteFile(dir, filepath.Base(path), out, 0o644)
}

func (s *trustSignFlags) root(a *app, path string, raw []byte, copies [][]byte) ([]byte, result, error) {
	info, err := verify.ReadRoot(raw)
	if err != nil {
		return nil, nil, withPath(err, path)
	}
	previous, err := s.before(a, path, info)
	if err != nil {
		return nil, nil, err
	}
	for i, c := range copies {
		if raw, err = verify.MergeRoot(raw, c); err != nil {
			return nil, nil, withPath(err, s.merge[i])
		}
	}
	if len(s.keys.keys) > 0 {
		if raw, err = signRoot(a, &s.keys, raw, previous); err != nil {
			return nil, nil, err
		}
	}
	r, err := rootProgress(path, raw, previous)
	return raw, r, err
}

// before finds the list that a draft follows: the file given, one beside it, or one that the installation keeps. Without it
// only keys of the draft itself may sign.
func (s *trustSignFlags) before(a *app, path string, info verify.RootInfo) ([]byte, error) {
	if info.Version < 2 {
		return nil, nil
	}
	if s.previous != "" {
		return readLimited(s.previous, verify.MaxRootSize)
	}
	return beside(a, path, info)
}

func beside(a *app, path string, info verify.RootInfo) ([]byte, error) {
	of := info.Of
	if of == "" {
		of = verify.Oem
	}
	names := []string{verify.RootFileName(of, info.Version-1), strconv.Itoa(info.Version-1) + ".root.json"}
	for _, name := range names {
		raw, err := readLimited(filepath.Join(filepath.Dir(path), name), verify.MaxRootSize)
		if err == nil {
			if before, err := verify.ReadRoot(raw); err == nil && before.Of == info.Of {
				return raw, nil
			}
		}
	}
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	store, _, err := in.LookTrust(nil)
	if err != nil {
		return nil, nil
	}
	raw, err := store.RootFile(of, info.Version-1)
	if err != nil {
		return nil, nil
	}
	return raw, nil
}

func (s *trustSignFlags) list(a *app, path string, raw []byte, copies [][]byte) ([]byte, result, error) {
	if _, _, err := verify.ReadRevocations(raw); err != nil {
		return nil, nil, withPath(err, path)
	}
	var err error
	for i, c := range copies {
		if raw, err = bundle.MergeSignatures(raw, c); err != nil {
			return nil, nil, withPath(err, s.merge[i])
		}
	}
	if len(s.keys.keys) > 0 {
		keys, err := s.keys.load(a)
		if err != nil {
			return nil, nil, err
		}
		for _, k := range keys {
			if raw, err = bundle.AddSignature(raw, k); err != nil {
				return nil, nil, err
			}
		}
	}
	r, err := listProgress(path, raw)
	return raw, r, err
}

// isEnvelope tells a signed statement from a list of trusted keys.
func isEnvelope(raw []byte) bool {
	var w struct {
		PayloadType string `json:"payloadType"`
	}
	return json.Unmarshal(bytes.TrimSpace(raw), &w) == nil && w.PayloadType != ""
}

type revokeFlags struct {
	of, from, date, reason, out string
	pubs, ids                   []string
	bundles, manifests          []string
	keys                        keyFlags
}

func (r *revokeFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&r.of, "of", "oem", a.t("flag.of"))
	f.StringVar(&r.from, "from", "", a.t("flag.from-revocations"))
	f.StringArrayVar(&r.pubs, "pub", nil, a.t("flag.revoke-pub"))
	f.StringArrayVar(&r.ids, "key-id", nil, a.t("flag.revoke-key-id"))
	f.StringArrayVar(&r.bundles, "bundle", nil, a.t("flag.revoke-bundle"))
	f.StringArrayVar(&r.manifests, "manifest", nil, a.t("flag.revoke-manifest"))
	f.StringVar(&r.reason, "reason", "", a.t("flag.revoke-reason"))
	f.StringVar(&r.date, "date", "", a.t("flag.revoke-date"))
	f.StringVar(&r.out, "out", "", a.t("flag.out-file"))
	r.keys.add(a, f)
}

func (r *revokeFlags) run(ctx context.Context, a *app) (result, error) {
	of, err := rootName(r.of)
	if err != nil {
		return nil, err
	}
	if r.reason == "" || r.out == "" || len(r.pubs)+len(r.ids)+len(r.bundles)+len(r.manifests) == 0 {
		return nil, usage("trust revoke wants --pub, --key-id, --bundle or --manifest, with --reason, --key and --out")
	}
	var keys []verify.RevokedKey
	for _, path := range r.pubs {
		k, err := readPublicKey(path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, verify.RevokedKey{KeyID: k.ID(), Reason: r.reason})
	}
	for _, id := range r.ids {
		keys = append(keys, verify.RevokedKey{KeyID: id, Reason: r.reason})
	}
	var manifests []verify.RevokedManifest
	for _, path := range r.bundles {
		src, err := bundle.Open(ctx, path, a.openOptions(path, nil))
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, verify.RevokedManifest{SHA384: slot.Sum(src.ManifestBytes()), Reason: r.reason})
		if err := src.Close(); err != nil {
			return nil, err
		}
	}
	for _, m := range r.manifests {
		d, err := bundle.ParseDigest(m)
		if err != nil {
			return nil, usage("--manifest: %v", err)
		}
		manifests = append(manifests, verify.RevokedManifest{SHA384: d, Reason: r.reason})
	}
	old, err := r.before(a, of)
	if err != nil {
		return nil, err
	}
	issued := a.env.Now()
	if at, err := parseDate(r.date, 0); err != nil || !at.IsZero() {
		if err != nil {
			return nil, err
		}
		issued = at
	}
	list, err := verify.NextRevocations(of, old, issued, keys, manifests)
	if err != nil {
		return nil, err
	}
	signers, err := r.keys.load(a)
	if err != nil {
		return nil, err
	}
	raw, err := verify.SignRevocations(list, signers...)
	if err != nil {
		return nil, err
	}
	if err := writeNew(r.out, raw, 0o644); err != nil {
		return nil, err
	}
	return listProgress(r.out, raw)
}

// before is the list that this one continues: the file given, or the installation's.
func (r *revokeFlags) before(a *app, of verify.Root) (*verify.Revocations, error) {
	var raw []byte
	if r.from != "" {
		var err error
		if raw, err = readLimited(r.from, verify.MaxRevocationsSize); err != nil {
			return nil, err
		}
	} else {
		in, err := a.installer("")
		if err != nil {
			return nil, err
		}
		store, _, err := in.LookTrust(nil)
		if err != nil {
			return nil, err
		}
		raw = store.RevocationsFile(of)
	}
	if raw == nil {
		return nil, nil
	}
	list, _, err := verify.ReadRevocations(raw)
	if err != nil && r.from != "" {
		err = withPath(err, r.from)
	}
	return list, err
}

// trustFile shows a list of trusted keys or a revocation list that lies anywhere, and how far its signatures have come.
func (a *app) trustFile(path string) (result, error) {
	raw, err := readLimited(path, verify.MaxRevocationsSize)
	if err != nil {
		return nil, err
	}
	if isEnvelope(raw) {
		return listProgress(path, raw)
	}
	info, err := verify.ReadRoot(raw)
	if err != nil {
		return nil, withPath(err, path)
	}
	var previous []byte
	if info.Version > 1 {
		if previous, err = beside(a, path, info); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return rootProgress(path, raw, previous)
}

// rootDraft is a list of trusted keys and whose signatures it has and lacks.
type rootDraft struct {
	Path        string          `json:"path"`
	Of          string          `json:"of"`
	Number      int             `json:"number"`
	Fingerprint string          `json:"fingerprint"`
	Expires     string          `json:"expires"`
	Complete    bool            `json:"complete"` // nobody else has to sign
	Own         verify.Quorum   `json:"own"`
	Old         *verify.Quorum  `json:"old,omitempty"` // of the list before; absent for the first, and where that one was not found
	Root        verify.RootInfo `json:"root"`
}

func rootProgress(path string, raw, previous []byte) (*rootDraft, error) {
	info, err := verify.ReadRoot(raw)
	if err != nil {
		return nil, err
	}
	own, old, err := verify.RootQuorums(raw, previous)
	if err != nil {
		return nil, err
	}
	return &rootDraft{Path: path, Of: string(info.Of), Number: info.Version, Fingerprint: info.Fingerprint, Expires: info.Expires.Format("2006-01-02T15:04:05Z"),
		Complete: own.Reached() && (info.Version == 1 || old != nil && old.Reached()), Own: own, Old: old, Root: info}, nil
}

func (r *rootDraft) text(p *printer) {
	shown := r.Root
	if !r.Complete {
		shown.Fingerprint = "" // each further signature changes it
	}
	rootLines(p, shown)
	p.line("")
	p.field(p.t("trust.file"), clean(r.Path))
	p.field(p.t("trust.signed-own"), p.t("trust.signed", "have", r.Own.Have, "want", r.Own.Want))
	switch {
	case r.Old != nil:
		p.field(p.t("trust.signed-old"), p.t("trust.signed", "have", r.Old.Have, "want", r.Old.Want))
	case r.Number > 1:
		p.field(p.t("trust.signed-old"), p.t("trust.previous-unknown", "number", r.Number-1))
	}
	if !r.Complete {
		missing := slices.Clone(r.Own.Absent)
		if r.Own.Reached() {
			missing = nil
		}
		if r.Old != nil && !r.Old.Reached() {
			for _, id := range r.Old.Absent {
				if !slices.Contains(missing, id) {
					missing = append(missing, id)
				}
			}
		}
		p.line("%s %s", p.mark("warn"), p.t("trust.incomplete"))
		for _, id := range missing {
			p.line("    %s", keyText(id))
		}
		return
	}
	p.line("%s %s", p.mark("ok"), p.t("trust.complete"))
	if r.Number == 1 {
		p.say("trust.note")
	} else {
		p.say("trust.to-stick", "name", verify.RootFileName(r.Root.Of, r.Number))
	}
}

// keyText is a key id as its fingerprint shows it.
func keyText(id string) string {
	out := ""
	for i := 0; i+4 <= min(len(id), 32); i += 4 {
		if i > 0 {
			out += " "
		}
		out += id[i : i+4]
	}
	return out
}

// listDraft is a revocation list and who has signed it.
type listDraft struct {
	Path     string              `json:"path"`
	Verified bool                `json:"verified"` // always false: nobody's signature was checked here
	SignedBy []string            `json:"signed_by"`
	List     *verify.Revocations `json:"list"`
}

func listProgress(path string, raw []byte) (*listDraft, error) {
	list, ids, err := verify.ReadRevocations(raw)
	if err != nil {
		return nil, withPath(err, path)
	}
	return &listDraft{Path: path, SignedBy: ids, List: list}, nil
}

func (r *listDraft) text(p *printer) {
	revocationLines(p, r.List)
	p.field(p.t("trust.file"), clean(r.Path))
	for _, id := range r.SignedBy {
		p.field(p.t("trust.signed-by"), keyText(clean(id)))
	}
	p.say("trust.list-to-stick", "name", verify.KeptRevocations(r.List.Root))
}
