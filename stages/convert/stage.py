"""Convert: hand packed tokens, or documents, to other tools.

`megatron` and `flat` take the output of pack, `datasets` takes documents. Each input shard becomes
a file of its own, so shards are written in parallel, and their names keep the order of a blend's
phases. The formats are in `token_files` and `dataset`.
"""

import json
from functools import partial
from typing import Any, ClassVar, Literal, Self

from corpusmill.manifests import storage
from corpusmill.manifests.dataset_card import CARD
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.convert.dataset import card, folders_of, text_columns, write_part
from corpusmill.stages.convert.token_files import (
    TokenType,
    check_tokens,
    token_type,
    write_flat,
    write_megatron,
)
from corpusmill.stages.readers.documents import input_shards
from pydantic import model_validator

# The shard that writes the card. No other shard has an equals sign in its name.
CARD_SHARD = "card=README"
PACKING = "packing.json"


class Convert(GlobalStage):
    """Write packed tokens or documents in the formats of other tools."""

    name: ClassVar[str] = "convert"
    account: ClassVar[Account] = Account.MANY_TO_ONE

    format: Literal["megatron", "flat", "datasets"]
    """`megatron`: `.bin` and `.idx`. `flat`: ids end to end, as datatrove and nanotron read them.
    `datasets`: a folder for Hugging Face's datasets.
    """
    token_type: TokenType | Literal["auto"] = "auto"
    """Of the ids. `auto`: the smallest that holds the vocabulary. Megatron knows uint16 and
    int32.
    """
    columns: tuple[str, ...] = ()
    """Columns of a data set. Empty: all."""
    front_matter: dict[str, Any] = {}
    """Of a data set's card: license, language, pretty_name, ... on top of what is known."""

    @model_validator(mode="after")
    def _settings_fit_the_format(self) -> Self:
        if self.format == "datasets" and self.token_type != "auto":
            raise RecipeError("token_type is of no use for datasets", "leave it out")
        if self.format != "datasets" and (self.columns or self.front_matter):
            raise RecipeError("columns and front_matter are for datasets", "leave them out")
        return self

    def passes(self, inputs: Inputs) -> Passes:
        named = input_shards(inputs.documents, self.name)
        check = text_columns if self.format == "datasets" else check_tokens
        for artifact in named.values():
            check(artifact)
        shards: dict[str, tuple[Artifact, ...]] = {
            name: (artifact,) for name, artifact in named.items()
        }
        if self.format != "datasets":
            tokenizer, largest = _vocabulary(inputs.documents)
            kind = token_type(self.token_type, self.format, largest)
            work = partial(_write_tokens, self.format, kind, tokenizer)
            yield Pass(
                name="convert",
                shards=shards,
                work=work,
                final=True,
                depends_on=f"{kind} {tokenizer}",
            )
            return
        text = card(folders_of(inputs.documents), inputs.documents, self.columns, self.front_matter)
        yield Pass(
            name="convert",
            shards={**shards, CARD_SHARD: ()},
            work=partial(_write_dataset, self.columns, tuple(named), text),
            final=True,
            depends_on=text.decode(),
        )


def _vocabulary(artifacts: tuple[Artifact, ...]) -> tuple[str, int]:
    """The tokenizer's digest, and its largest id, from what pack wrote beside its shards."""
    for folder in folders_of(artifacts):
        path = storage.join(folder, PACKING)
        if storage.exists(path):
            found = json.loads(storage.read_bytes(path))["tokenizer"]
            return found["digest"], int(found["vocabulary_size"]) - 1
    raise RecipeError(
        f"there is no {PACKING} beside the token shards", "give the output folder of pack itself"
    )


def _write_tokens(form: str, kind: TokenType, tokenizer: str, shard: Shard) -> list[Counts]:
    if form == "megatron":
        return write_megatron(shard, kind, form)
    return write_flat(shard, kind, form, tokenizer)


def _write_dataset(
    columns: tuple[str, ...], names: tuple[str, ...], text: bytes, shard: Shard
) -> list[Counts]:
    if shard.name == CARD_SHARD:
        shard.file("", CARD, text)
        return [Counts("convert")]
    return write_part(shard, columns, names.index(shard.name), len(names))
