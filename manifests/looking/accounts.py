"""Checks of a finished stage's accounts: against its receipts, its files and its inputs.

The manifest names the kind of account (one to one, one to many, many to one). It comes from the
stage's contract.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import footer_of
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact

MANY_TO_ONE, ONE_TO_MANY = "many_to_one", "one_to_many"
_AGAIN = "run the stage again"


def check_accounts(manifest: Manifest, receipts: Sequence[Receipt]) -> Iterator[str]:
    """The problems of the stage's account as a whole, as messages."""
    folder = manifest.folder
    summed = {total.stage: Counts(total.stage) for total in manifest.totals}
    for receipt in receipts:
        for counts in receipt.counts:
            if counts.stage in summed:
                summed[counts.stage].add(counts)
    for total in manifest.totals:
        if not (total.complete or manifest.quarantined):
            yield (
                f"{folder}: the account of {total.stage} does not balance: {total.text()}; {_AGAIN}"
            )
        if total.repeats and manifest.account != ONE_TO_MANY:
            yield f"{folder}: {total.stage} counts {total.repeats:,} rows twice; {_AGAIN}"
        found = summed.get(total.stage, Counts(total.stage))
        if found.text() != total.text():
            yield (
                f"{folder}: the manifest counts {total.text()}, "
                f"the receipts count {found.text()}; {_AGAIN}"
            )
    if manifest.totals and manifest.account != MANY_TO_ONE:
        yield from _check_outputs(manifest)
    if manifest.unit == "documents" and not manifest.quarantined:
        yield from _check_inputs(manifest, receipts)


def check_footer(artifact: Artifact) -> Iterator[str]:
    """Compare the rows in a Parquet file's footer with its receipt."""
    if not artifact.path.endswith(".parquet") or not storage.exists(artifact.path):
        return
    try:
        rows = footer_of(artifact).num_rows
    except InputError as error:
        yield str(error)
        return
    if rows != artifact.rows:
        yield f"{artifact.path} holds {rows:,} rows, its receipt says {artifact.rows:,}; {_AGAIN}"


def _check_outputs(manifest: Manifest) -> Iterator[str]:
    kept = manifest.totals[-1].kept
    excluded = sum(sum(counts.excluded.values()) + counts.failed for counts in manifest.totals)
    for below, counted in (("documents", kept), ("excluded", excluded)):
        rows = sum(output.rows for output in manifest.documents(below))
        if rows != counted:
            yield (
                f"{manifest.folder}: the manifest counts {counted:,} rows for {below}/, "
                f"but its files hold {rows:,}; {_AGAIN}"
            )


def _check_inputs(manifest: Manifest, receipts: Sequence[Receipt]) -> Iterator[str]:
    """Whether the stage read every document of the stages before it."""
    read = _files_read(manifest, receipts)
    known: dict[_File, Artifact] = {}
    for parent in manifest.parents:
        there = StageFolder(parent.path)
        try:
            if not there.has_manifest or there.manifest.digest != parent.digest:
                continue  # a raw file, or changed since, which another check reports
        except InputError:
            continue  # another check reports it
        files = there.manifest.documents()
        if not read.keys() & {_identity(file) for file in files}:
            continue  # it read a model or a tokenizer, no documents
        known.update((_identity(file), file) for file in files)
        seen: Counter[_File] = Counter()
        for file in sorted(files, key=lambda file: file.path):
            seen[_identity(file)] += 1
            if seen[_identity(file)] > read[_identity(file)]:
                yield f"{manifest.folder}: no shard read {storage.absolute(file.path)}; {_AGAIN}"
    if manifest.totals and read and read.keys() <= known.keys():
        rows = sum(known[file].rows * times for file, times in read.items())
        counted = manifest.totals[0].rows_in
        if rows != counted:
            yield (
                f"{manifest.folder}: {counted:,} documents were read and counted, the files hold "
                f"{rows:,}; {_AGAIN}"
            )


_File = tuple[str, str]  # name and digest


def _identity(file: Artifact) -> _File:
    """What a file keeps if its folder is moved. Shards that are not made again after a move have
    receipts that name the folder of before.
    """
    return file.path.rsplit("/", 1)[-1], file.digest


def _files_read(manifest: Manifest, receipts: Sequence[Receipt]) -> Counter[_File]:
    """How often each input file from outside was read by a shard that counts."""
    within = storage.absolute(manifest.folder) + "/"
    names = {total.stage for total in manifest.totals}
    found: Counter[_File] = Counter()
    for receipt in receipts:
        if any(counts.stage in names for counts in receipt.counts):
            found.update(
                _identity(file)
                for file in receipt.inputs
                if not storage.absolute(file.path).startswith(within)
            )
    return found
