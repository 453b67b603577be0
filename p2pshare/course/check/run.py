"""``course check LOGDIR``: read the logs of a swarm, say what is wrong with them, and draw what went where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from p2pshare.course.check.alone import check_log
from p2pshare.course.check.findings import Finding, Findings, Weight
from p2pshare.course.check.reading import Logs, read_logs
from p2pshare.course.check.report import write_report
from p2pshare.course.check.together import check_together
from p2pshare.errors import StorageError


def check_logs(logs: Logs) -> tuple[Finding, ...]:
    """Find what is wrong in the logs of one swarm, the worst first."""
    findings = Findings()
    for log in logs.strays:
        text = f"peer {log.peer} is not in PeerInfo.cfg, so its log is not looked at"
        findings.add(Weight.WARNING, "stray", log.file, None, text)
    logs = logs.without_strays()
    for log in logs.by_peer.values():
        check_log(log, logs, findings)
    check_together(logs, findings)
    return findings.all()


def untimed(logs: Logs) -> tuple[Finding, ...]:
    """Say which logs cannot be checked as well as others, as not all of their times can be read."""
    findings = Findings()
    for log in logs.by_peer.values():
        missing = sum(entry.time is None for entry in log.entries)
        if missing:
            text = (
                f"{missing} of its {len(log.entries)} times cannot be read, and what only they could show is not said"
            )
            findings.add(Weight.NOTE, "untimed", log.file, None, text)
    return findings.all()


def run_check(folder: Path, report: Path | None, say: Callable[[str], object]) -> int:
    """
    Check the logs in a folder.

    :param report: where to write the page with the drawing; None: nowhere.
    :param say: takes one line at a time, for people.
    :return: 0 when there is no error among the findings, else 1.
    :raise StorageError: there is no log, or something cannot be read or written.
    :raise ConfigError: a configuration file lies there, and is wrong.
    """
    logs = read_logs(folder)
    findings = (*check_logs(logs), *untimed(logs.without_strays()))
    logs = logs.without_strays()
    for finding in findings:
        say(str(finding))
    if report is not None:
        try:
            report.write_text(write_report(logs, findings), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{report}: {error.strerror}") from error
    errors = sum(finding.weight is Weight.ERROR for finding in findings)
    warnings = sum(finding.weight is Weight.WARNING for finding in findings)
    say(f"{len(logs.by_peer)} logs: {errors} errors, {warnings} warnings")
    return 1 if errors else 0
