#!/usr/bin/env python3
"""Checks evidence packs by the steps of evidence.md, with Python's own library only. It shares nothing with the program that writes them.

  evidence-check.py --oem FINGERPRINT --site FINGERPRINT PACK...
Exit 0: every pack holds. Exit 1: one does not, said on stderr. Exit 2: wrong usage."""
import base64, decimal, hashlib, itertools, json, re, sys, time

# --- Ed25519, RFC 8032 section 5.1, extended coordinates -------------------------------------------------------------
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)

class Bad(Exception):
    """A pack that does not hold."""
def want(ok, text, *args):
    if not ok:
        raise Bad(text % args if args else text)
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def mul(n, p):
    q = (0, 1, 1, 0)
    while n:
        q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
    return q
def decode_point(raw):
    sign, y = divmod(int.from_bytes(raw, "little"), 1 << 255)
    want(y < P, "a public key is not canonical")
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x * ROOT % P if (x * x - xx) % P else x
    want((x * x - xx) % P == 0 and (x or not sign), "a public key is no point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P
def encode_point(p):
    x, y = (c * pow(p[2], P - 2, P) % P for c in p[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")

BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
points = {}
def good_key(key):
    """The point of a key, which is neither of small order nor written in two ways."""
    if key not in points:
        want(len(key) == 32, "a public key has %d bytes", len(key))
        p = decode_point(key)
        want(encode_point(mul(8, p)) != encode_point((0, 1, 1, 0)), "a public key has small order")
        points[key] = p
    return points[key]
def verify(key, message, sig):
    a, s = good_key(key), int.from_bytes(sig[32:], "little")
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + message).digest(), "little") % L
    return len(sig) == 64 and s < L and encode_point(add(mul(s, BASE), mul(k, (P - a[0], a[1], 1, P - a[3])))) == sig[:32]

# --- bytes and JSON --------------------------------------------------------------------------------------------------
def digest(raw):
    return hashlib.sha384(raw).hexdigest()
def unique(pairs):
    want(len(dict(pairs)) == len(pairs), "a JSON object has a name twice")
    return dict(pairs)
def number(text):
    """A number that is written as RFC 8785 writes it."""
    v = float(text)
    whole = abs(v) < 1e21 and v == int(v)
    shown = str(int(v)) if whole else format(decimal.Decimal(repr(v)), "f") if 1e-6 <= abs(v) < 1e21 else re.sub(r"e-0", "e-", repr(v))
    want(text == shown, "a number %s is not written as RFC 8785 writes it", text[:40])
    return int(v) if whole else v
def parse(raw):
    return json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_int=number, parse_float=number, parse_constant=number)
INDEX = {"schema": str, "made": str, "stage": str, "model_family": str, "version": str, "variant": str, "manifest_sha384": str, "judged_by": {"root": str, "version": int},
         "machine": {"key_id": str, "system": str}, "policy_number": int, "installer": str, "complete": bool, "refused": bool, "?emergency": {"reason": str, "by": str, "at": str},
         "logs": {"*": {"entries": int, "sha384": str, "ranges": [{"first": int, "last": int}]}}}
ENTRY = {"timestamp": str, "log": str, "stage": str, "status": str, "event": str, "artefacts": {"*": str}, "runtime_flags": {"*": str}, "actor": str, "?incident": str, "?code": str,
         "?detail": {"*": None}, "?count": int, "prev": str, "sig": str}
def fits(value, shape, what):
    """Wants the members of a shape, no others, each of its type. ? begins those that may be absent, and then are not empty; * stands for any name."""
    if isinstance(shape, dict):
        want(type(value) is dict, "%s is no object", what)
        want("*" in shape or {k for k in shape if k[0] != "?"} <= set(value) <= {k.strip("?") for k in shape}, "%s has other members", what)
        for k, v in value.items():
            fits(v, shape.get(k, shape.get("*", shape.get("?" + k))), what + "." + k)
            want("?" + k not in shape or v, "%s.%s is empty", what, k)
        return
    want(shape is None or type(value) is (list if isinstance(shape, list) else shape), "%s has another type", what)
    for v in value if isinstance(shape, list) else []:
        fits(v, shape[0], what)
def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
def unbase64(text):
    raw = base64.b64decode(text, validate=True)
    want(base64.b64encode(raw).decode() == text, "no standard base64")
    return raw
