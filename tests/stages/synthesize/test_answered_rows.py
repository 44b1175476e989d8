"""Rows come back in document order, whatever the order of the answers, and memory is bounded."""

import random

import pytest
from corpusmill.prompts import loader
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.synthesize.answered_rows import answered
from corpusmill.stages.synthesize.ledger import ledger
from corpusmill.stages.synthesize.planned_rows import PlannedRow
from corpusmill.stages.synthesize.segments import Segment

PROMPT = loader.load("distill")


def request(name: str) -> Request:
    return Request((1,), ({"role": "user", "content": name},), 8, 0.5, 0.9, 0)


def planned(count: int, requests=lambda number: number % 4):
    """Rows 0, 1, 2, ... with so many requests each, and a note of how many were planned."""
    made = []

    def rows():
        for number in range(count):
            made.append(number)
            asked = [request(f"{number}.{place}") for place in range(requests(number))]
            segments = [Segment(0, 100, 9)] * len(asked)
            yield [PlannedRow({"text": "x" * 100}, PROMPT, 0, number, segments, asked)]

    return rows(), made


@pytest.fixture
def known(tmp_path):
    with ledger(str(tmp_path / "scratch")) as opened:
        yield opened


class Scrambled:
    """Answers each request with its own text, of some in flight a random one first."""

    def __init__(self, in_flight: int, stuck: str = "") -> None:
        self.in_flight, self.stuck = in_flight, stuck
        self.streams = 0

    def answers(self, requests):
        self.streams += 1
        dice = random.Random(3)
        flying: list[tuple[int, Request]] = []
        numbered = enumerate(requests)
        while True:
            while len(flying) < self.in_flight and (following := next(numbered, None)):
                flying.append(following)
            if not flying:
                return
            free = [place for place, item in enumerate(flying) if self._name(item) != self.stuck]
            index, asked = flying.pop(dice.choice(free or [0]))
            yield index, Completion(asked.messages[0]["content"], "stop")

    def _name(self, item):
        return item[1].messages[0]["content"]


@pytest.mark.parametrize("in_flight", [1, 7, 1000])
def test_rows_keep_their_order_and_get_their_own_answers(in_flight, known):
    rows, _ = planned(200)
    found = list(answered(rows, Scrambled(in_flight).answers, known))
    assert [row.seed for row in found] == list(range(200))
    for row in found:
        assert [reply.text for reply in row.replies] == [
            f"{row.seed}.{place}" for place in range(row.seed % 4)
        ]


def test_a_row_is_planned_only_when_the_engine_has_room_for_it(known):
    rows, made = planned(100, lambda number: 1)
    stream = answered(rows, Scrambled(5).answers, known)
    next(stream)
    assert len(made) < 20


def test_a_request_that_takes_very_long_stops_the_planning_and_is_waited_for(known):
    rows, made = planned(3000, lambda number: 1)
    engine = Scrambled(10, stuck="0.0")
    stream = answered(rows, engine.answers, known, most_held=100_000)
    assert next(stream).seed == 0  # the engine answers it last of all that it was given
    assert len(made) < 100
    assert [row.seed for row in stream] == list(range(1, 3000))
    assert 2 <= engine.streams < 20


def test_rows_without_requests_do_not_pile_up(known):
    rows, made = planned(3000, lambda number: 0)
    stream = answered(rows, Scrambled(10).answers, known, most_held=100_000)
    next(stream)
    assert len(made) < 100
    assert len(list(stream)) == 2999


def test_a_row_without_an_answer_is_asked_again_when_a_run_goes_on(tmp_path):
    def refusing(requests):
        for index, asked in enumerate(requests):
            name = asked.messages[0]["content"]
            yield index, failed("busy") if name == "1.0" else Completion(name, "stop")

    with ledger(str(tmp_path)) as first:
        list(answered(planned(3, lambda number: 1)[0], refusing, first))
    again = []
    with ledger(str(tmp_path)) as second:
        rows, _ = planned(3, lambda number: 1)

        def answering(requests):
            for index, asked in enumerate(requests):
                again.append(asked.messages[0]["content"])
                yield index, Completion(again[-1], "stop")

        found = list(answered(rows, answering, second))
    assert again == ["1.0"]
    assert [row.replies[0].text for row in found] == ["0.0", "1.0", "2.0"]


def test_requests_go_out_by_segment(known):
    """So those of all prompts about one segment are neighbours."""
    segments = [Segment(0, 50, 9), Segment(50, 100, 9)]

    def row(prompt):
        asked = [request(f"{prompt}.{place}") for place in range(2)]
        return PlannedRow({"text": "x" * 100}, PROMPT, 0, 0, segments, asked)

    order = []

    def answering(requests):
        for index, asked in enumerate(requests):
            order.append(asked.messages[0]["content"])
            yield index, Completion(order[-1], "stop")

    found = list(answered(iter([[row("a"), row("b")]]), answering, known))
    assert order == ["a.0", "b.0", "a.1", "b.1"]
    assert [[reply.text for reply in each.replies] for each in found] == [
        ["a.0", "a.1"],
        ["b.0", "b.1"],
    ]
