"""``p2pshare search``: find files in an index."""

from __future__ import annotations

from typing import Any

import click

from p2pshare.cli.asking import Service, ask, chosen_index, index_option
from p2pshare.cli.found import Availability, FoundFile, as_file, availability, search
from p2pshare.cli.options import examples, json_option
from p2pshare.cli.tables import Column, write_table
from p2pshare.cli.terminal import printable, write_json
from p2pshare.rates import format_size

COLUMNS = (
    Column("NAME", is_flexible=True),
    Column("SIZE", is_number=True),
    Column("CATEGORY"),
    Column("FROM"),
    Column("ID"),
)
_SORTS = ("newest", "name", "size", "downloads", "rating")


@click.command(
    "search",
    short_help="Find files in an index.",
    epilog=examples(
        "p2pshare search holiday video --index http://10.0.0.1:8000",
        "p2pshare search --category audio --tag live --sort size",
        "P2PSHARE_INDEX=http://10.0.0.1:8000 p2pshare search --json manual | jq -r .id",
    ),
)
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@index_option
@click.option("--category", metavar="NAME", help="document, image, video, audio, archive or other.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only what has this tag; repeat for more.")
@click.option(
    "--sort", type=click.Choice(_SORTS), default="newest", show_default=True, help="In which order; the largest first."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@json_option("Print one JSON object a line for each file, as the index has it.")
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    index: str | None,
    category: str | None,
    tags: tuple[str, ...],
    sort: str,
    limit: int,
    as_json: bool,
) -> None:
    """
    Find files by WORDS in their names, categories, tags and paths, in any case; all files without any.

    `p2pshare get ID` fetches what was found. In a pipe, lines have tabs between: name, size, category, from, id.
    Exit codes: 0 also when nothing is found; 4 when the index does not answer.
    """
    base = chosen_index(ctx, index)
    text = " ".join(words)
    query: dict[str, object] = {
        "q": text,
        "category": category,
        "tags": list(tags),
        "sort": sort if sort != "newest" else None,
        "limit": limit,
    }

    async def find(service: Service) -> tuple[list[dict[str, Any]], list[FoundFile], int, Availability]:
        raw, total = await search(service, query)
        files = [as_file(each, service) for each in raw]
        return raw, files, total, await availability(service, files)

    raw, files, total, available = ask(base, find)
    if as_json:
        for each, file in zip(raw, files, strict=True):
            write_json({**each, "seeds": available.seeds(file), "online": available.is_online(file)})
    elif files:
        write_table(COLUMNS, (as_row(file, available) for file in files))
    if not files:
        click.echo(printable(f"nothing found{f' for {text!r}' if text else ''} at {base}"), err=True)
    elif total > len(files):
        click.echo(f"{len(files)} of {total}; more with --limit", err=True)


def as_row(file: FoundFile, available: Availability) -> tuple[str, ...]:
    """Put one file into the columns."""
    return file.filename, format_size(file.size), file.category or "-", available.describe(file), file.id
