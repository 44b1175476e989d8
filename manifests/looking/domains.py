"""What became of each site's documents: keep rate, tokens, score and the most frequent reasons.

In: the rows that the first stage read, kept and excluded. Kept: the rows of the last stage before a
blend takes copies of them. Only narrow columns are read, one row group at a time. Memory grows with
the number of sites.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.storage import Artifact

COLUMNS = ("url", "n_tokens", "quality", "reason")
NO_SITE = "(no url)"
_SITE = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@?#]*@)?(?:www\.)?(?P<site>[^/:?#]+)"


@dataclass
class Site:
    """One site's sums. reasons: why its documents left. tokens, quality: over the kept ones that
    have them; scored: how many have a score.
    """

    name: str
    rows_in: int = 0
    kept: int = 0
    tokens: int = 0
    quality: int = 0
    scored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def keep_rate(self) -> float | None:
        return self.kept / self.rows_in if self.rows_in else None

    @property
    def score(self) -> float | None:
        """The mean of `quality`, 0 to 19."""
        return self.quality / self.scored if self.scored else None

    def as_json(self) -> dict[str, Any]:
        return {
            "site": self.name,
            "in": self.rows_in,
            "kept": self.kept,
            "keep_rate": self.keep_rate,
            "tokens": self.tokens or None,
            "quality": self.score,
            "reasons": dict(self.reasons.most_common()),
        }


@dataclass(frozen=True)
class Sites:
    """The sites, the one with most rows first. first, last: the stages that are compared."""

    first: str
    last: str
    sites: list[Site]

    def as_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "last": self.last,
            "sites": [site.as_json() for site in self.sites],
        }


def domains(root: str | os.PathLike[str]) -> Sites:
    """The sites of a run, or of one stage. Raises InputError if its documents have no URLs."""
    root = os.fspath(root)
    way = way_of_documents(finished_stages(root))
    if not way:
        raise InputError(
            f"no stage below {root} reads and writes documents", "give the folder of such a run"
        )
    sites: dict[str, Site] = {}
    for manifest in way:
        _add_dropped(sites, _tables(manifest.documents("excluded")), manifest is way[0])
    _add_in(sites, _tables(way[0].documents()))
    _add_kept(sites, _tables(way[-1].documents()))
    found = sorted(sites.values(), key=lambda site: (-site.rows_in, -site.kept, site.name))
    if all(site.name == NO_SITE for site in found):
        raise InputError(f"the documents below {root} have no URLs", "look at a run of a crawl")
    return Sites(storage.name_of(way[0].folder), storage.name_of(way[-1].folder), found)


def way_of_documents(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The first chain of stages in which each document ends once, from reader to last stage."""
    way: list[Manifest] = []
    for manifest in manifests:
        if manifest.account != "one_to_one" or manifest.unit != "documents":
            continue
        if not manifest.documents() or manifest.verbs[-1] in ("pack", "train", "export"):
            continue
        read = {parent.path for parent in manifest.parents}
        if not way or storage.absolute(way[-1].folder) in read:
            way.append(manifest)
    return way


def with_site(table: pa.Table) -> pa.Table:
    """`table` with the column `site`: the host of `url`, without `www.`, in small letters."""
    urls = table["url"] if "url" in table.column_names else pa.nulls(table.num_rows, pa.string())
    found = pc.extract_regex(urls.cast(pa.string()), _SITE)
    hosts = pc.if_else(pc.is_valid(found), pc.struct_field(found, "site"), NO_SITE)
    return table.append_column("site", pc.utf8_lower(pc.fill_null(hosts, NO_SITE)))


def _tables(artifacts: Iterable[Artifact]) -> Iterator[pa.Table]:
    for artifact in artifacts:
        if artifact.path.endswith(".parquet") and artifact.rows:
            names = set(schema_of(artifact).names)
            for table in read_parquet(artifact, [name for name in COLUMNS if name in names]):
                yield with_site(table)


def _add_dropped(sites: dict[str, Site], tables: Iterable[pa.Table], came_in: bool) -> None:
    for table in tables:
        if "reason" not in table.column_names:
            continue
        counted = table.group_by(["site", "reason"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            site = sites.setdefault(row["site"], Site(row["site"]))
            site.reasons[str(row["reason"])] += row["count_all"]
            site.rows_in += row["count_all"] if came_in else 0


def _add_in(sites: dict[str, Site], tables: Iterable[pa.Table]) -> None:
    for table in tables:
        for row in table.group_by("site").aggregate([([], "count_all")]).to_pylist():
            sites.setdefault(row["site"], Site(row["site"])).rows_in += row["count_all"]


def _add_kept(sites: dict[str, Site], tables: Iterable[pa.Table]) -> None:
    for table in tables:
        asked: list[Any] = [([], "count_all")]
        for name in ("n_tokens", "quality"):
            if name in table.column_names:
                asked += [(name, "sum"), (name, "count")]
        for row in table.group_by("site").aggregate(asked).to_pylist():
            site = sites.setdefault(row["site"], Site(row["site"]))
            site.kept += row["count_all"]
            site.tokens += row.get("n_tokens_sum") or 0
            site.quality += row.get("quality_sum") or 0
            site.scored += row.get("quality_count") or 0


ORDERS: dict[str, Callable[[Site], Any]] = {
    "in": lambda site: -site.rows_in,
    "kept": lambda site: -site.kept,
    "rate": lambda site: site.keep_rate if site.keep_rate is not None else 2.0,
    "tokens": lambda site: -site.tokens,
    "quality": lambda site: -(site.score if site.score is not None else -1.0),
    "site": lambda site: site.name,
}
"""Name -> sort key. `rate` puts the sites first that lost most."""


def domains_table(found: Sites, order: str, most: int, least: int = 1) -> Any:
    """A rich table of at most `most` sites. order: of `ORDERS`. least: documents in, at least."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("site", "in", "kept", "keep rate", "tokens", "quality", "reasons"):
        left = name in ("site", "reasons")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    shown = [site for site in found.sites if site.rows_in >= least]
    for site in sorted(shown, key=ORDERS[order])[:most]:
        rate, score = site.keep_rate, site.score
        table.add_row(
            site.name,
            f"{site.rows_in:,}",
            f"{site.kept:,}",
            f"{100 * rate:.1f} %" if rate is not None else "",
            f"{site.tokens:,}" if site.tokens else "",
            f"{score:.1f}" if score is not None else "",
            ", ".join(f"{reason} {rows:,}" for reason, rows in site.reasons.most_common(3)),
        )
    return table
