"""Settings objects in Python code. tests/pipeline tests the errors of recipes."""

import pickle
from typing import Annotated, ClassVar, Literal, Self

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.setting_words import wanted
from corpusmill.manifests.settings import Settings, Share, build_settings
from pydantic import Field, PositiveInt, ValidationError, create_model, model_validator


class Inner(Settings):
    size: PositiveInt = 1
    """How many."""
    share: Share = 0.5


class Outer(Settings):
    name: ClassVar[str] = "outer"

    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    least: int = 1
    most: int = 9
    rate: float = 10

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise RecipeError(f"least is {self.least}, most is {self.most}", "give least first")
        return self


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"items": [{}, {"size": 0}]}, "outer.items[1].size is 0; wanted: int of at least 1"),
        ({"named": {"a": {"share": 2}}}, "outer.named.a.share is 2; wanted: float from 0 to 1"),
        ({"named": {"a": {"siz": 2}}}, "unknown key outer.named.a.siz; did you mean 'size'?"),
        ({"rate": float("nan")}, "outer.rate is nan; wanted: float"),
        ({"rate": float("-inf")}, "outer.rate is -inf; wanted: float"),
        ({"least": 10}, "outer.least is 10, most is 9; give least first"),
        ({"raet": 1}, "unknown key outer.raet; did you mean 'rate'?"),
    ],
)
def test_python_is_refused_as_a_recipe_is(settings, message):
    with pytest.raises(RecipeError) as direct:
        Outer(**settings)
    with pytest.raises(RecipeError) as built:
        build_settings(Outer, settings, "outer")
    assert str(direct.value) == str(built.value) == message
    assert isinstance(direct.value, ValueError)


def test_what_an_inner_class_refuses_has_its_whole_key():
    class Holder(Settings):
        parts: tuple[Outer, ...]

    with pytest.raises(RecipeError, match=r"^step\.parts\[0\]\.least is 10, most is 9; give"):
        build_settings(Holder, {"parts": [{"least": 10}]}, "step")
    with pytest.raises(RecipeError, match=r"^parts is missing; add it: list of mapping with"):
        build_settings(Holder, {})


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Inner().size = 2


def test_a_changed_copy_is_checked_like_a_new_object():
    outer = Outer(inner=Inner(size=3))
    assert outer.model_copy(update={"least": 2}) == Outer(inner=Inner(size=3), least=2)
    assert outer.model_copy() == outer
    with pytest.raises(RecipeError, match=r"outer\.least is 10, most is 9"):
        outer.model_copy(update={"least": 10})
    with pytest.raises(RecipeError, match=r"unknown key outer\.leest"):
        outer.model_copy(update={"leest": 1})


def test_settings_travel_between_processes_and_can_be_keys():
    outer = Outer(items=(Inner(size=2),))
    assert pickle.loads(pickle.dumps(outer)) == outer
    assert {Inner(size=2): "here"}[Inner(size=2)] == "here"


def test_objects_share_no_mutable_default():
    Outer().named["a"] = Inner()
    assert Outer().named == {}


def test_plain_data_is_what_a_recipe_would_say():
    outer = build_settings(Outer, {"items": [{"size": 2}], "named": {"a": {}}, "least": 0})
    plain = {
        "inner": {"size": 1, "share": 0.5},
        "items": [{"size": 2, "share": 0.5}],
        "named": {"a": {"size": 1, "share": 0.5}},
        "least": 0,
        "most": 9,
        "rate": 10,
    }
    assert outer.model_dump(mode="json") == plain
    assert list(outer.model_dump(mode="json")) == list(plain)
    assert build_settings(Outer, outer.model_dump(mode="json")) == outer


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "text"),
        (bool | None, "true | false | null"),
        (Literal["a", 2], "a | 2"),
        (dict[Literal["a", "b"], tuple[float, ...]], "mapping of a | b to list of float"),
        (tuple[str, int], "[text, int]"),
        (Annotated[int, Field(gt=0, lt=5)], "int of at least 1, below 5"),
        (Annotated[int, Field(ge=2, le=5)], "int from 2 to 5"),
        (Annotated[float, Field(gt=0, le=1)], "float above 0, at most 1"),
        (Annotated[float, Field(le=1)], "float of at most 1"),
        (Annotated[tuple[str, ...], Field(min_length=1)], "list of text, at least one"),
        (Annotated[dict[str, int], Field(min_length=2)], "mapping of text to int, at least 2"),
        (Inner | None, "mapping with size, share | null"),
    ],
)
def test_a_type_in_words(hint, words):
    holder = create_model("Holder", __base__=Settings, key=(hint, ...))
    root = holder.model_json_schema()
    assert wanted(root["properties"]["key"], root) == words