def pem_key(raw):
    begin, line, end, rest = raw.decode("ascii").split("\n")
    der = unbase64(line)
    want((begin, end, rest) == ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", ""), "no plain PEM")
    want(len(der) == 44 and der[:12].hex() == "302a300506032b6570032100", "no Ed25519 key")
    good_key(der[12:])
    return der[12:]
def key_id(key):
    return hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + key).hexdigest()
def envelope(raw, kind, keys, threshold):
    """The statement of an envelope with the threshold of keys, and which of them signed."""
    e, signed = parse(raw), []
    want(isinstance(e, dict) and set(e) == {"payload", "payloadType", "signatures"} and e["payloadType"] == "application/vnd.in-toto+json", "no envelope")
    payload = unbase64(e["payload"])
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    want(0 < len(e["signatures"]) <= 64 and threshold >= 1, "an envelope without a signature")
    want(len({s["sig"] for s in e["signatures"]}) == len(e["signatures"]), "a signature stands twice")
    for s in e["signatures"]:
        want(set(s) <= {"keyid", "sig"}, "no signature")
        sig = unbase64(s["sig"])
        for key in keys:
            if key not in signed and verify(key, message, sig):
                want(s.get("keyid", "") in ("", key_id(key)), "a signature names another key")
                signed.append(key)
    want(len(signed) >= threshold, "%d signatures that count, want %d (%s)", len(signed), threshold, kind)
    st = parse(payload)
    want(set(st) == {"_type", "predicate", "predicateType", "subject"} and st["_type"] == "https://in-toto.io/Statement/v1", "no statement")
    want(st["predicateType"] == "urn:sluice:%s:1" % kind, "a statement of type %s, want %s", st["predicateType"], kind)
    return st, signed, len(e["signatures"])
def subject(name, raw):
    return {"name": name, "digest": {"sha256": hashlib.sha256(raw).hexdigest(), "sha384": digest(raw)}}

# --- 1 and 2: container and index ------------------------------------------------------------------------------------
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){0,3}\Z")
def header(name, size, mtime):
    h = (name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0%011o\0" % (size, mtime) + b" " * 8 + b"0" + b"\0" * 100 +
         b"ustar\x0000" + b"\0" * 64 + b"0000000\0" * 2).ljust(512, b"\0")
    return h[:148] + b"%06o\0 " % sum(h) + h[156:]
def container(raw):
    want(len(raw) <= 256 << 20, "larger than 256 MiB")
    files, at, mtime = {}, 0, None
    while raw[at:at + 1] not in (b"\0", b""):
        h = raw[at:at + 512]
        name = h[:100].rstrip(b"\0").decode("ascii", "replace")
        want(re.match(rb"[0-7]{11}\0[0-7]{11}\0", h[124:148]), "no header at %d", at)
        size, mtime = int(h[124:135], 8), int(h[136:147], 8) if mtime is None else mtime
        want(NAME.match(name) and len(name) <= 100 and name not in files and len(files) < 4000, "a name %r", name)
        want(h == header(name, size, mtime), "the header of %s is not as it should be", name)
        end, files[name] = at + 512 + size, raw[at + 512:at + 512 + size]
        at = end + -size % 512
        want(raw[end:at] == b"\0" * (at - end) and at <= len(raw), "%s does not end as it should", name)
    want(raw[at:] == b"\0" * 1024, "the archive does not end as it should")
    want(list(files)[:1] == ["evidence.dsse.json"] and list(files)[1:] == sorted(list(files)[1:]), "the files are not in order")
    return files, mtime
def numbered(files, prefix, suffix):
    names = ["%s%d%s" % (prefix, n, suffix) for n in range(1, len(files) + 1)]
    return [files[n] for n in itertools.takewhile(files.__contains__, names)]

