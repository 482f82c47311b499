"""Times the real window from outside, as a person sees it: input is injected with XTest (as xdotool does), answers are
pixels read back from the X server. Used by bench-window.sh.

  start RUNS COMMAND…   milliseconds from starting a program until its window shows more than 20 colours
  input SECONDS [GLOB]  a key every 200 ms, and the milliseconds until the window answers; ends early when no file matches GLOB
"""

import ctypes as c
import glob
import json
import os
import signal
import subprocess
import sys
import time

X = c.CDLL("libX11.so.6")
T = c.CDLL("libXtst.so.6")
P, UL, I = c.c_void_p, c.c_ulong, c.c_int
X.XOpenDisplay.restype = P
X.XDefaultRootWindow.restype = UL
X.XDefaultRootWindow.argtypes = [P]
X.XGetImage.restype = P
X.XGetImage.argtypes = [P, UL, I, I, c.c_uint, c.c_uint, UL, I]
X.XKeysymToKeycode.argtypes = [P, UL]
X.XKeysymToKeycode.restype = c.c_ubyte
X.XFlush.argtypes = [P]
X.XSync.argtypes = [P, I]
X.XInternAtom.restype = UL
X.XInternAtom.argtypes = [P, c.c_char_p, I]
X.XTranslateCoordinates.argtypes = [P, UL, UL, I, I, c.POINTER(I), c.POINTER(I), c.POINTER(UL)]
X.XQueryTree.argtypes = [P, UL, c.POINTER(UL), c.POINTER(UL), c.POINTER(c.POINTER(UL)), c.POINTER(c.c_uint)]
X.XFree.argtypes = [P]
X.XGetGeometry.argtypes = [P, UL, c.POINTER(UL)] + [c.POINTER(I)] * 2 + [c.POINTER(c.c_uint)] * 4
X.XDisplayWidth.argtypes = X.XDisplayHeight.argtypes = [P, I]
T.XTestFakeKeyEvent.argtypes = [P, c.c_uint, I, UL]

TAB, SHIFT = 0xFF09, 0xFFE1


class Image(c.Structure):
    _fields_ = [("width", I), ("height", I), ("xoffset", I), ("format", I), ("data", P), ("byte_order", I), ("unit", I),
                ("bit_order", I), ("pad", I), ("depth", I), ("bytes_per_line", I)]


class Text(c.Structure):
    _fields_ = [("value", c.c_char_p), ("encoding", UL), ("format", I), ("nitems", UL)]


X.XDestroyImage.argtypes = [P]
X.XGetWMName.argtypes = [P, UL, c.POINTER(Text)]
# A window may go away between two calls: that is an answer here, not the end of the program.
ignore = c.CFUNCTYPE(I, P, P)(lambda d, e: 0)
X.XSetErrorHandler(ignore)
display = X.XOpenDisplay(None)
if not display:
    sys.exit("no display")
root = X.XDefaultRootWindow(display)


def pixels(x, y, w, h):
    p = X.XGetImage(display, root, x, y, w, h, 0xFFFFFFFF, 2)
    if not p:
        return b""
    im = c.cast(p, c.POINTER(Image)).contents
    out = c.string_at(im.data, im.bytes_per_line * im.height)
    X.XDestroyImage(p)
    return out


def find(at=None):
    """The shown window called Sluice: x, y, width, height on the screen."""
    at = at or root
    r, parent, kids, n = UL(), UL(), c.POINTER(UL)(), c.c_uint()
    if not X.XQueryTree(display, at, c.byref(r), c.byref(parent), c.byref(kids), c.byref(n)):
        return None
    ids = [kids[i] for i in range(n.value)]
    if kids:
        X.XFree(kids)
    for w in ids:
        name = Text()  # in whatever encoding: pages have other letters in their names, and XFetchName knows Latin-1 only
        if X.XGetWMName(display, w, c.byref(name)) and (name.value or b"").startswith(b"Sluice"):
            x, y, wd, ht, b, d = I(), I(), c.c_uint(), c.c_uint(), c.c_uint(), c.c_uint()
            X.XGetGeometry(display, w, c.byref(r), c.byref(x), c.byref(y), c.byref(wd), c.byref(ht), c.byref(b), c.byref(d))
            if wd.value > 200:
                ax, ay = I(), I()
                X.XTranslateCoordinates(display, w, root, 0, 0, c.byref(ax), c.byref(ay), c.byref(r))
                return ax.value, ay.value, wd.value, ht.value
        deeper = find(w)
        if deeper:
            return deeper
    return None


def colours(box):
    x, y, w, h = box
    # A grid of lines is enough to tell a painted page from an empty one, and cheap.
    seen = set()
    for row in range(0, h, 24):
        line = pixels(x, y + row, w, 1)
        seen.update(line[i:i + 3] for i in range(0, len(line), 4))
    return len(seen)


def visible(box):
    x, y, w, h = box
    return x >= 0 and y >= 0 and x + w <= X.XDisplayWidth(display, 0) and y + h <= X.XDisplayHeight(display, 0)


def start(runs, command):
    took, told = [], []
    for _ in range(runs):
        began = time.monotonic()
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while True:
            box = find()
            if box and visible(box) and colours(box) > 20:
                break
            if p.poll() is not None or time.monotonic() - began > 60:
                sys.exit("no window")
            time.sleep(0.01)
        took.append((time.monotonic() - began) * 1000)
        time.sleep(0.5)
        os.killpg(p.pid, signal.SIGTERM)
        p.wait()
        while find():
            time.sleep(0.05)
        time.sleep(0.5)
    print(json.dumps([round(t) for t in took]))


def key(sym, down):
    T.XTestFakeKeyEvent(display, X.XKeysymToKeycode(display, sym), down, 0)


def tab(back):
    if back:
        key(SHIFT, 1)
    key(TAB, 1)
    key(TAB, 0)
    if back:
        key(SHIFT, 0)
    X.XFlush(display)


def inputs(seconds, while_there):
    """One Tab, one Shift+Tab, every 200 ms: the focus moves to and fro between two links of the rail."""
    box = find()
    x, y, w, h = box

    def rail():
        return pixels(x, y + h - 260, 248, 260)

    tab(False)  # the first one ever writes the shortcuts into the rail: no sign yet that the keyboard is there
    time.sleep(0.5)
    for _ in range(20):  # brings the keyboard to the rail
        before = rail()
        tab(False)
        time.sleep(0.15)
        if rail() != before:
            break
    time.sleep(0.3)
    took, lost, i = [], 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if while_there and not glob.glob(while_there):
            break
        due = time.monotonic() + 0.2
        before = rail()
        began = time.monotonic()
        tab(i % 2 == 1)
        i += 1
        while rail() == before:
            if time.monotonic() - began > 2:
                lost += 1
                break
            time.sleep(0.002)
        else:
            took.append((time.monotonic() - began) * 1000)
        time.sleep(max(0, due - time.monotonic()))
    print(json.dumps({"ms": [round(t, 1) for t in took], "lost": lost}))


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(int(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1] == "input":
        inputs(float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
