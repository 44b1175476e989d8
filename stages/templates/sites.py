"""Which lines are the template of which site: the passes count and judge.

`count` reads one shard. For each host it counts in how many documents each line stands, and how
many documents there are. Equal texts count once, as copies are no template. `judge` reads one
partition of the hosts, adds the counts of all shards, and tells each shard the lines of its hosts.

With `across: corpus`, all documents count as those of one host, and partitions hold lines in place
of hosts.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.linked import refuse_linked_shard
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    partition_of,
    read_range,
    run_starts,
    write_by_partition,
)
from corpusmill.stages.substring.parts import HOST
from corpusmill.stages.templates.settings import TemplateSettings

U64 = npt.NDArray[np.uint64]
COUNTED = pa.schema(  # one row for each host and line of a shard, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("home", pa.uint32(), nullable=False),  # the shard's position
        pa.field("host", pa.uint64(), nullable=False),
        pa.field("line", pa.uint64(), nullable=False),  # 0: all documents of the host
        pa.field("documents", pa.int64(), nullable=False),
    ]
)
TEMPLATES = pa.schema(  # one row for each line of a template and shard, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),  # the shard's position
        pa.field("key", pa.uint64(), nullable=False),  # of host and line
        pa.field("documents", pa.int64(), nullable=False),  # in which the line stands
    ]
)
WHOLE_CORPUS = np.uint64(1)  # the host of all documents
READ_ROWS = 4096
_ODD = np.uint64(0x9E3779B97F4A7C15)


def count(settings: TemplateSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one shard. Write `work/count` (`COUNTED`).

    Raises InputError if the stage would leave templates in the column `linked`.
    """
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes
    from corpusmill.stages.templates.lines import BLANK, PROTECTED, lines_of

    refuse_linked_shard(shard.inputs[0], settings.name)
    hosts, found, seen = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], 0
    texts_seen: set[tuple[int, int]] = set()
    across_corpus = settings.across == "corpus"
    for group in shard.read(shard.inputs[0], ["text"] if across_corpus else ["text", "url"]):
        for start in range(0, group.num_rows, READ_ROWS):
            table = group.slice(start, READ_ROWS)
            texts, host = joined(table["text"]), owners(settings, table)
            lines = lines_of(texts)
            pairs = zip(host.tolist(), exact_hashes(*texts)[:, 0].tolist(), strict=True)
            new = np.zeros(len(host), bool)
            for row, pair in enumerate(pairs):
                if pair[0] and pair not in texts_seen:
                    texts_seen.add(pair)
                    new[row] = True
            of_line = np.repeat(np.arange(len(host)), np.diff(lines.offsets))
            counts = new[of_line] & ~np.isin(lines.kinds, (BLANK, PROTECTED))
            once = _distinct(of_line[counts].astype(np.uint64), lines.hashes[counts])
            hosts.append(host[once[0].astype(np.int64)])
            found.append(once[1])
            if not across_corpus:
                hosts.append(host[new])
                found.append(np.zeros(int(new.sum()), np.uint64))
            seen += table.num_rows
            shard.report(seen)
    host, line, documents = _summed(np.concatenate(hosts), np.concatenate(found), None)
    spread = line if across_corpus else host
    partition = partition_of(spread, partitions)
    home = np.full(len(host), home_of(shard.name), np.uint32)
    rows = pa.table([partition, home, host, line, documents], schema=COUNTED)
    with shard.parquet("work/count", COUNTED, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_partition(output, rows, partitions)
    return []


def judge(settings: TemplateSettings, homes: int, shard: Shard) -> list[Counts]:
    """Read one partition of the hosts. Write `work/judge` (`TEMPLATES`)."""
    partition = int(shard.name)
    rows = read_range(shard, shard.inputs, "partition", partition, partition + 1, COUNTED)
    home, host, line, documents = (
        rows[name].to_numpy() for name in ("home", "host", "line", "documents")
    )
    hosts, lines, total = _summed(host, line, documents)
    goes = _templates(settings, hosts, lines, total) & ~np.isin(lines, allowed_lines(settings))
    keys, total = keys_of(hosts[goes], lines[goes]), total[goes]
    order = np.argsort(keys)
    keys, total = keys[order], total[order]
    wanted = keys_of(host, line)
    chosen = (line != 0) & np.isin(wanted, keys)
    home, wanted = home[chosen], wanted[chosen]
    order = np.lexsort((wanted, home))
    home, wanted = home[order].astype(np.uint32), wanted[order]
    with shard.parquet(
        "work/judge", TEMPLATES, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        table = pa.table([home, wanted, total[np.searchsorted(keys, wanted)]], schema=TEMPLATES)
        write_by_partition(output, table, homes)
    return []


def _templates(
    settings: TemplateSettings, hosts: U64, lines: U64, documents: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which pairs of host and line go. documents: in which they stand; sorted by host, line."""
    if settings.across == "corpus":
        return documents >= settings.corpus_documents
    is_host = lines == 0
    if not is_host.any():
        return is_host
    pages = documents[is_host][np.searchsorted(hosts[is_host], hosts)]
    enough = np.maximum(settings.min_pages, settings.min_share * pages)
    return ~is_host & (pages >= settings.host_pages) & (documents >= enough)


def allowed_lines(settings: TemplateSettings) -> U64:
    """The hashes of the lines that stay. Raises InputError if a file cannot be read."""
    from corpusmill.stages.readers.charset import decoded
    from corpusmill.stages.templates.lines import lines_of

    texts = [decoded(storage.read_bytes(path), None)[0] for path in settings.allow]
    return lines_of(joined(pa.chunked_array([texts], pa.string()))).hashes


def owners(settings: TemplateSettings, table: pa.Table) -> U64:
    """Among whose documents a document's lines are counted: its host's, or all."""
    if settings.across == "corpus":
        return np.full(table.num_rows, WHOLE_CORPUS)
    return host_hashes(table["url"])


def host_hashes(urls: pa.ChunkedArray) -> U64:
    """A number for the host of each address, 0 where there is none, without case and `www.`."""
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes

    host = pc.utf8_lower(pc.struct_field(pc.extract_regex(urls, HOST), "host"))
    hashes = exact_hashes(*joined(pa.chunked_array([host]) if isinstance(host, pa.Array) else host))
    return np.where(host.is_valid().to_numpy(), hashes[:, 0], np.uint64(0))


def keys_of(host: U64, line: U64) -> U64:
    """One number for a host and a line."""
    return (host * _ODD) ^ line


def _distinct(left: U64, right: U64) -> tuple[U64, U64]:
    """The distinct pairs."""
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    new = np.ones(len(left), bool)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return left[new], right[new]


def _summed(
    host: U64, line: U64, documents: npt.NDArray[np.int64] | None
) -> tuple[U64, U64, npt.NDArray[np.int64]]:
    """The distinct pairs of host and line, sorted, and the sum of their documents (by default one
    each).
    """
    order = np.lexsort((line, host))
    host, line = host[order], line[order]
    starts = np.union1d(run_starts(host), run_starts(line)).astype(np.int64)
    each = np.ones(len(host), np.int64) if documents is None else documents[order]
    total = np.add.reduceat(each, starts) if len(starts) else each
    return host[starts], line[starts], total