def index(files, mtime):
    raw, key = files.pop("evidence.dsse.json"), pem_key(files.get("machine.pub", b""))
    want(canonical(parse(raw)) == raw, "the index is not canonical")
    st, _, signatures = envelope(raw, "evidence", [key], 1)
    want(signatures == 1 and st["subject"] == [subject(n, files[n]) for n in files], "the files are not those of the index")
    ix = st["predicate"]
    fits(ix, INDEX, "the index")
    want(ix["schema"] == "sluice-evidence/1" and ix["judged_by"]["version"] >= 1, "no index, or judged by no root")
    want(ix["judged_by"]["root"] == ("site" if ix.get("emergency") else "oem"), "an emergency and the vendor's root, or neither")
    want(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mtime)) == ix["made"], "the time of the container is not the index's")
    want(ix["machine"]["key_id"] == key_id(key), "machine.pub is not the machine's key")
    want(ix["stage"] in ("paper", "live") and set(ix["logs"]) <= {"demo", "paper", "live_execution"}, "stage or logs are unknown")
    must = {"machine.pub", "manifest.json", "manifest.sig", "hardware.json", "record.json", "report.json", "report.pdf", "checklist.en.txt", "checklist.pl.txt"}
    must |= {"log/%s.jsonl" % log for log in ix["logs"]}
    want(must <= set(files), "a file is missing: %s", must - set(files))
    for n in set(files) - must - {"smoke.json", "revocations/oem.json", "revocations/site.json"}:
        want(re.match(r"(roots/(oem|site)/[1-9][0-9]*\.root|policies/[1-9][0-9]*|signoffs/(paper|live)/[1-9][0-9]*\.(dsse|form))\.json\Z", n), "an unknown file %s", n)
    return ix, key

# --- 3 and 4: roots and manifest -------------------------------------------------------------------------------------
class Root:
    def __init__(self, raw, of, version):
        whole = parse(raw)
        s = self.signed = whole["signed"]
        want(s["_type"] == "root" and s["version"] == version and s.get("x_sluice_root", of) == of, "root %s version %d is another one", of, version)
        self.raw, self.keys, self.revoked = raw, {}, set()
        for kid, k in s["keys"].items():
            want(k["keytype"] == k["scheme"] == "ed25519" and hashlib.sha256(canonical(k)).hexdigest() == kid, "a root's key has another id")
            self.keys[kid] = bytes.fromhex(k["keyval"]["public"])
            good_key(self.keys[kid])
        want(len(set(self.keys.values())) == len(self.keys), "a root holds a key twice")
        self.signatures = {x["keyid"]: bytes.fromhex(x["sig"]) for x in whole["signatures"]}

    def role(self, name):
        r = self.signed["roles"][name]
        want(1 <= r["threshold"] <= len(set(r["keyids"])) == len(r["keyids"]), "a root's role could never sign")
        return [self.keys[k] for k in r["keyids"] if key_id(self.keys[k]) not in self.revoked], r["threshold"]
    def signs(self, other):
        message, sigs = canonical(other.signed), other.signatures
        good = [k for k in self.signed["roles"]["root"]["keyids"] if k in sigs and verify(self.keys[k], message, sigs[k])]
        want(len(good) >= self.role("root")[1], "a root is not signed by the one before it")
def roots(files, of, fingerprint, limit):
    raws = numbered(files, "roots/%s/" % of, ".root.json")
    want(raws and len(raws) == sum(n.startswith("roots/%s/" % of) for n in files), "the versions of root %s have a gap", of)
    chain = [Root(raw, of, n + 1) for n, raw in enumerate(raws)]
    for before, r in zip(chain[:1] + chain, chain):
        before.signs(r)
        r.signs(r)
    limit = limit or len(chain)
    want(1 <= limit <= len(chain), "root %s has no version %d", of, limit)
    plain = re.sub(r"[\s:-]", "", fingerprint).lower()
    want(plain in [hashlib.sha256(r.raw).hexdigest() for r in chain[:limit]], "no root %s has your fingerprint", of)
    return chain
def by_any(chain, role, raw, kind):
    """The statement of an envelope that some version of a root proves, the newest first."""
    for root in reversed(chain):
        try:
            return envelope(raw, kind, *root.role(role))[0]
        except Bad as e:
            why = e
    raise why
def revocations(files, chains):
    """The ids of revoked people's keys. What the lists name counts no more: the site's list holds for all, the vendor's for the vendor."""
    lists = {of: {"keys": [], "manifests": []} for of in chains}
    for of in [of for of in chains if "revocations/%s.json" % of in files]:
        st = by_any(chains[of], "root", files["revocations/%s.json" % of], "revocations")
        lists[of] = st["predicate"]
        want(st["subject"] == [subject("revocations.json", canonical(lists[of]))] and lists[of]["root"] == of, "a revocation list is another one")
    want(digest(files["manifest.json"]) not in [m["sha384"] for v in lists.values() for m in v["manifests"]], "the bundle is revoked")
    site = {k["key_id"] for k in lists["site"]["keys"]}
    for of, root in ((of, root) for of, chain in chains.items() for root in chain):
        root.revoked = site | {k["key_id"] for k in lists[of]["keys"]}
    return site
