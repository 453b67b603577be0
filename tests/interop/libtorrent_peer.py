"""
A BitTorrent client made of libtorrent, for the tests: ``libtorrent_peer.py TORRENT FOLDER HOST COMPLETE REPORT``.

Seeds or downloads until SIGTERM. When all of the content is on disk it makes the file COMPLETE. At the end it writes
into REPORT, as JSON, how much it got from and gave to each of its peers. Run as a program of its own: libtorrent has
threads of its own, and a crash in it would be ours.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import libtorrent as lt

_PLAIN = int(lt.enc_policy.pe_disabled)
_ALERTS = (
    lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.peer_notification
    | lt.alert.category_t.tracker_notification
)


def settings(host: str) -> dict[str, Any]:
    """Keep to TCP on one address, and to the tracker as the only source of peers."""
    return {
        "listen_interfaces": f"{host}:0",
        "outgoing_interfaces": host,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "out_enc_policy": _PLAIN,
        "in_enc_policy": _PLAIN,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": int(_ALERTS),
    }


def main(torrent: str, folder: str, host: str, complete: str, report: str) -> None:
    """Run until SIGTERM."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    session = lt.session(settings(host))
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = folder
    # Without peer exchange (ut_pex); auto_managed could queue the torrent, paused would never start it.
    wanted.flags |= lt.torrent_flags.disable_pex
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = session.add_torrent(wanted)
    peers: dict[str, dict[str, Any]] = {}
    while not told:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            print(type(alert).__name__, alert.message(), flush=True)
            if isinstance(alert, lt.torrent_finished_alert):
                handle.flush_cache()  # every piece is verified, but some may wait to be written
            elif isinstance(alert, lt.cache_flushed_alert) and handle.status().is_seeding:
                Path(complete).touch()
        for peer in handle.get_peer_info():
            figures = {"client": _text(peer.client), "received": peer.total_download, "given": peer.total_upload}
            peers[f"{peer.ip[0]}:{peer.ip[1]}"] = figures
    Path(report).write_text(json.dumps(list(peers.values())))


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
