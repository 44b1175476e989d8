"""`watch` sees a run from outside: what runs, how far it is, what stopped, what is finished."""

import json
from pathlib import Path

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.shard import progress_folder
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.pipeline.watching import State, Watcher
from corpusmill.report.following import follow
from corpusmill.report.watching import Rates, lines

from tests.command_line import corpusmill


class Looking(InlineRunner):
    """Runs shards in this process, and looks at the folder after each."""

    def __init__(self, watcher, stop_after=99):
        self.watcher, self.stop_after = watcher, stop_after
        self.seen = []

    def run(self, tasks, *, holds_engine=False):
        for result in super().run(tasks, holds_engine=holds_engine):
            yield result
            self.seen.append(self.watcher.look())
            if len(self.seen) == self.stop_after:
                raise KeyboardInterrupt


@pytest.fixture
def recipe(tmp_path):
    """Two shards, the second three times as large as the first."""
    for name, count in (("a", 10), ("b", 30)):
        row = json.dumps({"text": "Some words about the river and its towns."}) + "\n"
        (tmp_path / f"{name}.jsonl").write_text(row * count)
    steps = (Step("extract", "extract", (), {"min_text_chars": 0}), Step("dedup", "dedup"))
    return Recipe("r", (str(tmp_path / "*.jsonl"),), steps)


def test_a_running_stage_shows_its_shards_and_its_documents(recipe, tmp_path):
    output = str(tmp_path / "out")
    runner = Looking(Watcher(output))
    run_recipe(recipe, output, runner, lambda *_: None)
    (first,), (second,) = runner.seen[:2]
    assert (first.name, first.state, first.done, first.shards) == ("extract", State.RUNNING, 1, 2)
    assert first.part == pytest.approx(0.25, abs=0.01)
    assert (first.rows, second.rows) == (10, 40)
    assert second.part == 1
    assert first.holder is not None
    later = runner.seen[-1]
    assert [(state.name, state.state) for state in later] == [
        ("extract", State.FINISHED),
        ("dedup", State.RUNNING),
    ]
    end = Watcher(output).look()
    assert {state.state for state in end} == {State.FINISHED}
    assert [(state.rows, state.kept) for state in end] == [(40, 40), (40, 1)]


def test_an_interrupted_stage_is_stopped(recipe, tmp_path):
    output = str(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, output, Looking(Watcher(output), stop_after=1), lambda *_: None)
    (state,) = Watcher(output).look()
    assert (state.state, state.done, state.shards) == (State.STOPPED, 1, 2)
    (line,) = lines([state], Rates())
    assert line.words == "stopped, 1 of 2 shards"


def test_what_was_read_waits_for_a_first_answer(recipe, tmp_path):
    """As `pipeline.progress` counts it. A shard of a model's stage is read before it is asked."""
    output, seen = str(tmp_path / "out"), []

    class Asking(InlineRunner):
        def run(self, tasks, *, holds_engine=False):
            tasks, watcher = list(tasks), Watcher(output)
            below = Path(progress_folder(tasks[0].folder))
            below.mkdir(parents=True, exist_ok=True)
            size = sum(artifact.size for artifact in tasks[0].inputs)
            of_shard = {"shard": tasks[0].shard, "unit": "pages", "total": None, "read": size}
            for done in (0, 1):
                (below / "a.json").write_text(json.dumps({**of_shard, "done": done}))
                seen.extend(watcher.look())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, output, Asking(), lambda *_: None)
    waiting, answered = seen
    assert waiting.part == 0
    assert answered.part == pytest.approx(0.25, abs=0.01)


def test_the_page_refreshes_itself_only_while_something_runs(recipe, tmp_path):
    output, page = str(tmp_path / "out"), tmp_path / "watch.html"
    seen = []

    class Paging(Looking):
        def run(self, tasks, *, holds_engine=False):
            for result in super().run(tasks, holds_engine=holds_engine):
                follow(output, 7, str(page), once=True)
                seen.append(page.read_text())
                yield result

    run_recipe(recipe, output, Paging(Watcher(output)), lambda *_: None)
    assert '<meta http-equiv="refresh" content="7">' in seen[-1]
    follow(output, 7, str(page), once=True)
    assert 'http-equiv="refresh"' not in page.read_text()
    assert "nothing runs" in page.read_text()


def test_the_command_ends_by_itself_when_nothing_runs(recipe, tmp_path):
    output = str(tmp_path / "out")
    run_recipe(recipe, output, InlineRunner(), lambda *_: None)
    shown = corpusmill("watch", output, "--seconds", "0.5", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("extract") == 1
    as_json = json.loads(corpusmill("watch", output, "--once", "--json", cwd=tmp_path).stdout)
    assert [stage["state"] for stage in as_json["stages"]] == ["finished", "finished"]


def test_a_folder_where_nothing_runs_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nothing runs below"):
        follow(str(tmp_path), once=True)