def manifest(files, ix, root):
    st, _, _ = envelope(files["manifest.sig"], "manifest", *root.role("targets"))
    m = parse(files["manifest.json"])
    want(st["subject"] == [subject("manifest.json", files["manifest.json"])] and digest(files["manifest.json"]) == ix["manifest_sha384"], "another manifest was signed")
    want(set(st["predicate"]) == {"model_family", "version"}, "the signature says something else")
    for x in (m, st["predicate"]):
        want((x["model_family"], x["version"]) == (ix["model_family"], ix["version"]), "the manifest is that of another version")
    want(ix["variant"] in [v["id"] for v in m["variants"]], "the manifest lacks the variant")

# --- 5 and 6: policies and logs --------------------------------------------------------------------------------------
def policies(files, ix, chain):
    out = {}
    for n in [int(x[9:-5]) for x in files if x.startswith("policies/")]:
        st = by_any(chain, "targets", files["policies/%d.json" % n], "policy")
        want(st["subject"] == [subject("policy.json", canonical(st["predicate"]))] and st["predicate"]["number"] == n, "policy %d is another one", n)
        out[n] = (st["predicate"], st["subject"][0]["digest"]["sha384"])
    want(out and max(out) == ix["policy_number"], "the newest policy is not the index's")
    return out
