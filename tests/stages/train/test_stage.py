"""train as a stage: what its errors name."""

import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.stages.ablate.arms import TRAIN, packed, sums


def test_shards_of_two_tokenizers_are_named_as_the_user_knows_them(tmp_path):
    shard = next(packed(tmp_path / "sums", sums(0, 30)).glob("documents/*.parquet"))
    table = pq.read_table(shard)
    both = tmp_path / "both"
    both.mkdir()
    for name, digest in (("a", "1" * 64), ("b", "2" * 64)):
        changed = {**(table.schema.metadata or {}), b"corpusmill.tokenizer": digest.encode()}
        pq.write_table(table.replace_schema_metadata(changed), both / f"{name}.parquet")
    step = Step("train", "train", (str(both),), TRAIN)
    one, other = both / "a.parquet", both / "b.parquet"
    with pytest.raises(CorpusmillError, match=f"{other} was packed with another .* than {one}"):
        run_step(step, (), str(tmp_path / "out"), InlineRunner())
