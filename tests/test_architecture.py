"""The floors of docs/architecture.md, enforced by reading the imports; each rule is shown to catch what it forbids."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

PROJECT = Path(__file__).resolve().parent.parent
ROOT = "p2pshare"
LONGEST_FILE = 400  # lines; a longer one is two ideas until proven otherwise

VALUES = "(values)"  # floor 0: the modules directly in p2pshare/
UP_TO_3 = frozenset({VALUES, "wire", "policy", "storage", "peer", "web", "discovery", "swarm", "tracker", "index"})
UP_TO_4 = UP_TO_3 | {"client", "faces", "sharing", "course", "textswarm", "sim"}

# Who may import whom: the table of docs/architecture.md. A package may always import itself. A dotted name opens a
# single module. Only cli may import daemons, and nothing imports cli.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    VALUES: frozenset(),
    "wire": frozenset({VALUES}),
    "policy": frozenset({VALUES}),
    "storage": frozenset({VALUES}),
    "peer": frozenset({VALUES, "wire"}),
    "web": frozenset({VALUES}),
    "discovery": frozenset({VALUES, "wire", "policy.candidates"}),
    "swarm": frozenset({VALUES, "wire", "policy", "storage"}),
    "tracker": frozenset({VALUES, "wire", "web"}),
    "client": UP_TO_3,
    "course": UP_TO_3,
    "textswarm": UP_TO_3,
    "sim": UP_TO_3,
    "index": frozenset({VALUES, "wire", "web"}),
    "faces": UP_TO_3,
    "sharing": UP_TO_3,
    "daemons": UP_TO_4,
    "cli": UP_TO_4 | {"daemons"},
}

PURE = frozenset({VALUES, "wire", "policy"})  # no Twisted, and nothing else that is not attrs
PURE_MAY_USE = frozenset({"attr", "attrs"})
BENCODE_LIBRARY = "bencodepy"
BENCODE_MODULE = "p2pshare.bencoding"
REACTOR = "twisted.internet.reactor"


@frozen
class Module:
    """One source file and what it imports; the names are dotted and absolute."""

    name: str
    lines: int
    imports: frozenset[str]
    imports_when_loaded: frozenset[str]  # without those inside functions

    @property
    def package(self) -> str:
        """Return its row in the table."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 2 else VALUES


def read_modules(project: Path) -> dict[str, Module]:
    """Read every module of the package that lives in ``project``, by name."""
    sources = {_module_name(path.relative_to(project)): path for path in sorted((project / ROOT).rglob("*.py"))}
    modules = {}
    for name, path in sources.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        modules[name] = Module(
            # The initialiser of a package belongs to that package, not to floor 0.
            name=f"{name}.__init__" if path.name == "__init__.py" and name != ROOT else name,
            lines=text.count("\n"),
            imports=frozenset(_imported(ast.walk(tree), package)),
            imports_when_loaded=frozenset(_imported(_outside_functions(tree), package)),
        )
    return modules


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def _imported(nodes: Iterator[ast.AST], package: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*above, source] if source else above)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _target(imported: str, modules: Mapping[str, Module]) -> str | None:
    """Name the module of ours that an import reaches: ``p2pshare.errors.WireError`` is in ``p2pshare.errors``."""
    while imported and imported not in modules:
        imported = imported.rpartition(".")[0]
    return imported or None


def imports_against_the_floors(modules: Mapping[str, Module]) -> list[str]:
    """List imports that go upwards or sideways, and packages that the table does not know."""
    found = []
    for module in modules.values():
        if module.package not in MAY_IMPORT:
            found.append(f"{module.name}: package {module.package} is not in the table")
            continue
        allowed = MAY_IMPORT[module.package]
        for imported in sorted(module.imports):
            target = _target(imported, modules)
            if target is None:
                continue
            package = modules[target].package
            if package != module.package and not {package, target.removeprefix(f"{ROOT}.")} & allowed:
                found.append(f"{module.name} imports {target}")
    return found


def impure_imports(modules: Mapping[str, Module]) -> list[str]:
    """List imports of Twisted, or of any library but attrs, in packages that only compute."""
    found = []
    for module in modules.values():
        foreign = {name.partition(".")[0] for name in module.imports} - sys.stdlib_module_names - PURE_MAY_USE - {ROOT}
        if module.name == BENCODE_MODULE:
            foreign -= {BENCODE_LIBRARY}
        if module.package in PURE:
            found += [f"{module.name} imports {library}" for library in sorted(foreign)]
    return found


