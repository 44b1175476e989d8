"""Which settings of `export` go together, and which files its result depends on."""

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.export.stage import SHARE, Export


def test_a_share_needs_a_model_to_average_with():
    with pytest.raises(CorpusmillError, match="average_share is set, and average_with is not"):
        Export(tokenizer="tokenizer", average_share=0.4)
    assert Export(tokenizer="tokenizer", average_with="before").average_share == SHARE


def test_another_configuration_of_the_earlier_model_is_another_result(tmp_path):
    tokenizer, before = tmp_path / "tokenizer", tmp_path / "before"
    for folder in (tokenizer, before):
        folder.mkdir()
        (folder / "tokenizer.json").write_text("{}")
    (before / "model.safetensors").write_bytes(b"weights")
    (before / "config.json").write_text("{}")
    stage = Export(tokenizer=str(tokenizer), average_with=str(before))
    found = {stage.depends_on()}
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (before / name).write_text("another")
        found.add(stage.depends_on())
    assert len(found) == 4
