"""A run as the page sees it: its manifests, its accounts, and samples of its rows."""

from dataclasses import dataclass, field
from functools import cached_property

from corpusmill.manifests import storage
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.inspect import StageRow, funnel
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.report.reading.sampling import TEXT_SHARDS, TEXTS, Sample, sample

NOT_SHOWN = ("image", "tokens", "letters", "letter_x", "letter_y")


@dataclass
class StageView:
    """One stage's folder. Its samples are read at their first use."""

    manifest: Manifest
    rows: list[StageRow] = field(default_factory=list)

    @property
    def name(self) -> str:
        return storage.name_of(self.manifest.folder)

    @property
    def verb(self) -> str:
        return self.manifest.verbs[-1]

    @property
    def place(self) -> str:
        return storage.absolute(self.manifest.folder)

    @cached_property
    def kept(self) -> Sample:
        """The narrow columns of kept rows."""
        return sample(self.manifest.documents())

    @cached_property
    def dropped(self) -> Sample:
        """The narrow columns of excluded and failed rows."""
        return sample(self.manifest.documents("excluded"))

    @cached_property
    def texts(self) -> Sample:
        """Whole kept rows, with their texts; fewer."""
        return self._whole_rows("documents")

    @cached_property
    def dropped_texts(self) -> Sample:
        """Whole excluded rows, with their texts; fewer."""
        return self._whole_rows("excluded")

    def _whole_rows(self, where: str) -> Sample:
        """Some rows with all columns but images and tokens, which no page shows."""
        artifacts = self.manifest.documents(where)
        files = [item for item in artifacts if item.path.endswith(".parquet") and item.rows]
        names = schema_of(files[0]).names if files else ()
        return sample(files, [name for name in names if name not in NOT_SHOWN], TEXTS, TEXT_SHARDS)


class Run:
    """All finished stages at a root, parents first. Raises InputError if there is none."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or root
        manifests = finished_stages(root)
        found = funnel(root)
        self.problems = found.damaged
        self.outdated = found.outdated
        self.unfinished = found.unfinished
        self.stages = [
            StageView(manifest, [row for row in found.rows if row.folder == manifest.folder])
            for manifest in manifests
        ]

    @property
    def name(self) -> str:
        return storage.name_of(self.root)

    @property
    def accounts(self) -> list[StageRow]:
        return [row for stage in self.stages for row in stage.rows]

    def of(self, *verbs: str) -> list[StageView]:
        """The stages whose last step has one of these verbs."""
        return [stage for stage in self.stages if stage.verb in verbs]

    @cached_property
    def by_place(self) -> dict[str, StageView]:
        return {stage.place: stage for stage in self.stages}

    def parents(self, stage: StageView) -> list[StageView]:
        """The stages of this run that `stage` read."""
        places = [parent.path for parent in stage.manifest.parents]
        return [self.by_place[place] for place in places if place in self.by_place]

    def ancestors(self, stage: StageView) -> list[StageView]:
        """The stages of this run that `stage` was made from, directly or not."""
        found: dict[str, StageView] = {}
        waiting = self.parents(stage)
        while waiting:
            before = waiting.pop()
            if before.place not in found:
                found[before.place] = before
                waiting += self.parents(before)
        return list(found.values())
