"""Scores of answers, and their place in the model's card."""

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.tools.evaluate_tiny import (
    BEGIN_MARK,
    END_MARK,
    Answer,
    score,
    split_lead_in,
    table,
    write_card,
)
from corpusmill.tools.pairs import Pair


def answer(text: str, led_in: bool = True, ended: bool = True) -> Answer:
    return Answer(Pair("books", "clean text", "clean  text!!"), text, led_in, ended)


def test_the_lead_in_line_is_taken_off():
    assert split_lead_in("Rewritten text:\nIt rains.", "Rewritten text:") == ("It rains.", True)
    assert split_lead_in("It rains.", "Rewritten text:") == ("It rains.", False)


def test_a_score_compares_noise_and_answer_with_the_clean_text():
    found = score("mixed", [answer("clean text"), answer("clean", led_in=False, ended=False)])
    assert (found.before, found.after) == (0.3, 0.25)
    assert (found.exact, found.led_in, found.ended) == (0.5, 0.5, 0.5)


def test_the_card_gets_the_table_between_its_markers(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"# Card\n{BEGIN_MARK}\nold\n{END_MARK}\nend\n")
    write_card(card, table([score("mixed", [answer("clean text")])]))
    assert "| mixed | 1 | 30.00% | 0.00% | 100% |" in card.read_text()
    assert "old" not in card.read_text()
    assert card.read_text().endswith("end\n")


def test_a_card_without_markers_is_refused(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("# Card\n")
    with pytest.raises(CorpusmillError, match="no place"):
        write_card(card, "table")
