"""Drags a file or folder onto a window, as a file manager does: the source's side of XDND version 5.

  drop.py WINDOW PATH    ends with 0 when the window says that it has taken it
"""

import ctypes as c
import os
import sys
import time
import urllib.parse

X = c.CDLL("libX11.so.6")
P, UL, L, I = c.c_void_p, c.c_ulong, c.c_long, c.c_int
X.XOpenDisplay.restype = P
X.XDefaultRootWindow.argtypes = [P]
X.XDefaultRootWindow.restype = UL
X.XCreateSimpleWindow.argtypes = [P, UL, I, I, c.c_uint, c.c_uint, c.c_uint, UL, UL]
X.XCreateSimpleWindow.restype = UL
X.XInternAtom.argtypes = [P, c.c_char_p, I]
X.XInternAtom.restype = UL
X.XSetSelectionOwner.argtypes = [P, UL, UL, UL]
X.XTranslateCoordinates.argtypes = [P, UL, UL, I, I, c.POINTER(I), c.POINTER(I), c.POINTER(UL)]
X.XChangeProperty.argtypes = [P, UL, UL, UL, I, I, c.c_char_p, I]
X.XSendEvent.argtypes = [P, UL, I, L, P]
X.XPending.argtypes = [P]
X.XNextEvent.argtypes = [P, P]
X.XFlush.argtypes = [P]

CLIENT_MESSAGE, SELECTION_REQUEST, SELECTION_NOTIFY = 33, 30, 31


class Message(c.Structure):
    _fields_ = [("type", I), ("serial", UL), ("sent", I), ("display", P), ("window", UL), ("kind", UL), ("format", I), ("data", L * 5)]


class Request(c.Structure):
    _fields_ = [("type", I), ("serial", UL), ("sent", I), ("display", P), ("owner", UL), ("requestor", UL), ("selection", UL),
                ("target", UL), ("property", UL), ("time", UL)]


class Answer(c.Structure):
    _fields_ = [("type", I), ("serial", UL), ("sent", I), ("display", P), ("requestor", UL), ("selection", UL), ("target", UL),
                ("property", UL), ("time", UL)]


class Event(c.Union):
    _fields_ = [("type", I), ("message", Message), ("request", Request), ("answer", Answer), ("pad", L * 24)]


d = X.XOpenDisplay(None)
if not d:
    sys.exit("no display")
root = X.XDefaultRootWindow(d)
target = int(sys.argv[1], 0)
uris = ("file://" + urllib.parse.quote(os.path.abspath(sys.argv[2])) + "\r\n").encode()
atom = lambda name: X.XInternAtom(d, name, 0)
uri_list, copy, selection = atom(b"text/uri-list"), atom(b"XdndActionCopy"), atom(b"XdndSelection")
own = X.XCreateSimpleWindow(d, root, 0, 0, 1, 1, 0, 0, 0)
X.XSetSelectionOwner(d, selection, own, 0)
x, y, child = I(), I(), UL()
X.XTranslateCoordinates(d, target, root, 400, 300, c.byref(x), c.byref(y), c.byref(child))


def send(kind, *data):
    e = Event()
    e.message.type, e.message.display, e.message.window, e.message.kind, e.message.format = CLIENT_MESSAGE, d, target, atom(kind), 32
    e.message.data[0] = own
    for i, v in enumerate(data):
        e.message.data[i + 1] = v
    X.XSendEvent(d, target, 0, 0, c.byref(e))
    X.XFlush(d)


def wait(kind, seconds=60):
    """The next message of a kind; requests for what is dragged are answered meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not X.XPending(d):
            time.sleep(0.02)
            continue
        e = Event()
        X.XNextEvent(d, c.byref(e))
        if e.type == CLIENT_MESSAGE and e.message.kind == atom(kind):
            return e.message
        if e.type == SELECTION_REQUEST:
            r = e.request
            X.XChangeProperty(d, r.requestor, r.property, uri_list, 8, 0, uris, len(uris))
            a = Event()
            a.answer.type, a.answer.display, a.answer.requestor, a.answer.selection = SELECTION_NOTIFY, d, r.requestor, r.selection
            a.answer.target, a.answer.property, a.answer.time = r.target, r.property, r.time
            X.XSendEvent(d, r.requestor, 0, 0, c.byref(a))
            X.XFlush(d)
    sys.exit("the window does not answer with " + kind.decode())


send(b"XdndEnter", 5 << 24, uri_list)
send(b"XdndPosition", 0, x.value << 16 | y.value, 0, copy)
if not wait(b"XdndStatus").data[1] & 1:
    sys.exit("the window refuses what is dragged")
send(b"XdndDrop", 0, 0)
if not wait(b"XdndFinished").data[1]:  # GLFW writes a length where the bit "accepted" stands
    sys.exit("the window did not take what was dropped")
