package hwprobe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"sluice/internal/child"
	"sluice/internal/printable"
)

// Verb is the hidden argument that makes the program a child of Probe. The program then does nothing but
//
//	os.Exit(hwprobe.ChildMain(os.Stdin, hwprobe.ResultFile()))
//
// Drivers' own libraries are loaded there and nowhere else: one that hangs or crashes ends the child, not the probe.
const Verb = "__devices"

// driverTimeout: a driver without persistence mode wakes each device first, which takes seconds.
const driverTimeout = 15 * time.Second

// maxDriverText limits question and answer, in bytes; maxCards the devices that a library can make us ask for.
const (
	maxDriverText = 1 << 20
	maxCards      = 256
)

// driverQuestion is one line of JSON on the child's stdin.
type driverQuestion struct {
	NVML string `json:"nvml,omitempty"` // path of NVIDIA's management library
	DXGI bool   `json:"dxgi,omitempty"` // ask DirectX (Windows)
}

// driverReport is one line of JSON in the child's result file.
type driverReport struct {
	Driver string       `json:"driver,omitempty"` // version for all devices
	Cards  []driverCard `json:"cards,omitempty"`
	Error  string       `json:"error,omitempty"`
}

// driverCard is what a driver's own library says of one device.
type driverCard struct {
	Address  string `json:"address,omitempty"` // PCI address as sysfs writes it; DXGI tells none
	VendorID string `json:"vendor_id,omitempty"`
	DeviceID string `json:"device_id,omitempty"`
	Name     string `json:"name,omitempty"`
	Memory   int64  `json:"memory,omitempty"` // its own, in bytes
	Driver   string `json:"driver,omitempty"` // version
}

// ResultFile is where a child writes its answer.
func ResultFile() *os.File { return child.ResultFile() }

// ChildMain is the child's main function; it returns the process's exit status: 0 when an answer was written.
func ChildMain(stdin io.Reader, result *os.File) int {
	if result == nil {
		return 2
	}
	raw, err := bufio.NewReader(io.LimitReader(stdin, maxDriverText)).ReadBytes('\n')
	var q driverQuestion
	if err != nil || json.Unmarshal(raw, &q) != nil {
		return 2
	}
	go func() { // the parent never writes more: the next thing read is its end
		_, _ = io.Copy(io.Discard, stdin)
		os.Exit(3)
	}()
	var r driverReport
	switch {
	case q.NVML != "":
		r, err = askNVML(q.NVML)
	case q.DXGI:
		r, err = askDXGI()
	default:
		err = errors.New("nothing is asked")
	}
	if err != nil {
		r = driverReport{Error: err.Error()}
	}
	if json.NewEncoder(result).Encode(r) != nil {
		return 2
	}
	return 0
}

// askDriver starts the child, puts the question and ends it at the deadline. A process that the kernel cannot end (a driver
// that hangs in it) is left behind.
func askDriver(ctx context.Context, exe string, timeout time.Duration, q driverQuestion) (driverReport, error) {
	if exe == "" {
		return driverReport{}, errors.New("there is no program to ask it in")
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel() // ends the child of a question that was given up
	return ask(ctx, timeout+3*time.Second, func() (driverReport, error) {
		r, err := runDriver(limited, exe, q)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("it did not answer within %v and was ended", timeout)
		}
		return r, err
	})
}

func runDriver(ctx context.Context, exe string, q driverQuestion) (driverReport, error) {
	question, err := json.Marshal(q)
	if err != nil {
		return driverReport{}, err
	}
	cmd := exec.Command(exe, Verb)
	cmd.Env = driverEnv(os.Environ())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return driverReport{}, err
	}
	defer stdin.Close()
	c, err := child.Start(cmd)
	if err != nil {
		return driverReport{}, fmt.Errorf("starting %q: %w", exe, err)
	}
	defer c.Release()
	stop := context.AfterFunc(ctx, c.Kill)
	_, _ = stdin.Write(append(question, '\n')) // an error here means that the child has ended; how is seen below
	raw, _ := io.ReadAll(io.LimitReader(c.Results, maxDriverText))
	werr := cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return driverReport{}, ctx.Err()
	}
	if werr != nil {
		return driverReport{}, fmt.Errorf("it ended the process that asked it (%w)", werr)
	}
	return parseDriver(raw)
}

// parseDriver believes no more than it can check: what it reads went through a driver.
func parseDriver(raw []byte) (driverReport, error) {
	var r driverReport
	if err := json.Unmarshal(bytes.TrimSpace(raw), &r); err != nil {
		return driverReport{}, errors.New("it gave no answer")
	}
	if r.Error != "" {
		return driverReport{}, errors.New(printable.Line(r.Error, 300))
	}
	r.Cards = r.Cards[:min(len(r.Cards), maxCards)]
	r.Driver = printable.Line(r.Driver, 100)
	for i := range r.Cards {
		c := &r.Cards[i]
		c.VendorID, c.DeviceID = hexID(c.VendorID), hexID(c.DeviceID)
		c.Name, c.Driver, c.Address = printable.Line(c.Name, 200), printable.Line(c.Driver, 100), printable.Line(c.Address, 40)
		if c.Memory < 0 || c.Memory >= 1<<60 {
			c.Memory = 0
		}
	}
	return r, nil
}

// driverEnv keeps what Windows needs to find its own libraries, and nothing of what leads elsewhere.
func driverEnv(parent []string) []string {
	env := []string{"GOTRACEBACK=none"}
	for _, kv := range parent {
		k, _, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(k) {
		case "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PATH", "TEMP", "TMP":
			if runtime.GOOS == "windows" {
				env = append(env, kv)
			}
		}
	}
	return env
}