def bencode_library_elsewhere(modules: Mapping[str, Module]) -> list[str]:
    """List uses of the bencoding library around our strict module: it can be hung by ten bytes."""
    return [
        f"{module.name} imports {imported}"
        for module in modules.values()
        for imported in sorted(module.imports)
        if imported.partition(".")[0] in (BENCODE_LIBRARY, "bencode") and module.name != BENCODE_MODULE
    ]


def global_reactor_imports(modules: Mapping[str, Module]) -> list[str]:
    """List modules that install the global reactor by being imported; only commands may."""
    return [
        f"{module.name} imports the reactor"
        for module in modules.values()
        if module.package != "cli" and any(f"{name}.".startswith(f"{REACTOR}.") for name in module.imports_when_loaded)
    ]


def long_files(modules: Mapping[str, Module]) -> list[str]:
    """List files that have more than 400 lines."""
    return [f"{module.name}: {module.lines} lines" for module in modules.values() if module.lines > LONGEST_FILE]


def circles(modules: Mapping[str, Module]) -> list[str]:
    """List circles of imports inside a package, each once, from its first module by name."""
    reaches = {
        name: {
            target
            for imported in module.imports
            if (target := _target(imported, modules)) not in (None, name) and modules[target].package == module.package
        }
        for name, module in modules.items()
    }
    found = set()

    def follow(path: list[str]) -> None:
        for target in sorted(reaches[path[-1]]):
            if target == path[0]:
                found.add(" -> ".join([*path, target]))
            elif target > path[0] and target not in seen:
                seen.add(target)
                follow([*path, target])

    for name in sorted(reaches):
        seen: set[str] = set()
        follow([name])
    return sorted(found)


class ProjectTests(SynchronousTestCase):
    """The project as it stands."""

    def setUp(self) -> None:
        self.modules = read_modules(PROJECT)

    def test_the_package_is_found(self) -> None:
        """The rules below look at the real modules, not at an empty folder."""
        self.assertIn("p2pshare.errors", self.modules)

    def test_imports_go_downwards(self) -> None:
        """A module imports only from the floors that the table opens to it; nothing imports cli."""
        self.assertEqual(imports_against_the_floors(self.modules), [])

    def test_values_wire_and_policy_only_compute(self) -> None:
        """What is said and what is decided needs neither Twisted nor any library but attrs."""
        self.assertEqual(impure_imports(self.modules), [])

    def test_bencoding_has_one_door(self) -> None:
        """Only bencoding.py uses bencode.py."""
        self.assertEqual(bencode_library_elsewhere(self.modules), [])

    def test_the_reactor_is_an_argument(self) -> None:
        """Outside cli/ no module imports the global reactor when it is loaded."""
        self.assertEqual(global_reactor_imports(self.modules), [])

    def test_files_are_short(self) -> None:
        """No file of the package has more than 400 lines."""
        self.assertEqual(long_files(self.modules), [])

    def test_no_circles(self) -> None:
        """Modules of a package do not import each other in a circle."""
        self.assertEqual(circles(self.modules), [])

    def test_twisted_plugins_stays_a_namespace(self) -> None:
        """An __init__.py under twisted/ would hide Twisted itself (docs/adr/0001)."""
        self.assertEqual(list((PROJECT / "twisted").rglob("__init__.py")), [])


