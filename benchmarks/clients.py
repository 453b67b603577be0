"""How each BitTorrent client is started, so that it keeps to TCP, to our tracker and to the address it is given."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from benchmarks.network import Network
from benchmarks.processes import STOP_WITHIN

P2PSHARE = (sys.executable, "-c", "from p2pshare.cli.main import main; main()")


@frozen
class Place:
    """What one client works on, and where."""

    host: str
    port: int
    torrent: Path
    content: Path  # the file or folder itself, there or to come
    work: Path  # the client's own folder
    is_seed: bool

    @property
    def done(self) -> Path:
        """The file it makes when it has everything; a seed need not."""
        return self.work / "done"

    @property
    def hook(self) -> str:
        """Write a script that makes that file; its arguments do not matter."""
        script = self.work / "hook.sh"
        script.write_text(f"#!/bin/sh\n: > {shlex.quote(str(self.done))}\n")
        script.chmod(0o755)
        return str(script)


@frozen
class Client:
    """A program that can be compared."""

    command: Callable[[Place], list[str]]
    install: str = ""  # what to type when it is missing
    program: str = ""  # found on PATH,
    module: str = ""  # or by Python
    needs_private_network: bool = False
    stop_within: float = STOP_WITHIN  # s

    def missing(self, network: Network) -> str | None:
        """Say what stands in the way of starting it."""
        if (self.program and not shutil.which(self.program)) or (
            self.module and importlib.util.find_spec(self.module) is None
        ):
            return f"is not installed; {self.install} brings it"
        if self.needs_private_network and not network.is_private:
            return f"talks to nobody on 127.0.0.0/8, and there is {network.why_not}"
        return None


def _p2pshare(place: Place) -> list[str]:
    folder = str(place.content.parent)
    common = ["--bind", place.host, "--port", str(place.port), "--quiet"]
    if place.is_seed:
        return [*P2PSHARE, "seed", str(place.torrent), "--data", folder, *common]
    hook = ["--seed-until", "forever", "--on-complete", shlex.quote(place.hook)]
    return [*P2PSHARE, "download", str(place.torrent), "-o", folder, *hook, *common]


def _libtorrent(place: Place, style: str = "default") -> list[str]:
    script = str(Path(__file__).with_name("libtorrent_client.py"))
    where = [str(place.content.parent), place.host, str(place.port)]
    return [sys.executable, script, str(place.torrent), *where, str(place.done), style]


def _libtorrent_tuned(place: Place) -> list[str]:
    return _libtorrent(place, "tuned")


def _aria2(place: Place) -> list[str]:
    command = ["aria2c", "--no-conf", "--disable-ipv6", f"--interface={place.host}", f"--listen-port={place.port}"]
    command += ["--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false"]
    command += ["--bt-min-crypto-level=plain", "--bt-require-crypto=false", "--seed-ratio=0.0"]
    command += ["--file-allocation=none", "--summary-interval=0", "--show-console-readout=false"]
    command += ["--console-log-level=warn", f"--dir={place.content.parent}", "--allow-overwrite=true"]
    if place.is_seed:
        command += ["--check-integrity=true", "--bt-hash-check-seed=true"]
    else:
        command += [f"--on-bt-download-complete={place.hook}"]
    return [*command, str(place.torrent)]


def _ctorrent(place: Place) -> list[str]:
    command = ["ctorrent", "-i", place.host, "-p", str(place.port), "-s", str(place.content)]
    command += ["-b", str(place.work / "bitfield"), "-M", "100"]
    # A seed that hashes first announces before it is done, as one that lacks everything.
    command += ["-f"] if place.is_seed else ["-X", place.hook]
    return [*command, str(place.torrent)]


def _transmission(place: Place) -> list[str]:
    watched = place.work / "watched"
    watched.mkdir()
    shutil.copy(place.torrent, watched)
    settings = {
        "rpc-enabled": False,
        "dht-enabled": False,
        "lpd-enabled": False,
        "pex-enabled": False,
        "utp-enabled": False,
        "encryption": 0,
        "port-forwarding-enabled": False,
        "bind-address-ipv4": place.host,
        "bind-address-ipv6": "::1",
        "peer-port": place.port,
        "download-dir": str(place.content.parent),
        "incomplete-dir-enabled": False,
        "watch-dir": str(watched),
        "watch-dir-enabled": True,
        "download-queue-enabled": False,
        "seed-queue-enabled": False,
        "script-torrent-done-enabled": not place.is_seed,
        "script-torrent-done-filename": "" if place.is_seed else place.hook,
        "message-level": 2,
    }
    (place.work / "settings.json").write_text(json.dumps(settings))
    return ["transmission-daemon", "--foreground", "--no-auth", "--config-dir", str(place.work)]


CLIENTS: Mapping[str, Client] = {
    "p2pshare": Client(_p2pshare),
    "libtorrent": Client(_libtorrent, "pip install libtorrent", module="libtorrent"),
    "libtorrent-tuned": Client(_libtorrent_tuned, "pip install libtorrent", module="libtorrent"),
    "aria2": Client(_aria2, "apt install aria2", program="aria2c"),
    # It puts its goodbye off for longer than anybody wants to wait.
    "ctorrent": Client(_ctorrent, "apt install ctorrent", program="ctorrent", stop_within=0.1),
    "transmission": Client(
        _transmission, "apt install transmission-daemon", program="transmission-daemon", needs_private_network=True
    ),
}
