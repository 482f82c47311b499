package cli

import (
	"bufio"
	"context"
	"os"
	"time"

	"github.com/spf13/pflag"

	"sluice/audit"
	"sluice/bundle"
	"sluice/installer"
	"sluice/internal/fault"
)

// exportFlags choose what of the logs is exported.
type exportFlags struct {
	log, since, until, out string
}

func (x *exportFlags) add(a *app, f *pflag.FlagSet) {
	f.StringVar(&x.log, "log", "", a.t("flag.log"))
	f.StringVar(&x.since, "from", "", a.t("flag.from-date"))
	f.StringVar(&x.until, "to", "", a.t("flag.to-date"))
	f.StringVar(&x.out, "out", "", a.t("flag.log-out"))
}

func (x *exportFlags) run(ctx context.Context, a *app) (r result, err error) {
	if x.out == "" {
		return nil, usage("--out FILE is missing")
	}
	o := audit.ExportOptions{}
	if o.Logs, err = logsNamed(x.log); err != nil {
		return nil, err
	}
	if o.From, err = parseDate(x.since, 0); err != nil {
		return nil, err
	}
	if o.To, err = parseDate(x.until, 1); err != nil {
		return nil, err
	}
	in, err := a.installer("")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(x.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return nil, fault.New(fault.Exists, "%q exists", x.out).With("path", x.out)
	}
	if err != nil {
		return nil, ioFault(err, x.out)
	}
	defer func() {
		if err != nil {
			os.Remove(x.out)
		}
	}()
	buf := bufio.NewWriter(f)
	e, err := in.LogExport(ctx, o, buf)
	if err != nil {
		f.Close()
		return nil, err
	}
	err = buf.Flush()
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, ioFault(err, x.out)
	}
	return newExportView(x.out, e), nil
}

// readExport checks an exported file; key may be nil.
func readExport(path string, key *bundle.PublicKey) (*audit.Export, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, ioFault(err, path)
	}
	defer f.Close()
	x, _, err := audit.ReadExport(f, key)
	return x, err
}

// exportVerified checks an exported file on any machine.
func (a *app) exportVerified(path, keyFile string) (result, error) {
	var key *bundle.PublicKey
	if keyFile != "" {
		k, err := readPublicKey(keyFile)
		if err != nil {
			return nil, err
		}
		key = &k
	}
	x, err := readExport(path, key)
	if err != nil {
		return nil, err
	}
	v := newExportView(path, x)
	v.Verified, v.KeyGiven = true, key != nil
	return v, nil
}

// headsOf are the heads that an export of this machine holds; none without a file.
func headsOf(in *installer.Installer, path string) (map[audit.Log]audit.Head, error) {
	if path == "" {
		return nil, nil
	}
	key, err := in.MachineKey()
	if err != nil {
		return nil, err
	}
	x, err := readExport(path, &key)
	if err != nil {
		return nil, err
	}
	return x.Heads(), nil
}

type exportView struct {
	Path        string            `json:"path"`
	Schema      string            `json:"schema"`
	At          string            `json:"at"`
	From        string            `json:"from,omitempty"`
	To          string            `json:"to,omitempty"`
	Fingerprint string            `json:"machine_key_fingerprint"`
	Verified    bool              `json:"verified"`
	KeyGiven    bool              `json:"key_given"` // compared with a key that did not come in the file
	Logs        []audit.ExportLog `json:"logs"`
}

func newExportView(path string, x *audit.Export) *exportView {
	v := &exportView{Path: path, Schema: x.Schema, At: x.At, From: x.From, To: x.To, Logs: x.Logs}
	if k, err := bundle.ParsePublicKey([]byte(x.MachineKey)); err == nil {
		v.Fingerprint = k.Fingerprint()
	}
	return v
}

func (v *exportView) text(p *printer) {
	key := "log.exported"
	if v.Verified {
		key = "log.export.sound"
	}
	at := v.At
	if t, err := time.Parse(time.RFC3339, v.At); err == nil {
		at = t.Format("2006-01-02 15:04:05Z07:00")
	}
	p.line("%s %s", p.mark("ok"), p.t(key, "path", v.Path, "at", at))
	for _, l := range v.Logs {
		p.field(string(l.Log), p.lang().Count("log.export.lines", l.Lines, "first", l.First, "head", l.Head.SHA384.String(), "entries", l.Head.Entries))
	}
	p.field(p.t("log.export.key"), v.Fingerprint)
	if v.Verified && !v.KeyGiven {
		p.line("%s %s", p.mark("warn"), p.t("log.export.self"))
	}
}
