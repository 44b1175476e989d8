"""Sections: references go, the rest stays, and what went can be put back."""

import time

import pyarrow as pa
import pytest
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.sections.find import is_references
from corpusmill.stages.sections.stage import Sections

BODY = "We timed nine ferries for a year. They were late as often as the tide (Hill 2019).\n"
LIST = """[1] A. Hill and B. Moor. 2019. Tides and timetables. Journal of Ferries 12, 44-58.
[2] C. Dale. Delays in small harbours. arXiv 1905.01234, 2019.
[3] D. Firth. Boats: a survey. https://example.org/boats, 2021.
"""
REFERENCES = "## References\n\n" + LIST


def cut(text, **settings):
    table = pa.Table.from_pylist([{"id": "a", "text": text, "n_tokens": 7}], schema=DOCUMENT)
    outcome = Sections(**settings).apply(table)
    if not outcome.kept.num_rows:
        return outcome.excluded["reason"].to_pylist()
    (row,) = outcome.kept.to_pylist()
    assert restore(row["text"], row["sections_cuts"]) == text
    assert row["sections_removed_bytes"] == len(text.encode()) - len(row["text"].encode())
    assert (row["n_tokens"] is None) == (row["text"] != text)
    return row["text"]


@pytest.mark.parametrize(
    "heading",
    [
        *("## References", "# REFERENCES", "### 7. References", "## **Bibliography**"),
        *("References", "REFERENCES:", "7 References", "VII. References", "## References ##"),
        *("\\section{References}", "\\section*{References}", "## Références", "参考文献"),
    ],
)
def test_a_list_of_references_is_cut_under_each_form_of_its_heading(heading):
    assert cut(f"{BODY}\n{heading}\n\n{LIST}") == BODY.rstrip()


def test_what_follows_the_references_stays():
    appendix = "## Appendix\n\nThe table lists the ferries.\n"
    assert cut(f"# Ferries\n\n{BODY}\n{REFERENCES}\n{appendix}") == (
        f"# Ferries\n\n{BODY}\n{appendix}"
    )
    assert cut(f"{BODY}\nReferences\n\n{LIST}\nAppendix A. Ferries\n\n{BODY}") == (
        f"{BODY}\nAppendix A. Ferries\n\n{BODY}"
    )
    assert cut(f"{BODY}\nReferences\n\n{LIST}\n### Tables\n") == f"{BODY}\n### Tables\n"
    more = "The boats are painted each spring, and most of them leak until the paint is dry.\n"
    assert cut(f"{BODY}\nReferences:\n\n{LIST}\n{more}") == f"{BODY}\n{more}"
    deeper = f"## References\n\n### Primary\n\n{LIST}\n### Secondary\n\n{LIST}\n## Notes\n\nEnd.\n"
    assert cut(f"{BODY}\n{deeper}") == f"{BODY}\n## Notes\n\nEnd.\n"


@pytest.mark.parametrize("heading", ["## Appendix A", "### B. Supplementary tables"])
def test_an_appendix_ends_the_references_at_any_level(heading):
    text = f"{BODY}\n# References\n\n{LIST}\n{heading}\n\nThe table lists the ferries.\n"
    assert cut(text) == f"{BODY}\n{heading}\n\nThe table lists the ferries.\n"
    latex = f"{BODY}\\section{{References}}\n{LIST}\\subsection{{Appendix}}\nA table.\n"
    assert cut(latex) == f"{BODY}\\subsection{{Appendix}}\nA table.\n"


@pytest.mark.parametrize("name", ["Literature", "Literatur", "Литература", "Bibliography"])
def test_a_list_under_the_name_of_a_subject_is_cut(name):
    assert cut(f"{BODY}\n## {name}\n\n{LIST}") == BODY.rstrip()


