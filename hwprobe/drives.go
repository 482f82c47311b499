package hwprobe

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jaypipes/ghw"
)

// Drives lists mounted file systems with what tells removable media apart, removable ones first. It is a hint: a
// person may always name a folder. Notes say what could not be found out.
func Drives(ctx context.Context) ([]Drive, []Note) {
	drives, notes := mountedDrives(ctx)
	sortDrives(drives)
	return append([]Drive{}, drives...), append([]Note{}, notes...)
}

func sortDrives(drives []Drive) {
	slices.SortStableFunc(drives, func(a, b Drive) int {
		switch {
		case a.Removable != b.Removable:
			if a.Removable {
				return -1
			}
			return 1
		case (a.Mount == "") != (b.Mount == ""):
			if a.Mount != "" {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Device, b.Device)
	})
}

// drives joins what is mounted and what ghw knows of the disks: models, and disks that are not mounted.
func (p *prober) drives(ctx context.Context) []Drive {
	var drives []Drive
	if p.linux {
		var notes []Note
		drives, notes = p.linuxDrives(ctx)
		p.notes = append(p.notes, notes...)
	} else {
		var notes []Note
		drives, notes = mountedDrives(ctx)
		p.notes = append(p.notes, notes...)
	}
	if p.askGHW() {
		info, err := ask(ctx, p.timeout, func() (*ghw.BlockInfo, error) { return ghw.Block(p.ghwOptions()...) })
		if err != nil {
			p.note("drives", "%v", err)
		} else {
			drives = p.joinDisks(drives, info)
		}
	}
	sortDrives(drives)
	return append([]Drive{}, drives...)
}

func (p *prober) joinDisks(drives []Drive, info *ghw.BlockInfo) []Drive {
	for _, d := range info.Disks {
		names := map[string]bool{p.deviceName(d.Name): true}
		for _, part := range d.Partitions {
			names[p.deviceName(part.Name)] = true
			names[part.MountPoint+`\`] = part.MountPoint != "" // Windows: the drive letter
		}
		mounted := false
		for i := range drives {
			if names[drives[i].Device] {
				mounted = true
				drives[i].Model = prefer(drives[i].Model, d.Model)
			}
		}
		if !mounted && d.SizeBytes > 0 && !p.mapped(d.Name) {
			dev := Drive{Device: p.deviceName(d.Name), Model: prefer("", d.Model), SizeBytes: int64(min(d.SizeBytes, 1<<62)), Removable: d.IsRemovable}
			if p.linux {
				hint := p.hints(d.Name)
				dev.Removable, dev.USB, dev.ReadOnly = dev.Removable || hint.removable, hint.usb, hint.readOnly
				if hint.inUse { // by device mapper, RAID or swap
					continue
				}
			}
			drives = append(drives, dev)
		}
	}
	return drives
}

// mapped devices are not disks of their own: their file systems are listed by the names they are mounted under.
func (p *prober) mapped(name string) bool {
	return p.linux && (strings.HasPrefix(name, "dm-") || strings.HasPrefix(name, "zram") || strings.HasPrefix(name, "md"))
}

func (p *prober) deviceName(name string) string {
	if p.linux {
		return "/dev/" + name
	}
	return name
}

// sizes asks for the size of a mounted file system; a stick that was pulled out may keep the question for long.
func sizes(ctx context.Context, timeout time.Duration, at string) (size, free int64, err error) {
	type pair struct{ size, free int64 }
	got, err := ask(ctx, timeout, func() (pair, error) {
		s, f, err := statSizes(at)
		return pair{s, f}, err
	})
	return got.size, got.free, err
}
