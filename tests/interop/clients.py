"""How each BitTorrent client is started for a test, so that it keeps to loopback, TCP and our tracker."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from p2pshare.wire.announce import ScrapeCounts
from p2pshare.wire.announce_query import scrape_url
from p2pshare.wire.announce_reply import decode_scrape
from tests import real_parts
from tests.interop.networks import Loopback, PrivateNetwork, free_port
from tests.interop.processes import ENVIRONMENT, PATIENCE, Running, wait_for

P2PSHARE = (sys.executable, "-c", "from p2pshare.cli.main import main; main()")
_LIBTORRENT_PEER = Path(__file__).with_name("libtorrent_peer.py")


@frozen
class Place:
    """Where one client works on one torrent."""

    network: Loopback | PrivateNetwork
    host: str  # the address it has for itself
    torrent: Path
    folder: Path  # holds the content, or is to receive it
    work: Path  # the client's own folder

    @property
    def complete(self) -> Path:
        """The file that the client makes when it has everything."""
        return self.work.with_name(f"{self.work.name}.complete")

    @property
    def report(self) -> Path:
        """Where libtorrent says at the end who gave what."""
        return self.work.with_name(f"{self.work.name}.report")


class Libtorrent:
    """The library of qBittorrent and Deluge, driven by a script of ours."""

    name = "libtorrent"

    def require(self) -> None:
        """Skip the test without it."""
        real_parts.module("libtorrent")

    def start(self, place: Place, *, seed: bool) -> Running:
        """Start it; it finds out itself whether there is anything to download."""
        command = [sys.executable, str(_LIBTORRENT_PEER), str(place.torrent), str(place.folder), place.host]
        return Running.start(self.name, [*command, str(place.complete), str(place.report)], place.network, place.work)


class Transmission:
    """Transmission's daemon. It takes torrents from a folder it watches, as its remote control would need a port."""

    name = "transmission-daemon"

    def require(self) -> None:
        """Skip the test without it."""
        real_parts.program(self.name)

    def start(self, place: Place, *, seed: bool) -> Running:
        """Start it; it finds out itself whether there is anything to download."""
        configuration = place.work.with_name(f"{place.work.name}.configuration")
        watched = configuration / "watched"
        watched.mkdir(parents=True)
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
            "peer-port": place.network.run(free_port, place.host),
            "download-dir": str(place.folder),
            "incomplete-dir-enabled": False,
            "watch-dir": str(watched),
            "watch-dir-enabled": True,
            "script-torrent-done-enabled": True,
            "script-torrent-done-filename": _script(place),
            "message-level": 2,
        }
        (configuration / "settings.json").write_text(json.dumps(settings))
        command = [self.name, "--foreground", "--no-auth", "--config-dir", str(configuration)]
        return Running.start(self.name, command, place.network, place.work)


class Aria2:
    """The download program aria2."""

    name = "aria2c"

    def require(self) -> None:
        """Skip the test without it."""
        real_parts.program(self.name)

    def start(self, place: Place, *, seed: bool) -> Running:
        """Start it; it goes on seeding in either case."""
        port = place.network.run(free_port, place.host)
        command = [self.name, "--no-conf", "--disable-ipv6", f"--interface={place.host}", f"--listen-port={port}"]
        command += ["--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--seed-ratio=0.0"]
        command += ["--enable-peer-exchange=false", "--bt-min-crypto-level=plain", "--bt-require-crypto=false"]
        command += ["--file-allocation=none", "--summary-interval=0", "--show-console-readout=false"]
        command += ["--console-log-level=notice", f"--dir={place.folder}", "--allow-overwrite=true"]
        if seed:
            command += ["--check-integrity=true", "--bt-hash-check-seed=true"]
        else:
            command += [f"--on-bt-download-complete={_script(place)}"]
        return Running.start(self.name, [*command, str(place.torrent)], place.network, place.work)


class P2PShare:
    """Our own command, as users start it."""

    name = "p2pshare"

    def require(self) -> None:
        """Be there in any case."""

    def start(self, place: Place, *, seed: bool, until: str = "forever", limit_up: str | None = None) -> Running:
        """
        Start ``seed`` or ``download``. It says nothing but warnings.

        :param until: with "none", a download ends as soon as it is complete.
        """
        if seed:
            command = ["seed", str(place.torrent), "--data", str(place.folder)]
        else:
            command = ["download", str(place.torrent), "--output", str(place.folder), "--seed-until", until]
            command += ["--on-complete", shlex.quote(_script(place)), "--timeout", f"{PATIENCE / 2:g}"]
        if limit_up is not None:
            command += ["--limit-up", limit_up]
        own = ["--bind", place.host, "--port", "0", "--quiet"]
        return Running.start(f"p2pshare {command[0]}", [*P2PSHARE, *command, *own], place.network, place.work)


@define(eq=False)
class Tracker:
    """Our tracker as a process, and what it says of a swarm."""

    _network: Loopback | PrivateNetwork
    running: Running
    announce: str = field(init=False)  # its announce URL

    @classmethod
    def start(cls, network: Loopback | PrivateNetwork, work: Path) -> Tracker:
        """Start it at any free port; see :meth:`wait_until_ready`."""
        command = [*P2PSHARE, "tracker", "--bind", network.host(1), "--port", "0", "--no-state"]
        return cls(network, Running.start("p2pshare tracker", command, network, work))

    def wait_until_ready(self) -> None:
        """Wait until it says where it listens."""
        listening = re.compile(r"tracker listening at (http://\S+) ")
        said = wait_for(lambda: listening.search(self.running.said()), "the tracker listens", [self.running])
        self.announce = said[1]

    def scrape(self, info_hash: bytes) -> ScrapeCounts:
        """Ask for the figures of a torrent."""
        url = scrape_url(self.announce, [info_hash])
        assert url is not None
        return decode_scrape(self._network.run(_fetch, url)).files.get(info_hash, ScrapeCounts(0, 0, 0))


def create_torrent(content: Path, torrent: Path, announce: str) -> dict[str, Any]:
    """Run ``p2pshare create``, and give what it says of the torrent."""
    command = [
        *P2PSHARE,
        "create",
        str(content),
        "--tracker",
        announce,
        "--output",
        str(torrent),
        "--private",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, text=True, timeout=PATIENCE)
    if done.returncode:
        raise AssertionError(f"p2pshare create ended with {done.returncode}: {done.stderr}")
    described: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return described


def _script(place: Place) -> str:
    """Write a script that makes the file which says that a client has everything; its arguments do not matter."""
    script = place.work.with_name(f"{place.work.name}.sh")
    script.write_text(f"#!/bin/sh\n: > {shlex.quote(str(place.complete))}\n")
    script.chmod(0o755)
    return str(script)


def _fetch(url: str) -> bytes:
    without_proxies = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with without_proxies.open(url, timeout=PATIENCE) as answer:
        body: bytes = answer.read()
        return body
