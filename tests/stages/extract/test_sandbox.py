"""The sandbox: a call that hangs, dies or uses too much memory costs only that call, and no child
outlives its parent.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.extract import sandbox
from corpusmill.stages.extract.sandbox import Sandbox, Stopped
from corpusmill.stages.extract.stage import Extract

from tests.stages.extract.poison import behave
from tests.stages.extract.test_extract import of_rows, outcome_of, reasons
from tests.stages.readers.warc_bytes import answer, page

WARM_UP = ("value", 0)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def limited():
    found = Sandbox(seconds=3, memory_mb=512)
    yield found
    found.stop()


def run(limited, *calls):
    return limited.run(behave, calls, WARM_UP)


def test_values_come_back_in_their_order(limited):
    values = [("value", number) for number in range(500)]
    assert run(limited, *values) == list(range(500))


def test_values_larger_than_a_pipe_holds_come_back_whole(limited):
    big = os.urandom(3 << 20)
    assert run(limited, ("value", big), ("value", "ü" * 100_000)) == [big, "ü" * 100_000]


def test_one_child_serves_many_runs_and_is_not_this_process(limited):
    first, second = run(limited, ("process",)), run(limited, ("process",))
    assert first == second != [os.getpid()]
    assert run(limited, ("parent",)) == [os.getpid()]


def test_an_exception_is_a_result_with_its_words(limited):
    failed, fine = run(limited, ("raise",), ("value", 1))
    assert isinstance(failed, ModelError)
    assert str(failed) == "the model is gone; get another"
    assert fine == 1


def test_an_exception_that_cannot_travel_is_a_result_too(limited):
    (failed,) = run(limited, ("raise what cannot be pickled",))
    assert "Local: odd" in str(failed)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("burn", "timeout"),
        ("crash", "crashed"),
        ("exit", "crashed"),
        ("eat", "memory"),
    ],
)
def test_a_poison_call_is_told_apart_and_its_neighbours_live(limited, what, reason):
    before, stopped, after = run(limited, ("value", "before"), (what,), ("value", "after"))
    assert (before, after) == ("before", "after")
    assert isinstance(stopped, Stopped)
    assert stopped.reason == reason, stopped.detail


def test_memory_that_c_code_asks_for_in_vain_is_told_from_another_crash():
    """Run the test in a small worker. A child's high-water mark says nothing below its parent's
    mark, and this process has grown in the tests before.

    A shell stands between, because the mark outlives the start of another program.
    """
    script = (
        "from corpusmill.stages.extract.sandbox import Sandbox; from tests.stages.extract.poison "
        "import behave\n"
        "limited = Sandbox(seconds=3, memory_mb=512)\n"
        "stopped, crashed = limited.run(behave, [('eat in C',), ('crash',)], ('value', 0))\n"
        "print(stopped.reason, crashed.reason)"
    )
    modules = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": modules}
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, script]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert found.stdout.split() == ["memory", "crashed"], found.stderr


def test_a_hang_in_c_that_burns_no_time_ends_by_the_clock_on_the_wall():
    limited = Sandbox(seconds=0.05, memory_mb=512)
    started = time.monotonic()
    stopped, after = run(limited, ("hang in C",), ("value", 1))
    limited.stop()
    assert (stopped.reason, after) == ("timeout", 1)
    assert time.monotonic() - started < 20


def test_a_call_that_waits_without_burning_time_is_left_alone(limited):
    assert run(limited, ("slow", 1.0)) == ["late"]


def test_every_call_may_be_poison(limited):
    found = run(limited, ("crash",), ("crash",), ("exit",))
    assert [stopped.reason for stopped in found] == ["crashed"] * 3


def test_a_child_that_was_killed_between_two_runs_is_replaced_and_nobody_is_blamed(limited):
    (child,) = run(limited, ("process",))
    os.kill(child, signal.SIGKILL)
    assert run(limited, ("value", 1)) == [1]


def test_what_a_library_prints_does_not_reach_the_answers(limited):
    assert run(limited, ("print",), ("value", 1)) == ["printed", 1]


def test_a_child_that_does_not_start_is_an_error_and_no_verdict_about_pages(monkeypatch):
    monkeypatch.setattr(sandbox, "_START", "raise SystemExit(3) # {path} {handles}")
    with pytest.raises(RuntimeError, match="does not start: the extractor died: exit 3"):
        run(Sandbox(seconds=1, memory_mb=512), ("value", 1))


def test_it_serves_a_thread_of_a_pool():
    limited = Sandbox(seconds=5, memory_mb=512)
    for _ in range(3):
        # The thread that started the child ends before the next run.
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(run, limited, ("value", 1)).result() == [1]
    limited.stop()


ORPHAN = """
import sys, threading
sys.path.insert(0, {root!r})
from corpusmill.stages.extract.sandbox import Sandbox
from tests.stages.extract.poison import behave
limited = Sandbox(3600, 512)
print(limited.run(behave, [("process",)], ("value", 0))[0], flush=True)
{then}
"""


@pytest.mark.parametrize(
    "then",
    [
        'limited.run(behave, [("burn",)], ("value", 0))',
        'limited.run(behave, [("hang in C",)], ("value", 0))',
        "input()",
    ],
)
def test_the_child_dies_with_its_parent_even_by_sigkill_and_even_while_it_hangs(then):
    code = ORPHAN.format(root=str(ROOT), then=then)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.3)
    assert child.is_running()
    parent.kill()
    parent.wait()
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_an_interrupt_from_the_terminal_does_not_reach_the_child(limited):
    (child,) = run(limited, ("process",))
    assert os.getpgid(child) != os.getpgid(0)


def test_pages_with_and_without_it_give_the_same_documents(tmp_path):
    answers = [
        answer(page()),
        answer(page("")),
        answer(page(), status="404 Not Found"),
        answer(b"plain", Content_Type="text/plain"),
    ]
    inside, outside = (
        outcome_of(tmp_path, *answers, settings=Extract(page_seconds=seconds))
        for seconds in (10, 0)
    )
    assert inside.kept.equals(outside.kept)
    assert inside.excluded.equals(outside.excluded)


@pytest.mark.parametrize("reason", ["timeout", "memory", "crashed"])
def test_a_stopped_page_is_an_excluded_row_with_its_reason(monkeypatch, reason):
    monkeypatch.setattr(
        sandbox.Sandbox,
        "run",
        lambda self, function, pages, warm_up: [Stopped(reason, "seen")] * len(pages),
    )
    found = of_rows(
        {"status": 200, "mime": "text/html", "payload": page()},
        {"text": "An English sentence of plain text."},
    )
    assert reasons(found) == [(f"error_html.{reason}", "seen")]
    assert found.kept.num_rows == 1


def test_a_real_page_that_is_quadratic_for_an_extractor_is_stopped():
    deep = b"<html><body>" + b"<div>" * 60_000 + b"deep"
    limited = Sandbox(seconds=0.3, memory_mb=1024)
    stopped, fine = limited.run(resiliparse_alone, [(deep,), (page(),)], (page(),))
    limited.stop()
    assert stopped.reason in ("timeout", "crashed", "memory")
    assert "The river had risen" in fine


def resiliparse_alone(payload):
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(payload.decode(), main_content=True)