def logs(files, ix, key):
    out = {}
    for log, x in ix["logs"].items():
        lines, entries, last = files["log/%s.jsonl" % log].split(b"\n"), {}, None
        want(lines.pop() == b"", "log %s does not end with a line feed", log)
        for r in x["ranges"]:
            want(r["first"] >= 1 and r["last"] >= r["first"] and (last is None or r["first"] > last + 1), "log %s has odd ranges", log)
            for n in range(r["first"], r["last"] + 1):
                want(lines, "log %s lacks entry %d", log, n)
                line = lines.pop(0)
                e = parse(line)
                fits(e, ENTRY, "an entry")
                want(canonical(e) == line and time.strptime(e["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ") and len(e["timestamp"]) == 24, "log %s entry %d is not canonical", log, n)
                sig = b'"sig":"%s",' % e["sig"].encode()
                want(len(line) <= 65535 and line.count(sig) == 1 and e["log"] == log, "log %s entry %d is none", log, n)
                want(verify(key, b"sluice-log-v1\0" + line.replace(sig, b""), unbase64(e["sig"])), "log %s entry %d is not the machine's", log, n)
                want(e["prev"] == (entries[n - 1][1] if n > r["first"] else "0" * 96 if n == 1 else e["prev"]), "log %s entry %d does not follow", log, n)
                entries[n] = (e, digest(line))
            last = r["last"]
        want(not lines and last == x["entries"] and entries[last][1] == x["sha384"], "log %s does not end with its head", log)
        out[log] = entries
    return out

# --- 7 to 10: people and outcome -------------------------------------------------------------------------------------
def logged(entries, envelope_digest):
    number, op = None, None
    for e, _ in entries.values():
        d = e.get("detail", {})
        if e["event"] == "signoff" and d.get("op"):
            if d.get("becomes") == envelope_digest:
                number, op = int(d["policy_number"]), d["op"]
            elif d["op"] == op and d.get("result") == "new":
                return number
    raise Bad("the log did not take in a sign-off")
def plain_item(it, answer=None):
    keep = {k: (it if answer is None or k not in ("answer", "comment") else answer).get(k) for k in ("id", "role", "automatic", "optional", "evidence", "answer", "comment")}
    return {k: v for k, v in keep.items() if v}
def check_items(d):
    seen, refused = [], d.get("refused", False)
    for it in d["items"]:
        answer, mine = it.get("answer"), not it.get("automatic") and it["role"] in (d["role"], "every")
        fact = d["evidence"].get(it.get("evidence"), {})
        passed, there = fact.get("passed", False), bool(fact.get("values"))
        want(it["id"] and it["id"] not in seen, "item %s stands twice", it["id"])
        seen.append(it["id"])
        if it["id"] == "model-integrity":
            want(it["role"] == "every" and mine and not it.get("optional") and (refused or answer == "yes"), "model-integrity is not confirmed")
        want(mine or not answer, "item %s is answered by another role", it["id"])
        if mine and (answer or not refused):
            want(answer in ("yes", "no", "not_applicable") and (answer == "yes" or it.get("comment", "").strip()), "item %s has no proper answer", it["id"])
            if not refused:
                want(not it.get("evidence") or passed or answer == "no" or answer == "not_applicable" and not there, "item %s says other than its evidence", it["id"])
                want(answer != "no" or it.get("optional"), "item %s is answered no", it["id"])
        want(refused or not it.get("automatic") or it.get("optional") or passed, "item %s did not pass", it["id"])
    want("model-integrity" in seen, "model-integrity is missing")
def check_form(raw, d):
    want(digest(raw) == d["form_sha384"], "the form is not the one that %s signed", d["person"])
    f = parse(raw)
    want(f["schema"] == "sluice-form/1", "no form")
    for k in ("stage", "model_family", "version", "variant", "manifest_sha384", "machine", "policy_number", "policy_sha384", "evidence", "person", "role", "language"):
        want(f[k] == d[k], "the form has another %s than the decision of %s", k, d["person"])
    answers = {a["id"]: a for a in f["answers"]}
    want(len(answers) == len(f["answers"]) and set(answers) <= {it["id"] for it in f["items"]}, "the form answers what was not asked")
    want([plain_item(it, answers.get(it["id"], {})) for it in f["items"]] == [plain_item(it) for it in d["items"]], "the form has other items than the decision")
    return f

def stage(files, ix, known, log, revoked, name):
    """The decisions of a stage in order, and whether they complete it."""
    newest, prefix, previous = known[ix["policy_number"]][0], "signoffs/%s/" % name, "0" * 96
    raws, forms = numbered(files, prefix, ".dsse.json"), numbered(files, prefix, ".form.json")
    want(raws and len(raws) == len(forms) and 2 * len(raws) == sum(n.startswith(prefix) for n in files), "the sign-offs of %s have a gap", name)
    people, out = {pem_key(p["public_key"].encode()): p for p in newest["people"]}, []
    want(len(people) == len(newest["people"]) == len({p["id"] for p in newest["people"]}), "a policy has a person or key twice")
    for raw, form in zip(raws, forms):
        st, signers, count = envelope(raw, "signoff", list(people), 1)
        d, person = st["predicate"], people[signers[0]]
        want(count == 1 and d["person"] == person["id"] and d["schema"] == "sluice-signoff/1", "a sign-off is not by the one it names")
        want(st["subject"] == [subject("manifest.json", files["manifest.json"])] and d["stage"] == name, "%s signed something else", d["person"])
        for k in ("model_family", "version", "variant", "manifest_sha384", "machine"):
            want(d[k] == ix[k], "%s signed for another %s", d["person"], k)
        want(d["previous"] == previous and d["person"] not in [x["person"] for _, x, _, _ in out], "the sign-offs of %s do not follow each other", name)
        number, took = d["policy_number"], logged(log.get("live_execution" if name == "live" else name, {}), digest(raw))
        want(d["role"] in person["roles"] and person["since"] <= number <= ix["policy_number"] and number in known, "%s might not sign as %s", d["person"], d["role"])
        then, then_digest = known[number]
        was = [p for p in then["people"] if p["id"] == d["person"] and p["public_key"] == person["public_key"] and d["role"] in p["roles"] and not (p.get("retired") and number != ix["policy_number"])]
        want(was and then_digest == d["policy_sha384"], "%s signed under another policy", d["person"])
        want(not person.get("retired") or number < person["retired"] and 1 <= took < person["retired"], "%s had retired", d["person"])
        want(d["meaning"] in ("prepared", "reviewed", "approved") and d["language"] in ("en", "pl") and bool(d.get("reason", "").strip()) == d["refused"], "a decision is odd")
        want(d.get("emergency") == ix.get("emergency"), "%s signed for another emergency, or none", d["person"])
        check_items(d)
        for lg, h in d["log_heads"].items():
            want(lg in ix["logs"] and h["entries"] <= ix["logs"][lg]["entries"] and log[lg].get(h["entries"], (0, h["sha384"]))[1] == h["sha384"], "log %s was another one", lg)
        previous = digest(raw)
        out.append((raw, d, check_form(form, d), person))
    fills = [(d, p) for _, d, _, p in out if key_id(pem_key(p["public_key"].encode())) not in revoked]
    roles, have = newest["stages"][name]["roles"], [d["role"] for d, _ in fills]
    approved = [(d["person"].lower(), p["name"].strip().lower()) for d, p in fills if d["meaning"] == "approved"]
    independent = len(roles) < 2 or any(ix["installer"].strip().lower() not in both for both in approved)
    refused = any(d["refused"] for _, d, _, _ in out)
    return out, all(have.count(r) >= roles.count(r) for r in roles) and bool(approved) and independent and not refused, refused
def report(files, ix, signed, complete, refused):
    r = parse(files["report.json"])
    for k in ("stage", "model_family", "version", "variant", "manifest_sha384", "machine", "policy_number"):
        want(r[k] == ix[k], "the report has another %s", k)
    want((ix["complete"], ix["refused"], r["complete"], r["refused"]) == (complete, refused) * 2 and (r.get("installer", ""), r.get("emergency")) == (ix["installer"], ix.get("emergency")),
         "index or report say another outcome")
    for lang in ("en", "pl"):
        raw = files["checklist.%s.txt" % lang]
        want(r["texts"][lang].encode() == raw and all(d["texts"][lang] == digest(raw) for _, d, _, _ in signed), "another wording was signed")
    want(len(r["decisions"]) == len(signed), "the report has another number of decisions")
    for x, (raw, d, form, person) in zip(r["decisions"], signed):
        shown = {"envelope": parse(raw), "envelope_sha384": digest(raw), "decision": d, "form": form, "person": d["person"], "name": person["name"], "role": d["role"],
                 "meaning": d["meaning"], "signed_at": d["signed_at"], "key_id": key_id(pem_key(person["public_key"].encode()))}
        for k, v in shown.items():
            want(x[k] == v, "the report shows another %s of %s", k, d["person"])
    want(r["checklist"]["items"] == signed[-1][2]["items"] and r["checklist"]["evidence"] == signed[-1][2]["evidence"], "the report shows another checklist")
    record = parse(files["record.json"])  # 11
    want((record["manifest_sha384"], record["variant"]) == (ix["manifest_sha384"], ix["variant"]) and record["proof"]["cases"], "the stage record is another one")
    named = (record["proof"].get("report") or {}).get("sha384")
    want(named == (digest(files["smoke.json"]) if "smoke.json" in files else None), "the smoke report is not the record's")
    parse(files["hardware.json"])
    want(files["report.pdf"].startswith(b"%PDF-"), "the report's pages are no PDF")

def check(raw, oem, site):
    files, mtime = container(raw)
    ix, key = index(files, mtime)
    by, at = ix["judged_by"]["root"], ix["judged_by"]["version"]
    chains = {of: roots(files, of, known, at if of == by else 0) for of, known in (("oem", oem), ("site", site))}
    revoked = revocations(files, chains)
    try:
        manifest(files, ix, chains[by][at - 1])
    except Bad:  # an emergency that the vendor has signed since
        want(by == "site", "the manifest is not signed by the vendor, or not this one")
        manifest(files, ix, chains["oem"][-1])
    known, log = policies(files, ix, chains["site"]), logs(files, ix, key)
    want(ix["stage"] != "live" or stage(files, ix, known, log, revoked, "paper")[1], "stage paper was not complete")
    want(ix["stage"] == "live" or not any(n.startswith("signoffs/live/") for n in files), "a pack about paper holds sign-offs of live")
    signed, complete, refused = stage(files, ix, known, log, revoked, ix["stage"])
    report(files, ix, signed, complete, refused)
    return "%s %s %s, stage %s: %s; signed by %s" % (ix["model_family"], ix["version"], ix["variant"], ix["stage"],
                                                    "refused" if refused else "complete" if complete else "not complete", ", ".join(d["person"] for _, d, _, _ in signed))

def main(args):
    opts, failed = {"--oem": "", "--site": ""}, 0
    while args and args[0] in opts and len(args) > 1:
        opts[args[0]], args = args[1], args[2:]
    if not args or not all(opts.values()):
        print(__doc__, file=sys.stderr)
        return 2
    for name in args:
        try:
            print("OK %s: %s" % (name, check(open(name, "rb").read(), opts["--oem"], opts["--site"])))
        except Exception as e:  # whatever does not have the right form is no pack
            print("BAD %s: %s" % (name, e if isinstance(e, Bad) else "malformed: %r" % e), file=sys.stderr)
            failed = 1
    return failed

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
