package awake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// logind is a system bus with nothing but logind's Inhibit on it, spoken over a real socket.
type logind struct {
	t    *testing.T
	mu   sync.Mutex
	args []any    // of the last Inhibit
	hand *os.File // our end of the lock that was given out
}

// serve answers one connection: the handshake, Hello, and Inhibit with a file.
func (l *logind) serve(c *net.UnixConn, refuse bool) {
	defer c.Close()
	in := bufio.NewReader(c)
	if b, err := in.ReadByte(); err != nil || b != 0 {
		return
	}
handshake:
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		reply := "ERROR\r\n"
		switch word := strings.Fields(line); {
		case word[0] == "AUTH" && len(word) == 1:
			reply = "REJECTED EXTERNAL\r\n"
		case word[0] == "AUTH":
			reply = "OK 0123456789abcdef0123456789abcdef\r\n"
		case word[0] == "NEGOTIATE_UNIX_FD":
			reply = "AGREE_UNIX_FD\r\n"
		case word[0] == "BEGIN":
			break handshake
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
	for n := uint32(1); ; n++ {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		answer := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(m.Serial()), dbus.FieldSender: dbus.MakeVariant("org.freedesktop.DBus")}}
		var rights []byte
		var given *os.File
		switch member, _ := m.Headers[dbus.FieldMember].Value().(string); {
		case member == "Hello":
			answer.Body = []any{":1.1"}
		case member == "Inhibit" && !refuse:
			ours, theirs, err := os.Pipe()
			if err != nil {
				l.t.Error(err)
				return
			}
			l.mu.Lock()
			l.args, l.hand = m.Body, ours
			l.mu.Unlock()
			answer.Body = []any{dbus.UnixFD(0)}
			answer.Headers[dbus.FieldUnixFDs] = dbus.MakeVariant(uint32(1))
			rights = unix.UnixRights(int(theirs.Fd()))
			given = theirs
		default:
			answer.Type, answer.Body = dbus.TypeError, []any{"no"}
			answer.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.AccessDenied")
		}
		answer.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(answer.Body...))
		err = l.send(c, answer, n, rights)
		if given != nil {
			given.Close() // the other side has its own now
		}
		if err != nil {
			return
		}
	}
}

func (l *logind) send(c *net.UnixConn, m *dbus.Message, serial uint32, rights []byte) error {
	var out bytes.Buffer
	if err := m.EncodeTo(&out, binary.LittleEndian); err != nil {
		l.t.Error(err)
		return err
	}
	binary.LittleEndian.PutUint32(out.Bytes()[8:], serial) // which only the library's own connections can set
	_, _, err := c.WriteMsgUnix(out.Bytes(), rights, nil)
	return err
}

// bus starts the fake bus and makes it the system's for this test.
func bus(t *testing.T, refuse bool) *logind {
	t.Helper()
	at := filepath.Join(t.TempDir(), "bus")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l := &logind{t: t}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		for {
			c, err := ln.AcceptUnix()
			if err != nil {
				return
			}
			l.serve(c, refuse)
		}
	}()
	t.Cleanup(func() { ln.Close(); done.Wait() })
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+at)
	return l
}

// TestHoldTakesLogindsLock: the lock is asked for in the words that logind knows, is held until release, and is gone then.
func TestHoldTakesLogindsLock(t *testing.T) {
	l := bus(t, false)
	release, held := Hold("a bundle is being installed")
	if !held {
		t.Fatal("not held")
	}
	l.mu.Lock()
	args, hand := l.args, l.hand
	l.mu.Unlock()
	want := []any{"sleep:idle", "Sluice", "a bundle is being installed", "block"}
	if len(args) != len(want) {
		t.Fatalf("logind was asked for %v, want %v", args, want)
	}
	for i := range want {
		if args[i] != want[i] {
			t.Errorf("logind was asked for %v, want %v", args, want)
		}
	}
	gone := make(chan struct{})
	go func() { // logind lets the lock go when the file is closed everywhere
		_, _ = hand.Read(make([]byte, 1))
		close(gone)
	}()
	select {
	case <-gone:
		t.Fatal("the lock is gone before it is released")
	case <-time.After(150 * time.Millisecond):
	}
	release()
	release()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the lock outlasts its release")
	}
}

// TestHoldSaysWhenNothingHolds: no bus, and a logind that refuses, are no error and are not called held.
func TestHoldSaysWhenNothingHolds(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	release, held := Hold("x")
	release()
	if held {
		t.Error("held without a bus")
	}
	bus(t, true)
	if release, held = Hold("x"); held {
		t.Error("held although logind refuses")
	}
	release()
}
