"""Checks that no row is lost. Every run makes them.

- Task: it read every row of the files that it reads row by row, and its account balances.
- Exchange between passes: for each file, a pass receives the rows that an earlier pass sent. The
  number of rows and their digest are compared.
- Whole stage: it read the rows of its inputs, and the files on disk have the rows of its account.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.row_sum import RowSum
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED, Account, Inputs, Stage

_MEND = "run it again with --replace; if that does not help, report it as a bug of corpusmill"


class LostRows(CorpusmillError):
    """Rows were lost or doubled. The stage stops: its output would be wrong.

    made_by: the passes and shards whose files do not agree, if they are known.
    """

    def __init__(self, what: str, mend: str = "", made_by: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(what, mend)
        self.made_by = tuple(made_by)

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[tuple[str, str], ...]]]:
        return type(self), (self.what, self.mend, self.made_by)


def check_shard(where: str, shard: Shard, counts: Iterable[Counts]) -> None:
    """Raises LostRows if the shard's work did not read all rows, or its account does not balance.

    where: the stage, pass and shard, for the message.
    """
    promised: Counter[str] = Counter()  # an input may be given twice
    for artifact in shard.inputs:
        promised[artifact.path] += artifact.rows
    for path, rows in promised.items():
        read = shard.rows_of.get(path)
        if read is not None and rows and read != rows:
            raise LostRows(f"{where} read {read:,} of the {rows:,} rows of {path}", _MEND)
    for account in counts:
        if not account.conserved:
            raise LostRows(
                f"{where}: the account of {account.stage} does not balance: {account.text()}", _MEND
            )


class Flows:
    """What the passes of one stage send and receive, by file."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._sent: dict[str, tuple[RowSum, str, str]] = {}  # rows, and the pass and shard of them
        self._received: dict[str, RowSum] = {}
        self._readers: dict[str, set[tuple[str, str]]] = {}  # passes and shards
        self._quarantined: set[tuple[str, str]] = set()

    def add(
        self, pass_name: str, receipts: Mapping[str, Receipt], quarantined: Iterable[Receipt]
    ) -> None:
        """Add a finished pass."""
        for shard, receipt in receipts.items():
            for output in receipt.outputs:
                if output.rows_digest is not None:
                    sent = RowSum(output.rows, output.rows_digest)
                    self._sent[output.path] = (sent, pass_name, shard)
            for number, rows, digest in receipt.received:
                path = receipt.inputs[number].path
                self._received.setdefault(path, RowSum()).merge(RowSum(rows, digest))
            self._add_reader(pass_name, shard, receipt)
        for receipt in quarantined:
            self._quarantined.add((pass_name, receipt.shard))
            self._add_reader(pass_name, receipt.shard, receipt)

    def _add_reader(self, pass_name: str, shard: str, receipt: Receipt) -> None:
        for artifact in receipt.inputs:
            if artifact.rows_digest is not None:
                self._readers.setdefault(artifact.path, set()).add((pass_name, shard))

    def check(self) -> None:
        """Raises LostRows unless each row that was sent was received once.

        A file is skipped if a shard that should read it is quarantined.
        """
        for path in sorted(self._sent):
            sent, pass_name, shard = self._sent[path]
            readers = self._readers.get(path, set())
            if readers & self._quarantined:
                continue
            received = self._received.get(path, RowSum())
            if sent != received:
                found = (
                    f"{received.rows:,} rows"
                    if sent.rows != received.rows
                    else "as many rows, but not the same ones"
                )
                passes = ", ".join(sorted({name for name, _ in readers})) or "after it"
                raise LostRows(
                    f"{self._stage}: shard {shard} of the pass {pass_name} sent {sent.rows:,} rows,"
                    f" and the pass {passes} received {found} ({path})",
                    "run the same command again, which makes these shards anew; if it says so "
                    "again, report it as a bug of corpusmill",
                    [(pass_name, shard), *sorted(readers)],
                )


def check_stage(
    title: str,
    stage: Stage,
    inputs: Inputs,
    totals: Mapping[str, Counts],
    receipts: Iterable[Receipt],
    quarantined: bool = False,
) -> None:
    """Raises LostRows if the account of a whole stage differs from what the stage read and wrote.

    title: the step's name, for messages. totals: each account, summed over all passes. receipts:
    those of all passes. quarantined: some shards failed, so the rows that they hold are missing.
    """
    below = {where: storage.join(inputs.folder, where) + "/" for where in (DOCUMENTS, EXCLUDED)}
    rows = {DOCUMENTS: 0, EXCLUDED: 0}
    files = stage.counted_inputs(inputs)
    paths = {artifact.path for artifact in files}
    unread, promised = set(paths), 0
    for receipt in receipts:
        if any(counts.stage in totals for counts in receipt.counts):
            unread -= {artifact.path for artifact in receipt.inputs}
            promised += sum(file.rows for file in receipt.inputs if file.path in paths)
        for output in receipt.outputs:
            for where, prefix in below.items():
                if output.path.startswith(prefix):
                    rows[where] += output.rows
    if unread and totals and not quarantined:
        raise LostRows(f"{title} counted no row of {min(unread)}", _MEND)
    if stage.unit == "documents" and totals and not quarantined:
        read = next(iter(totals.values())).rows_in
        # Raw files promise no rows, as empty shards do. They may add some.
        if read < promised or (read > promised and all(file.rows for file in files)):
            raise LostRows(f"{title} read {read:,} rows, its inputs hold {promised:,}", _MEND)
    for name, total in totals.items():
        if not (total.complete or quarantined):
            raise LostRows(
                f"{title}: the account of {name} does not balance: {total.text()}", _MEND
            )
        if stage.account is not Account.ONE_TO_MANY and total.repeats:
            raise LostRows(f"{title}: {name} counts {total.repeats:,} rows twice", _MEND)
    if stage.account is Account.MANY_TO_ONE or not totals:
        return
    kept = totals[stage.accounts[-1]].kept
    excluded = sum(sum(total.excluded.values()) + total.failed for total in totals.values())
    for where, counted in ((DOCUMENTS, kept), (EXCLUDED, excluded)):
        if rows[where] != counted:
            raise LostRows(
                f"{title} counts {counted:,} rows for {where}/ and wrote {rows[where]:,}", _MEND
            )
