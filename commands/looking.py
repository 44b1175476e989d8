"""The verbs that look at a whole run: its counts, files, sites, settings and progress."""

import json
from enum import StrEnum
from typing import Annotated

import typer
from corpusmill.commands.exit_codes import NOT_VERIFIED, QUARANTINED
from corpusmill.commands.options import Json, Root

SiteOrder = StrEnum("SiteOrder", ["in", "kept", "rate", "tokens", "quality", "site"])


def inspect(
    root: Root,
    as_json: Json = False,
    all_reasons: Annotated[
        bool, typer.Option("--all", help="All reasons, not only the four most frequent.")
    ] = False,
) -> None:
    """Show the funnel of a run. What each stage read, what it kept, what it excluded and why."""
    from corpusmill.manifests.looking.inspect import funnel

    found = funnel(root)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    from corpusmill.manifests.looking.tables import funnel_table, print_table, remarks

    if found.rows:
        print_table(funnel_table(found.rows, all_reasons))
    for remark in remarks(found):
        typer.echo(remark)


def verify(root: Root, as_json: Json = False) -> None:
    """Check every file, count and parent against the manifests.

    Exit code 4 if a check fails, 3 if all hold but shards are quarantined.
    """
    from corpusmill.manifests.looking.tables import verdict_line
    from corpusmill.manifests.looking.verify import verify as verify_run

    verdict = verify_run(root)
    if as_json:
        typer.echo(json.dumps(vars(verdict), ensure_ascii=False))
    else:
        remarks = (f"remark: {remark}" for remark in verdict.remarks)
        typer.echo(
            "\n".join([*verdict.problems, *verdict.quarantined, *remarks, verdict_line(verdict)])
        )
    if verdict.problems:
        raise typer.Exit(NOT_VERIFIED)
    if verdict.quarantined:
        raise typer.Exit(QUARANTINED)


def report(
    root: Root,
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Of one hour of one worker: the page then shows the cost."),
    ] = None,
) -> None:
    """Write one HTML page about a run. What stayed and why, costs, samples, charts, lineage."""
    from corpusmill.report.page import write_report

    typer.echo(write_report(root, price_per_hour))


def diff(
    first: Annotated[str, typer.Argument(metavar="OUT1", help="A run, or one stage's folder.")],
    second: Annotated[str, typer.Argument(metavar="OUT2", help="The one to compare with it.")],
    counts: Annotated[
        bool, typer.Option("--counts", help="Do not read documents: only settings and counts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what differs between two runs. Which setting did it, which documents moved."""
    from corpusmill.manifests.looking.diff import diff as diff_of
    from corpusmill.manifests.looking.diff import diff_json, diff_text

    found = diff_of(first, second, documents=not counts)
    typer.echo(
        json.dumps(diff_json(found), ensure_ascii=False, default=str)
        if as_json
        else diff_text(found)
    )


def domains(
    root: Root,
    sort: Annotated[
        SiteOrder, typer.Option(help="The order. rate: the sites that lost most come first.")
    ] = SiteOrder["in"],
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Sites to print.")] = 40,
    least: Annotated[int, typer.Option(min=0, help="Only sites with so many documents in.")] = 1,
    as_json: Json = False,
) -> None:
    """Show what became of each site's documents. Keep rate, tokens, quality, reasons."""
    from corpusmill.manifests.looking.domains import domains as domains_of
    from corpusmill.manifests.looking.domains import domains_table
    from corpusmill.manifests.looking.tables import print_table

    found = domains_of(root)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    print_table(domains_table(found, sort.value, most, least))
    typer.echo(f"{len(found.sites):,} sites; in: read by {found.first}, kept: by {found.last}")


def watch(
    root: Root,
    seconds: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 5.0,
    page: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write an HTML page that refreshes itself."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a look.")] = False,
) -> None:
    """Follow a running job from its files.

    It may run on another machine. Ends when nothing runs.
    """
    from corpusmill.report.following import follow

    follow(root, seconds, page, once, as_json)
