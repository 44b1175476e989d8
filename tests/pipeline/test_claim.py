"""No run removes finished work without --replace.

Other settings, inputs and stages are refused. The same command goes on.
"""

import dataclasses

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.manifest import STARTED, Parent, has_manifest, read_manifest
from corpusmill.pipeline.claim import claim
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.fused import Fused
from corpusmill.pipeline.inputs import expand_inputs
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.contract import Inputs

from tests.pipeline.sample_stages import CountAndCopy, DropShort, write_documents

TEXTS = {"a": ["one", "no", "three"], "b": ["four", "x"]}


def job(folder, documents, minimum=2, replace=False):
    parents = tuple(Parent(artifact.path, artifact.digest) for artifact in documents)
    config = {"drop_short": {"minimum": minimum}}
    return Job(
        Fused(stages=(DropShort(minimum=minimum),)),
        ("drop_short",),
        config,
        Inputs(str(folder), documents),
        parents,
        (),
        replace,
    )


def files(folder):
    return {path: storage.digest_of(path) for path in finding.files_below(str(folder))}


@pytest.fixture
def finished(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    execute(job(tmp_path / "out", documents), InlineRunner())
    return tmp_path / "out", documents


def test_other_settings_are_refused_before_anything_is_touched(finished):
    folder, documents = finished
    before = files(folder)
    with pytest.raises(CorpusmillError, match=r"drop_short.minimum was 2, is 4.*--replace"):
        execute(job(folder, documents, minimum=4), InlineRunner())
    assert files(folder) == before


def test_an_input_less_is_refused_and_one_more_is_not(finished):
    folder, documents = finished
    with pytest.raises(CorpusmillError, match="1 of its inputs are not read any more"):
        execute(job(folder, documents[:1]), InlineRunner())
    more = (*documents, *write_documents(folder.parent, {"c": ["fine"]}))
    assert execute(job(folder, more), InlineRunner()).totals[0].rows_in == 6


def test_replace_writes_it_again_and_the_same_command_then_goes_on(finished):
    folder, documents = finished
    assert (
        execute(job(folder, documents[:1], minimum=4, replace=True), InlineRunner()).totals[0].kept
        == 1
    )
    assert len(read_manifest(str(folder)).documents()) == 1
    assert execute(job(folder, documents[:1], minimum=4), InlineRunner()).totals[0].kept == 1


def test_changed_input_under_its_name_is_read_again(finished):
    folder, documents = finished
    changed = write_documents(folder.parent, {"a": ["another", "text"]})
    assert execute(job(folder, (*changed, documents[1])), InlineRunner()).totals[0].kept == 3


class Interrupted(InlineRunner):
    """A run stopped by Ctrl-C after its first shard."""

    def run(self, tasks, *, holds_engine):
        yield from super().run(list(tasks)[:1], holds_engine=holds_engine)
        raise KeyboardInterrupt


def test_an_unfinished_folder_is_as_safe_as_a_finished_one(tmp_path):
    documents = write_documents(tmp_path, TEXTS)
    with pytest.raises(KeyboardInterrupt):
        execute(job(tmp_path / "out", documents), Interrupted())
    assert not has_manifest(str(tmp_path / "out"))
    before = files(tmp_path / "out")
    with pytest.raises(CorpusmillError, match=r"minimum was 2, is 4"):
        execute(job(tmp_path / "out", documents, minimum=4), InlineRunner())
    assert files(tmp_path / "out") == before
    execute(job(tmp_path / "out", documents), InlineRunner())
    assert not (tmp_path / "out" / STARTED).exists()


def test_nothing_finished_is_nothing_to_refuse(tmp_path):
    class AtOnce(InlineRunner):
        def run(self, tasks, *, holds_engine):
            raise KeyboardInterrupt

    documents = write_documents(tmp_path, TEXTS)
    with pytest.raises(KeyboardInterrupt):
        execute(job(tmp_path / "out", documents), AtOnce())
    assert execute(job(tmp_path / "out", documents, minimum=4), InlineRunner()).totals[0].kept == 2


def test_settings_that_decide_no_byte_may_change(tmp_path):
    class Patient(CountAndCopy):
        free_settings = ("timeout",)

    documents = write_documents(tmp_path, TEXTS)
    inputs = Inputs(str(tmp_path / "out"), documents)
    one = Job(Patient(), ("count_and_copy",), {"count_and_copy": {"timeout": 1}}, inputs)
    first = execute(one, InlineRunner())
    other = dataclasses.replace(one, config={"count_and_copy": {"timeout": 2}})
    assert execute(other, InlineRunner()).plan_hash == first.plan_hash
    with pytest.raises(CorpusmillError, match=r"count_and_copy.depth was not set, is 3"):
        execute(dataclasses.replace(one, config={"count_and_copy": {"depth": 3}}), InlineRunner())


def test_settings_that_decide_no_byte_are_no_part_of_the_manifests_digest(finished):
    manifest = read_manifest(str(finished[0]))
    one = dataclasses.replace(
        manifest, config={"s": {"engine": {"url": "a", "model": "m"}}}, free=["s.engine.url"]
    )
    other = dataclasses.replace(one, config={"s": {"engine": {"url": "b", "model": "m"}}})
    assert one.digest == other.digest != dataclasses.replace(one, free=[]).digest


def test_null_is_another_setting_than_none_at_all(finished):
    folder, documents = finished
    one = job(folder, documents)
    with pytest.raises(CorpusmillError, match=r"drop_short.limit was not set, is null"):
        execute(
            dataclasses.replace(one, config={"drop_short": {"minimum": 2, "limit": None}}),
            InlineRunner(),
        )


def test_the_same_input_elsewhere_is_the_same_input(finished):
    folder, documents = finished
    moved = job(folder, documents)
    parents = tuple(Parent(f"{parent.path}.moved", parent.digest) for parent in moved.parents)
    execute(dataclasses.replace(moved, parents=parents), InlineRunner())


def test_a_folder_in_which_every_shard_failed_holds_nothing_to_keep(tmp_path, monkeypatch):
    documents = write_documents(tmp_path, TEXTS)
    with monkeypatch.context() as broken:
        broken.setattr(DropShort, "adds", lambda self: 1 / 0)
        with pytest.raises(CorpusmillError, match="every shard of drop_short failed"):
            execute(job(tmp_path / "out", documents), InlineRunner())
    assert execute(job(tmp_path / "out", documents, minimum=4), InlineRunner()).totals[0].kept == 2


def test_no_manifest_lists_a_shard_while_it_is_done_again(finished, monkeypatch):
    folder, documents = finished
    (folder / "documents" / "a.parquet").unlink()
    apply, seen = DropShort.apply, []

    def looking(self, table):
        seen.append(has_manifest(str(folder)))
        return apply(self, table)

    monkeypatch.setattr(DropShort, "apply", looking)
    execute(job(folder, documents), InlineRunner())
    assert seen == [False]
    assert has_manifest(str(folder))


def test_of_two_runs_with_other_settings_at_once_one_gives_up(tmp_path, monkeypatch):
    documents = write_documents(tmp_path, TEXTS)
    out = tmp_path / "out"

    class Late(InlineRunner):
        def run(self, tasks, *, holds_engine):
            yield from super().run(tasks, holds_engine=holds_engine)
            claim(job(out, documents, minimum=4).started(), replace=True)

    with pytest.raises(CorpusmillError, match="another run"):
        execute(job(out, documents), Late())


def test_an_unfinished_folder_is_not_an_input(tmp_path):
    claim(job(tmp_path / "out", write_documents(tmp_path, TEXTS)).started(), replace=False)
    with pytest.raises(CorpusmillError, match="not finished"):
        expand_inputs([str(tmp_path / "out")], str(tmp_path / "next"), InlineRunner())


def test_a_recipe_that_must_be_refused_is_refused_before_its_first_stage(tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"id": "a", "text": "A text that is long enough to be kept by all of them."}\n'
    )

    def recipe(**settings):
        steps = (Step("extract", "extract"), Step("dedup", "dedup", (), settings))
        return Recipe("r", (str(tmp_path / "in.jsonl"),), steps)

    run_recipe(recipe(), str(tmp_path / "out"), InlineRunner(), lambda folder, manifest: None)
    before = files(tmp_path / "out")
    (tmp_path / "out" / "extract" / "manifest.json").unlink()
    changed, done = recipe(verify_threshold=0.9), []
    with pytest.raises(CorpusmillError, match=r"dedup.verify_threshold was not set, is 0.9"):
        run_recipe(
            changed,
            str(tmp_path / "out"),
            InlineRunner(),
            lambda folder, manifest: done.append(folder),
        )
    assert not done
    del before[str(tmp_path / "out" / "extract" / "manifest.json")]
    assert files(tmp_path / "out") == before


def test_a_shard_that_fails_again_leaves_the_old_output_until_it_is_given_up(finished, monkeypatch):
    folder, documents = finished
    seen = []

    def broken(self, table):
        seen.append((folder / "documents" / "a.parquet").exists())
        raise MemoryError

    monkeypatch.setattr(DropShort, "apply", broken)
    with pytest.raises(CorpusmillError):
        execute(job(folder, documents, minimum=3, replace=True), InlineRunner())
    assert seen == [True] * len(seen) != []