def test_the_bibliography_of_latex_ends_with_its_environment():
    items = "\\bibitem{hill} A. Hill, Tides, 2019.\n\\bibitem{dale} C. Dale, Delays, 2020.\n"
    text = f"{BODY}\\begin{{thebibliography}}{{9}}\n{items}\\end{{thebibliography}}\nThe end.\n"
    assert cut(text) == f"{BODY}The end.\n"


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        "",
        "# References\n\nA reference is another name for a variable. It must be set when it is "
        "made, and it cannot be set again. Take one where you would not copy.\n",
        "# References and borrowing\n\n" + LIST,
        "The References are listed by year: 2019, 2020, 2021.\n",
        f"```\n## References\n{LIST}```\n\n{BODY}",
        "Literature\n\nShe read it at school, and liked the novels of the sea best of all.\n",
        "References\n",
        "## Literature\n\nShe read it at school, and liked the novels of the sea best of all. Many "
        "are as old as the harbour, and one, of 1861, was written in it. Her own came out late.\n",
        "# Literature\n\nThe harbour had no poet.\n\nIn 1861, after the war of 1859, one came by "
        "ferry.\n\nNobody read him.\n\nThe ferries were late as often as the tide.\n",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert cut(text) == text


def test_named_sections_are_cut_too():
    thanks = "## Acknowledgements\n\nWe thank the harbour masters.\n\n"
    text = f"{BODY}\n{thanks}## Discussion\n\nLate is late.\n"
    assert cut(text) == text
    assert cut(text, others=("acknowledgements",)) == f"{BODY}\n## Discussion\n\nLate is late.\n"


def test_a_named_section_with_a_plain_heading_is_a_paragraph():
    thanks = (
        "Acknowledgements\n\nWe thank the harbour masters of nine towns, who let us stand on their "
        "piers in all\nweathers, and the crews.\n\n"
    )
    rest = "Late is late, as the crews say, and a ferry that comes on the next day is no ferry.\n"
    assert cut(f"{BODY}\n{thanks}{rest}", others=("acknowledgements",)) == f"{BODY}\n{rest}"
    assert cut(f"{BODY}\n{thanks}", others=("acknowledgements",)) == BODY.rstrip()


def test_several_sections_and_other_scripts_come_back_in_their_places():
    chapter = f"# Ерші й паромы\n\n{BODY}\n{REFERENCES}\n"
    assert (
        cut(chapter * 3)
        == f"# Ерші й паромы\n\n{BODY}\n" * 2 + f"# Ерші й паромы\n\n{BODY.rstrip()}"
    )


def test_a_document_of_references_alone_is_dropped():
    assert cut(REFERENCES) == ["sections.empty"]


def test_a_list_is_told_by_its_years_and_addresses():
    assert is_references(LIST)
    assert not is_references("")
    assert not is_references(
        "They were late in 2019, as anybody knows who stood there. " + "And so on. " * 40
    )


def test_a_bibliography_that_is_not_closed_ends_before_the_next():
    items = "\\bibitem{hill} A. Hill, Tides, 2019.\n"
    opened = f"\\begin{{thebibliography}}{{9}}\n{items}"
    assert cut(f"{BODY}{opened}{opened}\\end{{thebibliography}}\nThe end.\n") == f"{BODY}The end.\n"
    assert cut(f"{BODY}{opened}") == BODY.rstrip()


@pytest.mark.parametrize(
    "text",
    [
        ("# " + " " * 1500 + "x" * 300 + "\n") * 20,
        "# " + " \t#" * 100_000 + "x",
        "\\begin{thebibliography}{9}\nNo more than words are here.\n" * 20_000,
        "\\begin{thebibliography}{9}\nNo more than words are here.\n" * 20_000
        + "\\end{thebibliography}",
    ],
)
def test_blanks_in_headings_and_open_environments_take_linear_time(text):
    start = time.process_time()
    Sections().cut(text)
    assert time.process_time() - start < 2


def test_long_lines_and_many_headings_take_no_long_time():
    hostile = [
        "#" * 200_000,
        "References\n" + "\n" * 100_000,
        "References\n" + "\n 2019 \n" * 50_000,
        "# " * 100_000,
        "References\n" * 20_000,
        "\\section{" * 50_000,
    ]
    start = time.process_time()
    for text in [*hostile, " " * 200_000 + "x", "```\n" * 50_000]:
        Sections().cut(text)
    assert time.process_time() - start < 5
