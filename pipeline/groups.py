"""Which steps of a recipe run as one group, and which folder a step's documents are in.

Consecutive map stages run as one group. Its folder has the last one's name.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.pipeline.catalogue import stage_class
from corpusmill.pipeline.recipe import Recipe, Step, named_steps
from corpusmill.stages.contract import MapStage, Reads

FolderOf = Callable[[str], str]  # a step's name -> its folder


@dataclass(frozen=True)
class Group:
    """Steps that run as one: a single global stage, or consecutive map stages.

    hands_on: the next step could be in the group. It is not, because these documents are kept.
    """

    steps: tuple[Step, ...]
    hands_on: bool = False

    @property
    def name(self) -> str:
        return self.steps[-1].name


def groups_of(recipe: Recipe) -> Iterator[Group]:
    """The groups of a recipe. Consecutive map stages are one group.

    A group ends if another step refers to its documents, or if they are kept.
    """
    referred = {
        name
        for step in recipe.steps
        for name in (*named_steps(step.settings), *named_steps(step.inputs))
    }
    waiting: list[Step] = []
    for step, after in itertools.zip_longest(recipe.steps, recipe.steps[1:]):
        if not _is_map(step):
            yield Group((step,))
            continue
        waiting.append(step)
        goes_on = after is not None and _is_map(after) and not after.inputs
        if not goes_on or step.name in referred or _keeps_documents(step):
            yield Group(tuple(waiting), goes_on and step.name not in referred)
            waiting = []


def _is_map(step: Step) -> bool:
    return issubclass(stage_class(step.verb), MapStage)


def _keeps_documents(step: Step) -> bool:
    """Whether the step writes its documents. By default it does if it reads raw files.

    Then, after a change of a filter's threshold, only the later stages run again. The crawl is not
    read again.
    """
    if step.keep_documents is not None:
        return step.keep_documents
    return stage_class(step.verb).reads is Reads.RECORDS


def folders_of(groups: Sequence[Group], output: str) -> FolderOf:
    """The folder of each step below `output`. Raises RecipeError for a name that no step has."""
    grouped = {step.name: group.name for group in groups for step in group.steps}

    def folder_of(name: str) -> str:
        if name not in grouped:
            raise RecipeError(
                f"step:{name} names no step of the recipe", nearest(name, grouped, "the steps are")
            )
        return storage.join(output, grouped[name])

    return folder_of


def folders_beside(output: str) -> FolderOf:
    """The folder of each step for a stage that runs alone: `step:NAME` is NAME beside `output`.

    Raises RecipeError if there is no such folder.
    """
    beside = storage.absolute(output.rstrip("/")).rsplit("/", 1)[0]

    def folder_of(name: str) -> str:
        folder = storage.join(beside, name)
        if not storage.is_folder(folder):
            raise RecipeError(
                f"step:{name} means the folder {name} beside --output, and {folder} is not there",
                f"run that stage with --output {folder}, put --output beside the folder that it "
                "wrote, or write the folder's path in place of the reference",
            )
        return folder

    return folder_of
