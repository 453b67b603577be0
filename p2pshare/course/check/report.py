"""The report of a check as one HTML page that needs nothing else: what is wrong, and who got what from whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from math import cos, pi, sin

from p2pshare.course.check.findings import Finding, Weight
from p2pshare.course.check.reading import Logs

_SIZE, _RADIUS, _NODE = 640, 240, 26  # of the drawing
_MOST_DRAWN = 40  # peers; more are a table only
_WIDEST = 8.0  # of an arrow

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --error: #c62828; --warning: #b26a00; --note: #888; --flow: #2a78d6; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
.error b { color: var(--error); } .warning b { color: var(--warning); } .note b { color: var(--note); }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; font: 13px system-ui, sans-serif; text-anchor: middle; dominant-baseline: central; }
svg circle { fill: Canvas; stroke: currentColor; stroke-width: 1.5; } svg .seed { stroke-width: 4; }
svg .flow { fill: none; stroke: var(--flow); stroke-opacity: .65; }
""".strip()


def write_report(logs: Logs, findings: Sequence[Finding]) -> str:
    """Write the page."""
    flows = Counter((said.other, said.peer) for log in logs.by_peer.values() for said in log.downloads)
    peers = sorted({*logs.peers, *(peer for flow in flows for peer in flow)})
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Course swarm of {len(peers)} peers</title><style>{_STYLE}</style>",
        f"<h1>Course swarm of {len(peers)} peers</h1>",
        f"<p>{escape(_in_short(logs, findings))}</p>",
        "<h2>What the logs do not agree on</h2>",
        _list_of(findings),
        "<h2>Who got how many pieces from whom</h2>",
        _drawing(logs, peers, flows) if len(peers) <= _MOST_DRAWN else "",
        _table(peers, flows),
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _in_short(logs: Logs, findings: Sequence[Finding]) -> str:
    weights = Counter(finding.weight for finding in findings)
    total = logs.num_pieces
    counts = f"{weights[Weight.ERROR]} errors, {weights[Weight.WARNING]} warnings"
    return f"{len(logs.by_peer)} logs, {'an unknown number of' if total is None else total} pieces: {counts}."


def _list_of(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing: all sentences are there, in an order that can be.</p>"
    items = []
    for finding in findings:
        weight, _, rest = str(finding).partition(": ")
        items.append(f'<li class="{weight}"><b>{weight}</b> {escape(rest)}</li>')
    return "<ul>" + "\n".join(items) + "</ul>"


def _drawing(logs: Logs, peers: Sequence[int], flows: Counter[tuple[int, int]]) -> str:
    """Draw the peers in a circle, and an arrow for all pieces that went one way, wider the more there were."""
    middle = _SIZE / 2
    places = {}
    for number, peer in enumerate(peers):
        angle = 2 * pi * number / len(peers) - pi / 2
        places[peer] = (middle + _RADIUS * cos(angle), middle + _RADIUS * sin(angle))
    most = max(flows.values(), default=1)
    parts = [
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" width="{_SIZE}" role="img" aria-label="Pieces between peers">',
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 6 3 0 6z" fill="#2a78d6"/></marker></defs>',
    ]
    for (source, target), count in sorted(flows.items()):
        if source != target:
            width = max(1.0, _WIDEST * count / most)
            said = f"{count} pieces from {source} to {target}"
            path = _arrow(places[source], places[target])
            parts.append(
                f'<path class="flow" d="{path}" stroke-width="{width:.1f}" marker-end="url(#tip)">'
                f"<title>{said}</title></path>"
            )
    for peer, (x, y) in places.items():
        seed = ' class="seed"' if logs.started_with_file(peer) else ""
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_NODE}"{seed}/><text x="{x:.1f}" y="{y:.1f}">{peer}</text>'
        )
    parts.append("</svg>")
    return "\n".join(parts) + "\n<p>A thick ring: had the file from the start.</p>"


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Bend a line to one side, so that the one that goes back does not lie on it; it ends at the rings."""
    (ax, ay), (bx, by) = start, end
    dx, dy = bx - ax, by - ay
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    dx, dy = dx / length, dy / length
    bend = min(40.0, length / 5)
    mx, my = (ax + bx) / 2 - dy * bend, (ay + by) / 2 + dx * bend
    side = _NODE / 4
    ax, ay = ax + dx * _NODE - dy * side, ay + dy * _NODE + dx * side
    bx, by = bx - dx * (_NODE + 3) - dy * side, by - dy * (_NODE + 3) + dx * side
    return f"M{ax:.1f} {ay:.1f}Q{mx:.1f} {my:.1f} {bx:.1f} {by:.1f}"


def _table(peers: Sequence[int], flows: Counter[tuple[int, int]]) -> str:
    """Show the same as numbers: a row for who got them, a column for who sent them."""
    senders = [peer for peer in peers if any(source == peer for source, _ in flows)]
    head = "".join(f"<th>from {peer}</th>" for peer in senders)
    rows = []
    for peer in peers:
        counts = [flows[sender, peer] for sender in senders]
        cells = "".join(f"<td>{count or ''}</td>" for count in (*counts, sum(counts)))
        rows.append(f"<tr><td>{peer}</td>{cells}</tr>")
    table = f"<table><tr><th>peer</th>{head}<th>all</th></tr>\n" + "\n".join(rows) + "</table>"
    return f'<div class="scroll">{table}</div>'
