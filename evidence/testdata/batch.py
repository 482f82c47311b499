"""Runs docs/evidence-check.py over many packs and changes in one process, for the tests.

batch.py CHECKER OEM SITE; on stdin one line each: PATH, or "PATH OFFSET VALUE" for the pack with one byte changed. One line of answer each."""
import importlib.util
import sys

spec = importlib.util.spec_from_file_location("checker", sys.argv[1])
checker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(checker)
packs = {}
for line in sys.stdin:
    path, *change = line.split()
    if path not in packs:
        with open(path, "rb") as f:
            packs[path] = bytearray(f.read())
    raw = packs[path]
    if change:
        at, value = map(int, change)
        was, raw[at] = raw[at], value
    try:
        answer = "OK " + checker.check(bytes(raw), sys.argv[2], sys.argv[3])
    except checker.Bad as e:
        answer = "BAD %s" % e
    except Exception as e:
        answer = "BAD malformed: %r" % e
    if change:
        raw[at] = was
    print(answer.replace("\n", " "))
