#!/usr/bin/env python3
"""Fetches one package file of PyPI or npm, whole or not at all; `tools/setup` calls it.

    fetch.py pip NAME==VERSION  SHA256 DESTINATION
    fetch.py npm NAME@VERSION   SHA256 DESTINATION
    fetch.py unzip WHEEL FOLDER PREFIX...     unpacks the members that begin with one of the prefixes

Which server is asked is decided by the user's own pip and npm configuration. A download grows in DESTINATION.part and
goes on from there the next time; it gets its name only after its SHA-256 has been found right. When the file's address
cannot be read directly (a private index with its own way of logging in), pip or npm fetches the file itself.
The command in $NPM is used for npm (default: npm). Exit status 1 and one sentence when it did not work.
"""
from __future__ import annotations

import glob
import hashlib
import json
import os
import shlex
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

# torch is wanted for its C++ libraries, so any CPython's wheel serves, whatever Python runs this script.
GLIBC = (5, 12, 17, 18, 24, 25, 26, 27, 28)
WHEEL = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11",
         *(a for n in GLIBC for a in ("--platform", f"manylinux_2_{n}_x86_64")), "--platform", "manylinux2014_x86_64"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
NPM = shlex.split(os.environ.get("NPM", "npm"))
# What the system trusts: node and some Pythons bring lists of their own and know nothing of an organisation's.
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
if os.path.exists(SYSTEM_CA):
    os.environ.setdefault("NODE_EXTRA_CA_CERTS", SYSTEM_CA)


class Failed(Exception):
    """One sentence for the user."""


def output(command: list[str], **more) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          **more)
    if done.returncode:
        why = [line.strip() for line in done.stderr.splitlines() if line.strip() and "log of this run" not in line]
        raise Failed(why[-1] if why else f"{Path(command[0]).name}: status {done.returncode}")
    return done.stdout


def pip_address(what: str, folder: str) -> str:
    report = os.path.join(folder, "report.json")
    output([*PIP, "install", "--dry-run", "--ignore-installed", "--target", os.path.join(folder, "t"), *WHEEL,
            "--report", report, what])
    with open(report, encoding="utf-8") as f:
        return json.load(f)["install"][0]["download_info"]["url"]


def npm_address(what: str, folder: str) -> str:
    # npm refuses settings of some folders' .npmrc; a neutral folder leaves only the user's own.
    return output([*NPM, "view", "--cache", os.path.join(folder, "c"), what, "dist.tarball"], cwd=folder).strip()


def pip_itself(what: str, folder: str) -> str:
    output([*PIP, "download", "--no-cache-dir", "--dest", os.path.join(folder, "d"), *WHEEL, what])
    return glob.glob(os.path.join(folder, "d", "*.whl"))[0]


def npm_itself(what: str, folder: str) -> str:
    output([*NPM, "pack", "--cache", os.path.join(folder, "c"), "--pack-destination", folder, what], cwd=folder)
    return glob.glob(os.path.join(folder, "*.tgz"))[0]


KINDS = {"pip": (pip_address, pip_itself), "npm": (npm_address, npm_itself)}


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Progress:
    """`  312 of 527 MB`, rewritten in place on a terminal, else a line at every tenth."""

    def __init__(self, total: int):
        self.total, self.tty, self.shown, self.when = total, sys.stderr.isatty(), -1, 0.0

    def at(self, done: int) -> None:
        tenth = 10 * done // max(self.total, 1)
        if self.tty and (time.monotonic() - self.when > 0.2 or done == self.total):
            self.when = time.monotonic()
            print(f"\r    {done / 1e6:.0f} of {self.total / 1e6:.0f} MB ", end="", file=sys.stderr, flush=True)
        elif not self.tty and tenth != self.shown and self.total > 20e6:
            print(f"    {done / 1e6:.0f} of {self.total / 1e6:.0f} MB", file=sys.stderr, flush=True)
        self.shown = tenth

    def end(self) -> None:
        if self.tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def tls() -> ssl.SSLContext:
    """What pip trusts, we trust: its `cert` setting, else the system's certificates."""
    ca = os.environ.get("PIP_CERT") or subprocess.run(
        [*PIP, "config", "get", "global.cert"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.strip()
    ca = ca or os.environ.get("SSL_CERT_FILE") or (SYSTEM_CA if os.path.exists(SYSTEM_CA) else None)
    return ssl.create_default_context(cafile=ca)


def stream(address: str, part: Path) -> None:
    """Appends what is missing to `part`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "vigia-setup"})
    if have and not address.startswith("file:"):
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=60, context=tls())
    except urllib.error.HTTPError as e:
        if e.code == 416:  # nothing is missing (or it is longer than it should be: the checksum will tell)
            return
        raise
    with answer, part.open("ab" if getattr(answer, "status", None) == 206 else "wb") as out:
        done = out.tell()
        if done:
            print(f"    going on at {done / 1e6:.0f} MB", file=sys.stderr)
        length = int(answer.headers.get("Content-Length") or 0)
        total = done + length
        progress = Progress(total)
        while block := answer.read(1 << 20):
            out.write(block)
            done += len(block)
            progress.at(done)
        progress.end()
    if length and done < total:
        raise OSError(f"the connection ended after {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def fetch(kind: str, what: str, checksum: str, destination: Path) -> None:
    """DESTINATION holds the file with that checksum, or Failed is raised."""
    if destination.exists():
        if sha256(destination) == checksum:
            return
        print(f"    {destination.name} is damaged, fetching it again", file=sys.stderr)
        destination.unlink()
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    address_of, itself = KINDS[kind]
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetch-") as folder:
        last: Exception = Failed("no attempt was made")
        for attempt in range(3):
            try:
                stream(address_of(what, folder), part)
            except urllib.error.HTTPError as e:
                last = Failed(f"{kind} names an address for {what} that answers {e.code} {e.reason}")
                break  # it will not change its mind; pip or npm may know how to log in
            except (Failed, OSError) as e:
                last = e
                time.sleep(attempt)
                continue
            if sha256(part) == checksum:
                part.replace(destination)
                return
            last = Failed(f"{what} came with another checksum than {checksum}")
            part.unlink()  # half of it may be from another file: start afresh
        try:
            got = Path(itself(what, folder))
        except (Failed, IndexError) as e:
            raise Failed(f"{what} could not be fetched ({last if str(last) == str(e) else f'{last}; {e}'}). Is this machine online? "
                         "What has arrived is kept: run the set-up again to go on.") from None
        if sha256(got) != checksum:
            raise Failed(f"{what} as {kind} delivers it does not have the checksum {checksum}; nothing was installed")
        got.replace(destination)
        part.unlink(missing_ok=True)


def unzip(wheel: Path, folder: Path, prefixes: tuple[str, ...]) -> None:
    with zipfile.ZipFile(wheel) as z:
        members = [m for m in z.infolist() if m.filename.startswith(prefixes) and not m.is_dir()]
        if not members:
            raise Failed(f"{wheel.name} holds nothing of {', '.join(prefixes)}")
        progress, done = Progress(sum(m.file_size for m in members)), 0
        for m in members:
            z.extract(m, folder)  # checks the member's CRC
            done += m.file_size
            progress.at(done)
        progress.end()


def main(argv: list[str]) -> int:
    try:
        if len(argv) >= 4 and argv[0] == "unzip":
            unzip(Path(argv[1]), Path(argv[2]), tuple(argv[3:]))
        elif len(argv) == 4 and argv[0] in KINDS:
            fetch(argv[0], argv[1], argv[2], Path(argv[3]).absolute())
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (Failed, OSError, zipfile.BadZipFile) as e:
        print(f"    {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
