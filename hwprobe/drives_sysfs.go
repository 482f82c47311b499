package hwprobe

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// notDrives are file systems on block devices that hold programs, not files of people.
var notDrives = map[string]bool{"squashfs": true, "swap": true, "erofs": true}

// stickPlaces are where desktops and udisks mount what people plug in.
var stickPlaces = []string{"/media/", "/run/media/", "/mnt/usb"}

// linuxDrives lists file systems on block devices by /proc/self/mountinfo; sysfs and udev tell the rest.
func (p *prober) linuxDrives(ctx context.Context) ([]Drive, []Note) {
	table, ok := p.read("proc/self/mountinfo")
	if !ok {
		return nil, []Note{{What: "drives", Reason: "/proc/self/mountinfo cannot be read: mounted drives are not known"}}
	}
	var out []Drive
	var notes []Note
	at := map[string]int{} // device -> index in out, so that bind mounts of one device count once
	for _, m := range parseMountInfo(table) {
		if !strings.HasPrefix(m.source, "/dev/") || notDrives[m.kind] {
			continue
		}
		if i, dup := at[m.source]; dup {
			if m.root == "/" && len(m.point) < len(out[i].Mount) {
				out[i].Mount = m.point
			}
			continue
		}
		d := Drive{Device: m.source, Mount: m.point, Filesystem: strings.TrimPrefix(m.kind, "fuse.")}
		d.ReadOnly = listed(m.options, "ro") || listed(m.super, "ro")
		d.Label = p.label(m)
		hint := p.hints(p.blockName(m))
		d.Removable, d.USB, d.Model = hint.removable, hint.usb, hint.model
		for _, place := range stickPlaces {
			d.Removable = d.Removable || strings.HasPrefix(m.point, place)
		}
		if p.live {
			size, free, err := sizes(ctx, min(p.timeout, 2*time.Second), m.point)
			if err != nil {
				notes = append(notes, Note{What: "drives", Reason: "size of " + strconv.Quote(m.point) + ": " + err.Error()})
			}
			d.SizeBytes, d.FreeBytes = size, free
		}
		at[m.source] = len(out)
		out = append(out, d)
	}
	return out, notes
}

// blockName is the kernel's name of a mount's device: by number, else by the name of its source (btrfs shows numbers
// that no block device has).
func (p *prober) blockName(m mount) string {
	if name := p.link("sys/dev/block/" + m.device); name != "" {
		return name
	}
	source := m.source
	if dest := p.link(strings.TrimPrefix(source, "/")); dest != "" { // /dev/mapper/x -> ../dm-0
		return dest
	}
	return filepath.Base(source)
}

type hint struct {
	removable, usb, readOnly, inUse bool
	model                           string
}

var usbPath = regexp.MustCompile(`/usb[0-9]+/`)

// hints looks at the disk below a block device; a mapped device (LUKS) is what its parts are.
func (p *prober) hints(name string) hint { return p.hintsBelow(name, 4) }

func (p *prober) hintsBelow(name string, depth int) hint {
	var h hint
	if name == "" || strings.ContainsAny(name, `/\`) || depth == 0 {
		return h
	}
	dir := "sys/class/block/" + name
	if !p.exists(dir) {
		dir = "sys/block/" + name
	}
	real, err := filepath.EvalSymlinks(p.path(dir))
	if err != nil {
		return h
	}
	if p.exists(dir + "/partition") { // the disk is the folder above
		return p.hintsBelow(filepath.Base(filepath.Dir(real)), depth-1)
	}
	h.inUse = len(p.list(dir+"/holders")) > 0
	for _, part := range p.list(dir) {
		h.inUse = h.inUse || len(p.list(dir+"/"+part+"/holders")) > 0
	}
	if slaves := p.list(dir + "/slaves"); len(slaves) > 0 {
		for _, s := range slaves {
			below := p.hintsBelow(s, depth-1)
			h.removable, h.usb, h.model = h.removable || below.removable, h.usb || below.usb, prefer(h.model, below.model)
		}
		return h
	}
	flag, _ := p.read(dir + "/removable")
	card, _ := p.read(dir + "/device/type")
	ro, _ := p.read(dir + "/ro")
	h.model, _ = p.read(dir + "/device/model")
	h.usb = usbPath.MatchString(filepath.ToSlash(real) + "/")
	h.removable = flag == "1" || h.usb || card == "SD"
	h.readOnly = ro == "1"
	return h
}

// label asks udev's database, then /dev/disk/by-label.
func (p *prober) label(m mount) string {
	if text, ok := p.read("run/udev/data/b" + m.device); ok {
		for line := range strings.Lines(text) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "E:ID_FS_LABEL_ENC="); ok {
				return unhex(v)
			}
		}
	}
	for _, name := range p.list("dev/disk/by-label") {
		if p.link("dev/disk/by-label/"+name) == filepath.Base(m.source) {
			return unhex(name)
		}
	}
	return ""
}

// unhex undoes udev's \x20.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "?")
}
