"""The shape of the image side of a vision-language model, without torch.

Defaults are InternViT-300M-V2.5 and the tiling of Nemotron-H (arXiv 2504.03624, section 4.1).
"""

from typing import ClassVar, Literal, Self

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.trainer.config import TrainConfig
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

Learns = Literal["all", "projector", "letters"]
JOINED = 2  # patches along each side that become one token (pixel shuffle)


class Tiling(Settings):
    """How an image becomes tiles, and a tile tokens. Packing and training need the same."""

    tile_size: PositiveInt = 448
    """Pixels along each side of a tile."""
    patch_size: PositiveInt = 14
    """Pixels along each side of a patch."""
    max_tiles: PositiveInt = 12
    """Tiles of an image at most, besides its thumbnail."""
    tile_tags: bool = True
    """Write a tag, such as <tile_01>, before each tile. Stock processors write none."""

    @model_validator(mode="after")
    def _patches_pair(self) -> Self:
        if self.tile_size % (JOINED * self.patch_size):
            raise RecipeError(
                f"a tile of {self.tile_size} pixels does not divide into pairs of patches "
                f"of {self.patch_size}",
                f"make tile_size a multiple of {JOINED * self.patch_size}",
            )
        return self

    @property
    def patches_per_side(self) -> int:
        return self.tile_size // self.patch_size

    @property
    def tokens_per_tile(self) -> int:
        """Tokens that a tile takes in the language model, its tag apart."""
        return (self.patches_per_side // JOINED) ** 2

    def tiling(self) -> "Tiling":
        """These settings alone, of a larger set."""
        return Tiling(**{name: getattr(self, name) for name in Tiling.model_fields})


class VisionConfig(Tiling):
    """The encoder of tiles and the projector behind it. Defaults: InternViT-300M-V2.5."""

    hidden_size: PositiveInt = 1024
    """Width of the encoder."""
    layers: PositiveInt = 24
    """Layers of the encoder."""
    heads: PositiveInt = 16
    """Attention heads of the encoder."""
    ffn_size: PositiveInt = 4096
    """Width inside an FFN of the encoder."""
    norm_epsilon: PositiveFloat = 1e-6
    """Added to the variance in every LayerNorm of the encoder."""
    letter_slots: PositiveInt = 3
    """Letters of a patch that the encoder's warm-up learns."""
    projector: Literal["internvl", "report"] = "internvl"
    """internvl: LayerNorm, biases, hidden width of the language model; stock tools load it.

    report: RMSNorm without a bias, hidden width of the language model's FFN, as Nemotron-H has it.
    """

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % self.heads:
            raise RecipeError(
                f"{self.heads} heads do not divide an encoder of width {self.hidden_size}",
                "make vision.hidden_size a multiple of vision.heads",
            )
        return self

    @property
    def joined_size(self) -> int:
        """Width of a token before the projector."""
        return self.hidden_size * JOINED**2


class VisionTrainConfig(TrainConfig):
    """A training run of a model that may read images: with `vision`, it does."""

    start_folders: ClassVar[tuple[str, ...]] = ("init_from", "init_vision_from")

    vision: VisionConfig | None = None
    """The encoder of images. Null: the model reads text alone."""
    init_vision_from: str | None = None
    """A folder with an encoder to start from: a checkpoint of `train`, an export, or a published
    InternViT. All weights that the model has, too, are taken.
    """
    learns: Learns = "all"
    """What gets gradients. With `vision`: all; the projector alone; or letters, that is the
    encoder alone, by the letters of rendered pages.
    """
    letter_weight: NonNegativeFloat = 0.0
    """With learns: all, the encoder goes on saying which letters stand in its patches. This is the
    weight of a letter's loss beside a text token's. Without it, an encoder from nothing forgets
    its letters in 100 steps. With learns: projector, the warm-up's head only travels along.
    """

    @model_validator(mode="after")
    def _vision_can_run(self) -> Self:
        if self.vision is None and (self.learns != "all" or self.init_vision_from):
            raise RecipeError(
                f"learns is {self.learns} and init_vision_from {self.init_vision_from}, but there "
                "is no vision",
                "set vision, or leave both out",
            )
        if self.letter_weight and (self.vision is None or self.learns == "letters"):
            raise RecipeError(
                "letter_weight weighs letters against text, and there are not both",
                "set it with `vision`, and with learns: all or projector",
            )
        if self.vision is not None:
            self._refuse_cut_or_mixed_images()
        return self

    def _refuse_cut_or_mixed_images(self) -> None:
        """Raises RecipeError if a row would part an image from its text, or read others' images."""
        if self.pack == "concat":
            raise RecipeError(
                "pack: concat would cut images from their tokens and their text",
                "set pack to best_fit with reset_at_documents: true, or to pad",
            )
        if self.pack == "best_fit" and not self.reset_at_documents and self.learns != "letters":
            raise RecipeError(
                "with pack: best_fit, documents would read the images before theirs in the row",
                "set reset_at_documents to true",
            )

    @property
    def learns_letters(self) -> bool:
        """Whether the encoder says which letters stand in its patches."""
        return self.learns == "letters" or self.letter_weight > 0

    def training(self) -> TrainConfig:
        """The settings of the run: without those of images, if it has none."""
        kind = TrainConfig if self.vision is None else VisionTrainConfig
        return kind(**{name: getattr(self, name) for name in kind.model_fields})
