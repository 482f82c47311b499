//go:build !windows

package slot

func (d *Dir) placeLink(target string) error { return d.swapLink(target) }
