"""What token shards say of their images, in their footers."""

from collections.abc import Mapping
from dataclasses import dataclass

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.token_shards import IMAGE_TOKEN
from corpusmill.vision.config import Tiling

TOKEN, TILING = IMAGE_TOKEN.decode(), "corpusmill.tiling"


@dataclass(frozen=True)
class ImageFacts:
    """What token shards say of their images. token: holds an image token's place."""

    token: int
    tiling: Tiling

    @property
    def footer(self) -> dict[str, str]:
        """As keys of a footer."""
        return {TOKEN: str(self.token), TILING: self.tiling.model_dump_json()}


def facts(metadata: Mapping[bytes, bytes], here: Tiling) -> ImageFacts:
    """What shards with this metadata say. Raises CorpusmillError if it does not fit the model."""
    if TOKEN.encode() not in metadata:
        raise CorpusmillError(
            "the model reads images, and the token shards have none",
            "set pack.images to the tiling of train.vision and pack again",
        )
    there, here = Tiling.model_validate_json(metadata[TILING.encode()]), here.tiling()
    changed = [
        f"{name} is {getattr(there, name)} there and {value} here"
        for name, value in here
        if getattr(there, name) != value
    ]
    if changed:
        raise CorpusmillError(
            f"the shards were packed for other tiles: {'; '.join(changed)}",
            "give pack.images and train.vision the same values",
        )
    return ImageFacts(int(metadata[TOKEN.encode()]), there)
