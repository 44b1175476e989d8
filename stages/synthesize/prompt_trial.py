"""`corpusmill prompts`: the shipped prompts, and what one of them makes of a text."""

from collections.abc import Iterator

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.schema import DOCUMENT, LINKED
from corpusmill.prompts import loader
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.synthesize import postfilters
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.stage import Synthesize


def listed(folder: str | None = None) -> Iterator[str]:
    """A line for each shipped prompt, or each in a folder: name, limits and purpose. Then one for
    each file in the folder that is no prompt or cannot be used, with the reason.

    Raises RecipeError for a shipped prompt that cannot be used, InputError for a folder without
    one that can.
    """
    names = loader.shipped() if folder is None else finding.files_below(folder, ".md")
    prompts, faults = [], []
    for name in names:
        try:
            prompt = loader.load(name)
            postfilters.check(prompt)
            prompts.append(prompt)
        except loader.NoFrontMatter as error:
            faults.append(f"no prompt: {error.what}")
        except RecipeError as error:
            if folder is None:
                raise
            faults.append(f"cannot be used: {error}")
    if not prompts:
        mend = "; ".join(faults) or "name a folder of .md files"
        raise InputError(f"{folder} holds no prompt file", mend)
    width = max(len(prompt.name) for prompt in prompts)
    for prompt in prompts:
        limits = prompt.limits
        size = f"{limits.max_input_tokens:>5} in {limits.max_output_tokens:>5} out"
        yield f"{prompt.name:<{width}}  {size}  {prompt.purpose}"
    yield from faults


def shown(name_or_path: str) -> str:
    """The prompt file. Raises RecipeError if there is none, or if it cannot be used."""
    prompt = loader.load(name_or_path)
    postfilters.check(prompt)
    if name_or_path in loader.shipped():
        return package_file("prompts", f"{name_or_path}.md").read_text(encoding="utf-8")
    return storage.read_bytes(prompt.path).decode()


def examined(name_or_path: str) -> Iterator[str]:
    """What becomes of the examples in a prompt file.

    Raises RecipeError behind the last one if another thing becomes of one than the file says.
    """
    prompt = loader.load(name_or_path)
    postfilters.check(prompt)
    wrong = 0
    for number, example in enumerate(prompt.examples, 1):
        fault, result = postfilters.outcome(example, prompt)
        wrong += bool(fault)
        yield f"--- example {number} of {len(prompt.examples)}: {fault or 'as the file says'}"
        if isinstance(result, postfilters.Rejection):
            yield f"dropped, {result.code(postfilters.stage_of(prompt))}: {result.detail}"
        else:
            yield f"kept: {result}"
    if wrong:
        raise RecipeError(
            f"{prompt.path}: {wrong} of {len(prompt.examples)} examples come out otherwise",
            "correct the examples or the post-filters",
        )
    if not prompt.examples:
        yield f"{prompt.path} has no examples; give a text with --text"


def tried(
    settings: Synthesize, name_or_path: str, source: str, ask: bool, linked: str | None = None
) -> Iterator[str]:
    """What a model is asked about a text, and what would be kept of its answers.

    settings: engine and seed. source: path or URL of a UTF-8 text. ask: also ask the engine.
    linked: of a prompt about two documents, the other text. Raises RecipeError for a rubric.
    """
    prompt = loader.load(name_or_path)
    postfilters.check(prompt)
    if prompt.properties:
        raise RecipeError(
            f"{prompt.path} is a rubric, and --text shows what synthesize asks",
            "leave out --text to test its examples, or run annotate with `max_documents: 5`",
        )
    if prompt.about_two != (linked is not None):
        raise RecipeError(
            f"{prompt.path} asks about {'two documents' if prompt.about_two else 'one document'}",
            "name the second text with --linked" if prompt.about_two else "leave out --linked",
        )
    planner = settings.planner()
    planner.room(prompt)
    document = {**dict.fromkeys(DOCUMENT.names), "id": source, "text": _text(source)}
    if linked is not None:
        document[LINKED.name] = {"id": linked, "text": _text(linked)}
    rows = list(planner.plan(document, [prompt]))
    requests = [request for row in rows for request in row.asked]
    for number, request in enumerate(requests, 1):
        yield f"--- request {number} of {len(requests)}: {len(request.token_ids)} tokens"
        yield planner.tokenizer.render(request.messages)
    answers = iter(in_order(settings.engine, requests)) if ask else iter(())
    for number, row in enumerate(rows, 1):
        row.answers = dict(enumerate(answer for _, answer in zip(row.asked, answers, strict=False)))
        if ask or row.rejection:
            yield f"--- row {number} of {len(rows)}"
            yield from _outcome(settings, row)


def _text(source: str) -> str:
    """Raises InputError for a file that is not UTF-8."""
    try:
        return storage.read_bytes(source).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 ({error.reason})", "save it as UTF-8") from error


def _outcome(settings: Synthesize, row: PlannedRow) -> Iterator[str]:
    for reply in row.replies:
        yield f"answer, {reply.finish_reason}: {reply.text or reply.error}"
    finished = settings.planner().finish(row, settings.engine.identity(), settings.min_joined_share)
    if finished.rejection:
        yield f"dropped, {finished.rejection.code(settings.name)}: {finished.rejection.detail}"
    else:
        yield f"kept: {finished.row['text']}"
