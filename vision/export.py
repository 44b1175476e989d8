"""Write a vision-language model as a folder that stock transformers and stock vLLM load.

The layout is `InternVLForConditionalGeneration` with a `nemotron_h` language model. Stock
processors write no tile tags, so a model that was trained with tags sees other text there: train
with `tile_tags: false` if stock tools must give the same answers.
"""

from pathlib import Path
from typing import Literal

from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.model_files import TOKENIZER_FILES
from corpusmill.trainer.averaging import Earlier, average
from corpusmill.trainer.export import (
    TokenizerFacts,
    huggingface_config,
    read_facts,
    write_json,
    write_weights_and_config,
)
from corpusmill.vision.build import LETTER_HEAD, load_model
from corpusmill.vision.layout import image_processor, model_config, name_on_disk
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.tokens import with_image_tokens


def export_checkpoint(
    checkpoint_folder: Path,
    tokenizer_folder: Path,
    output_folder: Path,
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
    context_length: int | None = None,
    facts: TokenizerFacts | None = None,
    earlier: Earlier | None = None,
) -> Path:
    """The same as `trainer.export.export`, for the checkpoint of a model that reads images."""
    model, config = load_model(checkpoint_folder)
    if earlier is not None:
        average(model, earlier, tokenizer_folder)
    context = config.sequence_length if context_length is None else context_length
    special = (facts or read_facts(tokenizer_folder)).ids()
    return export(model, tokenizer_folder, output_folder, special, context, dtype)


def export(
    model: VisionLanguageModel,
    tokenizer_folder: Path,
    output_folder: Path,
    special: dict[str, int | None],
    context_length: int,
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
) -> Path:
    """Write weights, configuration, tokenizer and processor into `output_folder`, and return it.

    special: bos_token_id, eos_token_id and pad_token_id of the tokenizer. Raises ModelError if the
    projector is of a form that stock classes lack, or if the tokenizer does not fit the model.
    """
    vision = model.vision_config
    if vision.projector != "internvl":
        raise ModelError(
            f"stock classes have no projector of the form {vision.projector!r}",
            "train with vision.projector: internvl to export",
        )
    output_folder.mkdir(parents=True, exist_ok=True)
    there = (tokenizer_folder / name for name in TOKENIZER_FILES)
    files, marks = with_image_tokens(
        {path.name: path.read_bytes() for path in there if path.exists()}
    )
    if marks.place != model.image_token:
        raise ModelError(
            f"{tokenizer_folder} has the image token {marks.place}, the model {model.image_token}",
            "give the tokenizer folder that pack wrote",
        )
    for name, data in files.items():
        (output_folder / name).write_bytes(data)
    weights = {
        name_on_disk(name): parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(LETTER_HEAD)  # of the warm-up, and of no use to a reader
    }
    text = huggingface_config(model.config, special, dtype, context_length)
    config = model_config(vision, text, marks.place, dtype)
    write_weights_and_config(weights, config, special, dtype, output_folder)
    write_json(output_folder / "preprocessor_config.json", image_processor(vision))
    write_json(
        output_folder / "processor_config.json",
        {
            "processor_class": "InternVLProcessor",
            "image_seq_length": vision.tokens_per_tile,
            "image_processor": image_processor(vision),
            "video_processor": {
                "video_processor_type": "InternVLVideoProcessor",
                "size": {"height": vision.tile_size, "width": vision.tile_size},
            },
        },
    )
    return output_folder
