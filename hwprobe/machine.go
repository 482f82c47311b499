// Package hwprobe says what this machine is, and which variants of a bundle fit it and why the others do not.
// It installs nothing, loads no model and trusts nothing; what it cannot find out is "unknown" with a reason, never
// an error. docs/probe.md describes the JSON form of everything here.
package hwprobe

// Machine is what was found. Lists are never null in JSON.
type Machine struct {
	OS           string        `json:"os"`      // GOOS name of the program
	Arch         string        `json:"arch"`    // GOARCH name of the program
	Virtual      string        `json:"virtual"` // "" on bare metal as far as can be told, else "kvm", "docker", "kvm+docker", …
	CPU          CPU           `json:"cpu"`
	MemoryMiB    Memory        `json:"memory_mib"`
	GPUs         []GPU         `json:"gpus"`
	Accelerators []Accelerator `json:"accelerators"`
	Drives       []Drive       `json:"drives"`
	Libraries    []Library     `json:"libraries"` // of the system, loaded into this process to answer; recorded, not vouched for
	Notes        []Note        `json:"notes"`     // what could not be found out, and why
}

// CPU is the processor as this process may use it. 0 and "" are unknown.
type CPU struct {
	Vendor   string   `json:"vendor"`           // as the processor gives it: "GenuineIntel", "AuthenticAMD", "ARM", …
	Model    string   `json:"model"`            // name for people
	Packages int      `json:"packages"`         // sockets
	Cores    int      `json:"cores"`            // physical cores that this process may run on, a container's quota included
	Threads  int      `json:"threads"`          // hardware threads that this process may run on, quota included
	Online   int      `json:"online"`           // hardware threads of the whole machine that are switched on
	Present  int      `json:"present"`          // hardware threads of the whole machine, those switched off included
	Quota    float64  `json:"quota,omitempty"`  // CPUs that a container's quota grants; 0: none found
	Features []string `json:"features"`         // lower case, names of /proc/cpuinfo, sorted; what every core offers
	Known    bool     `json:"features_known"`   // the list of features is what the processor says, not a gap
	Reason   string   `json:"reason,omitempty"` // what is missing or estimated above, and why
}

// Memory is main memory in MiB; 0 is unknown.
type Memory struct {
	Total     int64  `json:"total"`     // what the operating system manages, or the container's limit where that is less
	Available int64  `json:"available"` // what a new process could have now without swapping
	Installed int64  `json:"installed"` // physical memory, as far as the system tells; never less than what the system manages
	Limit     int64  `json:"limit,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// GPU is one graphics or compute device. "" is unknown.
type GPU struct {
	Vendor    string `json:"vendor"`           // "nvidia", "amd", "intel", …, or "unknown"
	VendorID  string `json:"vendor_id"`        // PCI vendor id, four lower-case hex digits
	DeviceID  string `json:"device_id"`        // PCI device id, likewise
	Product   string `json:"product"`          // name for people
	Address   string `json:"address"`          // PCI address or the system's name of the device
	MemoryMiB *int64 `json:"memory_mib"`       // the device's own memory; null: unknown, and then no minimum is met
	Driver    string `json:"driver"`           // kernel driver, with its version where the system tells
	Reason    string `json:"reason,omitempty"` // what is unknown, and why
}

// Accelerator is a device for computing that is no graphics card (PCI class 12, but those of GPU makers are in GPUs).
type Accelerator struct {
	Vendor   string `json:"vendor"`
	VendorID string `json:"vendor_id"`
	DeviceID string `json:"device_id"`
	Product  string `json:"product"`
	Address  string `json:"address"`
	Driver   string `json:"driver"`
}

// Drive is a place where files may be: a mounted file system, a drive letter, or a disk that is not mounted.
type Drive struct {
	Device     string `json:"device"`     // "/dev/sdb1", `E:\`
	Mount      string `json:"mount"`      // where its files are; "" not mounted
	Label      string `json:"label"`      // "" none or unknown
	Filesystem string `json:"filesystem"` // "vfat", "ntfs", …; "" unknown
	Model      string `json:"model"`      // of the disk; "" unknown
	SizeBytes  int64  `json:"size_bytes"` // of the file system, or of the disk when not mounted; 0 unknown
	FreeBytes  int64  `json:"free_bytes"` // 0 unknown or full
	Removable  bool   `json:"removable"`  // a hint only: the medium says so, it hangs on USB, or lies where sticks are mounted
	USB        bool   `json:"usb"`
	ReadOnly   bool   `json:"read_only"`
}

// Library is a library of the system that was loaded.
type Library struct {
	Path   string `json:"path"`
	SHA384 string `json:"sha384"`
}

// Note is a gap in what was found.
type Note struct {
	What   string `json:"what"` // "cpu", "memory", "gpu", "names", "drives"
	Reason string `json:"reason"`
}

// Engine is an inference engine that the caller has tried on this machine.
type Engine struct {
	Name      string   `json:"name"` // "reference", "onnxruntime"
	Version   string   `json:"version"`
	Providers []string `json:"providers"`        // execution providers: "cpu", "cuda", …
	Usable    bool     `json:"usable"`           // it really loads here
	Reason    string   `json:"reason,omitempty"` // why it does not
}

// Verdict is whether one variant fits this machine.
type Verdict struct {
	Variant  string   `json:"variant"`
	Eligible bool     `json:"eligible"`
	Reasons  []Reason `json:"reasons"` // one for each unmet requirement; empty when eligible
	Priority int      `json:"priority"`
}

// Reason is one unmet requirement.
type Reason struct {
	Field string `json:"field"` // the field of the variant: "requires.os", "engine", …
	Want  string `json:"want"`
	Have  string `json:"have"`
	// Unknown says that it is not met only because this could not be found out: "os", "arch", "cpu_features", "cores",
	// "memory", "gpu" (whether there is one), "gpu_device", "gpu_memory". "" when it is known not to be met.
	Unknown string `json:"unknown,omitempty"`
}
