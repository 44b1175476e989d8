"""A run whose steps are a CUDA graph is the run without, or it is refused."""

import json

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.train import train

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("changes", [{}, {"compile": True}, {"reset_at_documents": True}])
def test_a_graph_gives_the_losses_of_plain_steps(
    write_shards, random_documents, make_config, tmp_path, changes
):
    shards = write_shards(random_documents)
    curves = []
    for graph in (False, True):
        config = make_config(steps=12, device="cuda", cuda_graph=graph, **changes)
        log = train(config, shards, tmp_path / str(graph)).log
        curves.append([json.loads(line)["loss"] for line in log.read_text().splitlines()])
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
    assert len(set(curves[1])) == 12  # every batch was read


def test_a_graph_that_reads_an_old_batch_is_refused(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(Batch, "take", lambda self, batch: True)
    config = make_config(steps=12, device="cuda", cuda_graph=True)
    with pytest.raises(CorpusmillError, match=r"off those of a plain step.*cuda_graph to false"):
        train(config, write_shards(random_documents), tmp_path / "run")
