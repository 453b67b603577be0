"""
A BitTorrent client made of libtorrent: ``libtorrent_client.py TORRENT FOLDER HOST PORT DONE STYLE``.

Seeds or downloads until SIGTERM, and makes the file DONE when all of the content is on disk. STYLE is ``default``, or
``tuned`` for what libtorrent recommends for fast seeds.
"""

import signal
import sys
from pathlib import Path
from typing import Any

import libtorrent as lt

_PLAIN = int(lt.enc_policy.pe_disabled)
_ALERTS = lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification
GOODBYE = 2.0  # s for the last announce


def settings(host: str, port: str, style: str) -> Any:
    """Keep to TCP on one address, and to the tracker as the only source of peers."""
    chosen: Any = lt.high_performance_seed() if style == "tuned" else {}
    return chosen | {
        "listen_interfaces": f"{host}:{port}",
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
        "stop_tracker_timeout": int(GOODBYE),
        "alert_mask": int(_ALERTS),
    }


def main(torrent: str, folder: str, host: str, port: str, done: str, style: str) -> None:
    """Run until SIGTERM."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    session = lt.session(settings(host, port, style))
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(torrent)
    wanted.save_path = folder
    wanted.flags |= lt.torrent_flags.disable_pex
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)  # neither queued nor asleep
    handle = session.add_torrent(wanted)
    while not told:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                handle.flush_cache()  # every piece is verified, but some may wait to be written
            elif isinstance(alert, lt.cache_flushed_alert) and handle.status().is_seeding:
                Path(done).touch()
    del handle, session  # says goodbye to the tracker, and waits for it


if __name__ == "__main__":
    main(*sys.argv[1:])