class RuleTests(SynchronousTestCase):
    """Each rule catches a violation in a tree made for it."""

    def modules(self, **sources: str) -> dict[str, Module]:
        """Write modules, named by package and module with ``__`` between, in a scratch folder, and read them."""
        project = Path(self.mktemp())
        for name, source in sources.items():
            path = project / ROOT / (name.replace("__", "/", 1) + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(source)
        (project / ROOT / "__init__.py").touch()
        return read_modules(project)

    def test_upwards(self) -> None:
        """A codec that imports a swarm, and a value that imports a codec, are both found."""
        modules = self.modules(
            wire__bep3="from p2pshare.swarm import swarm",
            swarm__swarm="from p2pshare.wire.bep3 import decode",
            errors="def late():\n    import p2pshare.wire.bep3",
        )
        self.assertEqual(
            imports_against_the_floors(modules),
            ["p2pshare.errors imports p2pshare.wire.bep3", "p2pshare.wire.bep3 imports p2pshare.swarm.swarm"],
        )

    def test_sideways(self) -> None:
        """The swarm gets its peers and its discovery handed in; it does not import them."""
        modules = self.modules(swarm__swarm="from ..peer.protocol import PeerProtocol", peer__protocol="")
        self.assertEqual(imports_against_the_floors(modules), ["p2pshare.swarm.swarm imports p2pshare.peer.protocol"])

    def test_package_initialiser(self) -> None:
        """What a package's __init__.py imports counts as that package's import."""
        modules = self.modules(storage____init__="import p2pshare.peer.protocol", peer__protocol="")
        self.assertEqual(
            imports_against_the_floors(modules), ["p2pshare.storage.__init__ imports p2pshare.peer.protocol"]
        )

    def test_one_module_of_a_package(self) -> None:
        """Discovery may know candidates, and nothing else of policy."""
        modules = self.modules(
            discovery__announcer="from p2pshare.policy.candidates import Candidates",
            discovery__lsd="from p2pshare.policy import picker",
            policy__candidates="",
            policy__picker="",
        )
        self.assertEqual(imports_against_the_floors(modules), ["p2pshare.discovery.lsd imports p2pshare.policy.picker"])

    def test_nothing_imports_the_command_line(self) -> None:
        """Daemons may not import commands, and only commands may import daemons."""
        modules = self.modules(
            daemons__tracker="from p2pshare.cli import main",
            cli__main="from p2pshare.daemons import tracker",
            client__session="from p2pshare.daemons.tracker import makeService",
        )
        self.assertEqual(
            imports_against_the_floors(modules),
            [
                "p2pshare.client.session imports p2pshare.daemons.tracker",
                "p2pshare.daemons.tracker imports p2pshare.cli.main",
            ],
        )

    def test_unknown_package(self) -> None:
        """A package has to be entered in the table before it is used."""
        modules = self.modules(helpers__all="")
        self.assertEqual(
            imports_against_the_floors(modules),
            [
                "p2pshare.helpers.__init__: package helpers is not in the table",
                "p2pshare.helpers.all: package helpers is not in the table",
            ],
        )

    def test_impure(self) -> None:
        """Twisted in a codec is found, also behind a condition; attrs and the standard library are welcome."""
        modules = self.modules(
            wire__session="if True:\n    from twisted.internet import defer",
            wire__messages="import attrs\nimport struct\nfrom __future__ import annotations",
            ids="import msgspec",
            peer__protocol="import twisted",
        )
        self.assertEqual(
            impure_imports(modules), ["p2pshare.ids imports msgspec", "p2pshare.wire.session imports twisted"]
        )

    def test_second_bencoding_door(self) -> None:
        """A tracker that uses the bencoding library itself is found."""
        modules = self.modules(tracker__http="from bencodepy import decode", bencoding="import bencodepy")
        self.assertEqual(bencode_library_elsewhere(modules), ["p2pshare.tracker.http imports bencodepy.decode"])
        self.assertEqual(impure_imports(modules), [])

    def test_global_reactor(self) -> None:
        """The reactor is allowed in commands and inside functions, and nowhere else."""
        modules = self.modules(
            peer__connector="try:\n    from twisted.internet import reactor\nfinally:\n    pass",
            discovery__lsd="import twisted.internet.reactor as r",
            client__session="def start():\n    from twisted.internet import reactor",
            cli__main="from twisted.internet import reactor",
        )
        self.assertEqual(
            global_reactor_imports(modules),
            ["p2pshare.discovery.lsd imports the reactor", "p2pshare.peer.connector imports the reactor"],
        )

    def test_long_file(self) -> None:
        """A file of 401 lines is found, one of 400 is not."""
        modules = self.modules(geometry="\n" * 400, metainfo="\n" * 401)
        self.assertEqual(long_files(modules), ["p2pshare.metainfo: 401 lines"])

    def test_circle(self) -> None:
        """A circle of three modules is found once; imports of other packages are not circles."""
        modules = self.modules(
            wire__session="from p2pshare.wire import framing",
            wire__framing="from p2pshare.wire.bep3 import encode\nfrom p2pshare.errors import WireError",
            wire__bep3="import p2pshare.wire.session",
            wire__messages="",
            errors="",
        )
        self.assertEqual(
            circles(modules),
            ["p2pshare.wire.bep3 -> p2pshare.wire.session -> p2pshare.wire.framing -> p2pshare.wire.bep3"],
        )
