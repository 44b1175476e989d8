"""The verbs that show single documents of a run: `trace` and `sample`."""

import json
import sys
from typing import Annotated

import typer
from corpusmill.commands.options import Json, Root


def trace(
    root: Root,
    document: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A document's id or URL; record:FILE@OFFSET, record:FILE#ROW or urn:uuid:... of "
            "its record; cluster:ID; item:SET/ITEM; file:PATH; sequence:N.",
        ),
    ],
    as_json: Json = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Write the record that the document was made from: the WARC record, JSON line, "
            "Parquet row or file, as it is.",
        ),
    ] = False,
) -> None:
    """Follow a document back to its source. Also a synthetic row, or a training sequence."""
    from corpusmill.manifests.looking.trace_text import sequence_text, trace_text

    if document.startswith("sequence:"):
        from corpusmill.stages.train.sequence import trace_sequence

        sequence = trace_sequence(root, document.removeprefix("sequence:"))
        typer.echo(
            json.dumps(sequence, ensure_ascii=False, default=str)
            if as_json
            else sequence_text(sequence)
        )
        return
    if document.startswith(("cluster:", "item:", "file:")):
        _trace_other(root, document, as_json)
        return
    from corpusmill.manifests.looking.trace import trace as trace_document

    if document.startswith(("record:", "urn:uuid:", "<urn:uuid:")):
        from corpusmill.manifests.looking.trace_kinds import documents_at

        document = documents_at(root, document)[0]
    found = trace_document(root, document)
    if record:
        from corpusmill.manifests.looking.trace import origin_of
        from corpusmill.stages.readers import locate

        sys.stdout.buffer.write(locate(origin_of(found)))
        return
    typer.echo(
        json.dumps(found.as_json(), ensure_ascii=False, default=str)
        if as_json
        else trace_text(found)
    )


def _trace_other(root: str, what: str, as_json: bool) -> None:
    """Print the documents of a cluster or an evaluation item, or the receipt of a file."""
    from corpusmill.manifests.looking import trace_kinds

    kind, _, name = what.partition(":")
    if kind == "file":
        receipt = trace_kinds.file_made_by(root, name)
        typer.echo(json.dumps(receipt) if as_json else trace_kinds.file_text(receipt))
        return
    rows = (trace_kinds.cluster if kind == "cluster" else trace_kinds.item)(root, name)
    lines = trace_kinds.rows_text(rows)
    typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else "\n".join(lines))


def sample(
    folder: Annotated[str, typer.Argument(metavar="OUT/STAGE", help="A finished stage's folder.")],
    where: Annotated[
        str,
        typer.Option(help="A condition in SQL, e.g. \"level='low' and n_tokens>500\"."),
    ] = "",
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="At most so many documents.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Another seed draws other documents.")] = 0,
    excluded: Annotated[
        bool, typer.Option("--excluded", help="Draw from the dropped documents.")
    ] = False,
    both: Annotated[
        bool, typer.Option("--both", help="Draw from kept and dropped documents.")
    ] = False,
    column: Annotated[
        list[str] | None, typer.Option(help="With --json, print only this column. Repeatable.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Print whole texts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, all columns.")] = False,
) -> None:
    """Show some documents of a stage. Drawn by a seed from those that --where chooses."""
    from corpusmill.manifests.looking.sample import sample as sample_of
    from corpusmill.manifests.looking.sample import sample_text

    parts = ("documents", "excluded") if both else ("excluded" if excluded else "documents",)
    rows = sample_of(folder, where, count, seed, parts, tuple(column or ()))
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, default=str) if as_json else ""
        typer.echo(text or sample_text(row, whole))
    if not rows and not as_json:
        typer.echo("no document matches")
