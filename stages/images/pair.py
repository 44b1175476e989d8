"""A pair of an image and its text, and which columns of a row it is made of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from corpusmill.manifests.settings import Settings
from corpusmill.stages.licences.asked import names_none
from corpusmill.stages.licences.expressions import is_permissive, named
from corpusmill.stages.readers.licences import licence_of
from corpusmill.stages.readers.record import DEFAULTS, without_surrogates
from pydantic import PositiveInt, model_validator

NO_IMAGE, NO_TEXT, SEVERAL = "images.no_image", "images.no_text", "images.several_images"


class PairReader(Settings):
    """How files become pairs. Column names are taken as they stand."""

    source: str = ""
    """The collection's name, part of every id. Empty: each file's name without its suffixes."""
    image_column: str = "image"
    """Column of the image: its bytes in Parquet; in JSON lines the path of a file in the same
    folder or below."""
    text_column: str = "text"
    """Column of the text; in a tar that of a `.json` file, if there is no `.txt` file."""
    url_column: str = "url"
    """Column of the URL. May be absent."""
    licence_columns: tuple[str, ...] = DEFAULTS["licence_columns"]
    """Columns of the licence: SPDX ids, common names, addresses of Creative Commons, or a list
    of them. In each row, the first one that names one counts. Without a column of that name, one
    that differs in case counts. A Parquet file has one of them, unless this is the default."""
    licence: str | None = None
    """The licence of pairs whose row names none, such as CC-BY-4.0."""
    max_image_bytes: PositiveInt = 64 << 20
    """A larger image file is not read."""

    @model_validator(mode="after")
    def _licence_is_one(self) -> Self:
        if self.licence is not None and named(self.licence) is None:
            raise names_none("reader.licence", self.licence)
        return self

    def licence_of(self, row: Mapping[str, Any]) -> str | None:
        """The licence that a row names: in SPDX terms if they are known, else in its own words."""
        return named(licence_of(row, self.licence_columns) or "")


@dataclass(frozen=True)
class Pair:
    """row: its place in the file. licence: None if unknown. key: of a sample in a tar. reason: why
    it cannot be used.
    """

    row: int
    text: str | None = None
    image: bytes | None = None
    url: str | None = None
    licence: str | None = None
    key: str | None = None
    reason: str | None = None
    detail: str | None = None

    def failed(self, reason: str, detail: str) -> "Pair":
        """The pair as one that cannot be used; its image is dropped. The first reason stays."""
        if self.reason is not None:
            return self
        return replace(self, image=None, reason=reason, detail=detail)


def with_columns(pair: Pair, row: Mapping[str, Any], reader: PairReader) -> Pair:
    """The pair with the text, the URL and the licence of a JSON object."""
    text, url = row.get(reader.text_column), row.get(reader.url_column)
    return replace(
        pair,
        text=without_surrogates(text) if isinstance(text, str) else pair.text,
        url=without_surrogates(url) if isinstance(url, str) else pair.url,
        licence=reader.licence_of(row),
    )


def licensed(pair: Pair, licences: Collection[str]) -> Pair:
    """The pair, or the failed one if its licence is not among these. None of them: all are.

    licences: as `named` spells them.
    """
    if not licences:
        return pair
    if pair.licence is None:
        return pair.failed("images.no_licence", "the row names no licence")
    if pair.licence in licences or is_permissive(pair.licence, licences):
        return pair
    return pair.failed("images.unwanted_licence", pair.licence)
