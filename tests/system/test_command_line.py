"""Commands as processes: signals, closed pipes, poor terminals, and what they import."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT
from threading import Thread

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from tests.cli.sample import content, torrent_of
from tests.discovery.test_zoned_agent import make_certificate

PROJECT = Path(__file__).resolve().parents[2]
P2PSHARE = [sys.executable, "-c", "from p2pshare.cli.main import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT)}
WAIT = 60  # seconds, for machines that are busy with other things

# A command that waits, says so, and tidies up when it is stopped.
WAITING = """
import sys
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from p2pshare.cli import running
from p2pshare.cli.exits import explain

running.STOP_WITHIN = float(sys.argv[3])

async def wait(reactor):
    print("waiting", flush=True)
    try:
        await deferLater(reactor, 600)
    except CancelledError:
        print("stopping", flush=True)
        await deferLater(reactor, float(sys.argv[1]))
        print("tidied up", flush=True)
        if sys.argv[2] == "finished":
            return "well done"
        raise

try:
    print(running.run(wait))
except Exception as error:
    message, code = explain(error)
    print(message)
    sys.exit(code)
"""


class ProcessTests(SynchronousTestCase):
    """The real command line in a process of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.file, _ = torrent_of(content(self.folder))

    def test_f110_reader_gone(self) -> None:
        """If whoever reads the output has gone, nothing is said, and the exit code is 1."""
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as gone:
            done = subprocess.run(
                [*P2PSHARE, "show", self.file], stdout=gone, stderr=PIPE, env=ENVIRONMENT, text=True, timeout=WAIT
            )
        self.assertEqual((done.returncode, done.stderr), (ExitCode.ERROR, ""))

    def test_f110_output_full(self) -> None:
        """If the output goes to a full disk, that is one line, and the exit code is 5."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*P2PSHARE, "show", self.file], stdout=full, stderr=PIPE, env=ENVIRONMENT, text=True, timeout=WAIT
            )
        self.assertEqual(done.returncode, ExitCode.DISK_FULL)
        self.assertEqual(done.stderr, "p2pshare: No space left on device\n")

    def test_f110_output_full_of_objects(self) -> None:
        """As JSON, too: that the error cannot be written as an object is no second error, wherever it came from."""
        with open("/dev/full", "wb") as full:
            for arguments, code, said in (
                (["show", self.file], ExitCode.DISK_FULL, "No space left on device"),
                (["verify", self.file, "nowhere"], ExitCode.ERROR, "nowhere: "),
                (["create", self.folder / "photos", "-o", self.mktemp()], ExitCode.DISK_FULL, "No space left"),
                (["download", self.file, "-o", self.folder, "--port", "0"], ExitCode.DISK_FULL, "No space left"),
            ):
                done = subprocess.run(
                    [*P2PSHARE, *arguments, "--json"],
                    stdout=full,
                    stderr=PIPE,
                    env=ENVIRONMENT,
                    text=True,
                    timeout=WAIT,
                )
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.returncode, code)

    def test_f110_all_output_full(self) -> None:
        """If nothing can be said anywhere, the exit code still tells."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [*P2PSHARE, "verify", self.file, "nowhere"], stdout=full, stderr=full, env=ENVIRONMENT, timeout=WAIT
            )
        self.assertEqual(done.returncode, ExitCode.ERROR)

    def test_f110_output_closed(self) -> None:
        """Started without any output or error stream, a command does its work all the same."""
        command = [*P2PSHARE, "verify", self.file.name]
        done = subprocess.run(
            ["/bin/sh", "-c", f"{shlex.join(command)} >&- 2>&-"], cwd=self.folder, env=ENVIRONMENT, timeout=WAIT
        )
        self.assertEqual(done.returncode, ExitCode.OK)

    def test_poor_terminal(self) -> None:
        """With an encoding that lacks most letters, names are escaped instead of ending the command."""
        file, _ = torrent_of(content(self.folder, name="日本語"))
        poor = {**ENVIRONMENT, "PYTHONIOENCODING": "latin-1"}
        done = subprocess.run([*P2PSHARE, "show", file], capture_output=True, env=poor, timeout=WAIT)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"\\u65e5\\u672c\\u8a9e", done.stdout)

    def test_interrupted(self) -> None:
        """Ctrl-C while hashing: exit code 130, one line, and no torrent file."""
        making = self.begin_hashing()
        making.send_signal(signal.SIGINT)
        _, errors = making.communicate(timeout=WAIT)
        self.assertEqual(making.returncode, ExitCode.INTERRUPTED)
        self.assertEqual(errors.splitlines()[-1], "p2pshare: interrupted")
        self.assertFalse((self.folder / "huge.torrent").exists())

    def test_stopped_while_loading(self) -> None:
        """A signal that comes before most of the program is loaded is obeyed in the same way."""
        for number, code, said in (
            (signal.SIGTERM, ExitCode.UNFINISHED, "p2pshare: stopped before it was finished\n"),
            (signal.SIGINT, ExitCode.INTERRUPTED, "p2pshare: interrupted\n"),
        ):
            loading = (
                "import os; from p2pshare.cli import main, quick_start;"
                f"quick_start.load = lambda module: os.kill(os.getpid(), {number:d});"
                "main.main()"
            )
            done = subprocess.run(
                [sys.executable, "-c", loading], capture_output=True, env=ENVIRONMENT, text=True, timeout=WAIT
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (code, "", said))

    def test_stopped_without_a_reactor(self) -> None:
        """SIGTERM while hashing: exit code 7, one line, and no torrent file."""
        making = self.begin_hashing()
        making.send_signal(signal.SIGTERM)
        _, errors = making.communicate(timeout=WAIT)
        self.assertEqual(making.returncode, ExitCode.UNFINISHED)
        self.assertEqual(errors.splitlines()[-1], "p2pshare: stopped before it was finished")
        self.assertFalse((self.folder / "huge.torrent").exists())

    def begin_hashing(self) -> subprocess.Popen[str]:
        """Let it hash for hours."""
        with (self.folder / "huge").open("wb") as huge:
            huge.truncate(1 << 40)  # sparse
        making = subprocess.Popen(
            [*P2PSHARE, "create", "huge"], cwd=self.folder, stdout=PIPE, stderr=PIPE, env=ENVIRONMENT, text=True
        )
        self.addCleanup(making.kill)
        self.assertTrue(making.stderr.readline().startswith("hashing:"))
        return making

    def test_quick_commands_import_no_twisted(self) -> None:
        """create, show and verify start fast, as they leave Twisted and rich alone."""
        check = (
            "import sys, p2pshare.cli.command_line, p2pshare.cli.create, p2pshare.cli.show, p2pshare.cli.verify;"
            "print(sorted({'twisted', 'rich', 'treq'} & sys.modules.keys()))"
        )
        self.assertEqual(self.printed(check), "[]\n")

    def test_transfers_import_no_more_than_they_need(self) -> None:
        """What only some transfers use is loaded by these: TLS, the bar, names of hosts beyond ASCII."""
        late = {"OpenSSL", "cryptography", "service_identity", "rich", "treq"}
        peers_only = {"hyperlink", "sqlalchemy"}
        for command in ("download", "seed", "scrape", "tracker"):
            unwanted = late if command == "tracker" else late | peers_only
            check = (
                f"import sys; from p2pshare.cli.quick_start import load; load('p2pshare.cli.{command}');"
                f"print('twisted.internet.reactor' in sys.modules, sorted({unwanted!r} & sys.modules.keys()))"
            )
            self.assertEqual(self.printed(check), "True []\n", command)

    def printed(self, program: str) -> str:
        """Run a program in a fresh interpreter; tell what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, env=ENVIRONMENT, text=True, timeout=WAIT
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class TrackerTests(SynchronousTestCase):
    """A real tracker in a process of its own."""

    def setUp(self) -> None:
        self.tracker = subprocess.Popen(
            [*P2PSHARE, "tracker", "--port", "0", "--no-state"], stderr=PIPE, env=ENVIRONMENT, text=True
        )
        self.addCleanup(self.tracker.kill)
        said = next(line for line in self.tracker.stderr if "tracker listening at" in line)
        self.urls = re.findall(r"\S+://\S+", said)

    def test_scrape(self) -> None:
        """It says where it listens, and a torrent that nobody has announced has no peers there."""
        file, _ = torrent_of(content(Path(self.mktemp())))
        self.assertEqual([url.partition(":")[0] for url in self.urls], ["http", "udp"])
        done = subprocess.run(
            [*P2PSHARE, "scrape", file, *(word for url in self.urls for word in ("-t", url))],
            capture_output=True,
            env=ENVIRONMENT,
            text=True,
            timeout=WAIT,
        )
        self.assertEqual(done.stdout, "".join(f"{url}: seeds 0, leeches 0, downloads 0\n" for url in self.urls))
        self.assertEqual(done.returncode, ExitCode.OK)

    def test_stopped(self) -> None:
        """Ctrl-C is how it ends well."""
        self.tracker.send_signal(signal.SIGINT)
        _, errors = self.tracker.communicate(timeout=WAIT)
        self.assertEqual((self.tracker.returncode, errors), (ExitCode.OK, ""))

    def test_port_taken(self) -> None:
        """A second one on the same port is one line, exit code 1."""
        port = self.urls[0].rpartition(":")[2].partition("/")[0]
        done = subprocess.run(
            [*P2PSHARE, "tracker", "--port", port, "--no-state"],
            stderr=PIPE,
            env=ENVIRONMENT,
            text=True,
            timeout=WAIT,
        )
        self.assertEqual(done.returncode, ExitCode.ERROR)
        self.assertEqual(done.stderr, f"p2pshare: cannot listen on 127.0.0.1:{port}: Address already in use\n")


class HTTPSTests(SynchronousTestCase):
    """A tracker behind TLS: a process that was started without it loads it now."""

    def setUp(self) -> None:
        self.certificate = Path(self.mktemp())
        key, certificate = make_certificate(["localhost"])
        pem = key.to_cryptography_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.certificate.write_bytes(pem + certificate.to_cryptography().public_bytes(Encoding.PEM))
        self.server = socket.create_server(("127.0.0.1", 0))
        serving = Thread(target=self.serve)
        serving.start()
        self.addCleanup(serving.join)
        self.addCleanup(self.server.close)
        self.addCleanup(self.server.shutdown, socket.SHUT_RDWR)

    def serve(self) -> None:
        """Answer every request with a scrape that knows no torrent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as talk:
                talk.recv(4096)
                talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nd5:filesdee")

    def scrape(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Ask it."""
        file, _ = torrent_of(content(Path(self.mktemp())))
        url = f"https://localhost:{self.server.getsockname()[1]}/announce"
        return subprocess.run(
            [*P2PSHARE, "scrape", file, "-t", url],
            capture_output=True,
            env={**ENVIRONMENT, **environment},
            text=True,
            timeout=WAIT,
        )

    def test_believed(self) -> None:
        """With a certificate that the system trusts it is asked."""
        done = self.scrape(SSL_CERT_FILE=str(self.certificate.absolute()))
        self.assertIn("does not know this torrent", done.stdout)
        self.assertEqual((done.returncode, done.stderr), (ExitCode.OK, ""))

    def test_f89_unknown(self) -> None:
        """With any other it is not, and the reason is told."""
        done = self.scrape()
        self.assertIn("no answer: TLS: certificate verify failed", done.stdout)
        self.assertEqual(done.returncode, ExitCode.NOBODY_FOUND)


class StoppingTests(SynchronousTestCase):
    """A command that runs the reactor and is told to stop."""

    def stop(
        self, number: signal.Signals, tidies_for: str, result: str, *, within: str = "60", again: bool = False
    ) -> tuple[int, list[str]]:
        """Start it, signal it once it waits (and again once it stops); tell exit code and what it said meanwhile."""
        waiting = subprocess.Popen(
            [sys.executable, "-c", WAITING, tidies_for, result, within],
            stdout=PIPE,
            stderr=STDOUT,
            env=ENVIRONMENT,
            text=True,
        )
        self.addCleanup(waiting.kill)
        self.assertEqual(waiting.stdout.readline(), "waiting\n")
        waiting.send_signal(number)
        if again:
            self.assertEqual(waiting.stdout.readline(), "stopping\n")
            waiting.send_signal(number)
        output, _ = waiting.communicate(timeout=WAIT)
        return waiting.returncode, output.splitlines()

    def test_signals(self) -> None:
        """Ctrl-C ends it with 130, being told to stop with 7; it tidies up first."""
        tidied = ["stopping", "tidied up"]
        self.assertEqual(self.stop(signal.SIGINT, "0", ""), (130, [*tidied, "interrupted"]))
        self.assertEqual(self.stop(signal.SIGTERM, "0", ""), (7, [*tidied, "stopped before it was finished"]))
        self.assertEqual(self.stop(signal.SIGHUP, "0", ""), (7, [*tidied, "stopped before it was finished"]))

    def test_finished_after_all(self) -> None:
        """What was only waiting to be stopped, such as a seed, ends well."""
        self.assertEqual(self.stop(signal.SIGTERM, "0", "finished"), (0, ["stopping", "tidied up", "well done"]))

    def test_f106_too_slow(self) -> None:
        """What does not tidy up in time is left as it is, with the exit code of what was not finished."""
        code, output = self.stop(signal.SIGTERM, "600", "", within="0.1")
        self.assertEqual((code, output[-1]), (7, "p2pshare: stopped before it was finished"))

    def test_f106_second_signal(self) -> None:
        """A second signal ends it at once, whatever it is tidying up."""
        code, output = self.stop(signal.SIGTERM, "600", "", again=True)
        self.assertEqual((code, output), (-signal.SIGTERM, []))
