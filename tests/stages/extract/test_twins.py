"""Parts that stand twice in a row are written once; all other repetition stays."""

from corpusmill.stages.extract import main_content

from tests.stages.readers.warc_bytes import PROSE

SLIDE = "<div class=slide><p>The mill by the river will be open on Sunday.</p><p>{0}</p></div>"
TWIN = SLIDE.format("Children and their dogs come in free.")
OTHER = SLIDE.format("The miller bakes bread at noon.")


def written(body):
    html = f"<title>Mill</title><main><h1>Mill</h1><p>{PROSE}</p>{body}<p>The end of it.</p></main>"
    return main_content.main_content(html, lambda _text: "en")


def test_a_part_of_several_blocks_that_comes_again_at_once_is_written_once():
    for times in (2, 3):
        text = written(TWIN * times)
        assert text.count("come in free") == text.count("open on Sunday") == 1
        assert text.endswith("The end of it.")


def test_what_comes_again_later_stays():
    text = written(TWIN + OTHER + TWIN)
    assert text.count("come in free") == 2
    assert text.count("open on Sunday") == 3


def test_short_blocks_may_be_said_twice():
    assert written("<p>Never, he said.</p><p>Never, he said.</p>").count("Never, he said.") == 2


def test_rows_of_tables_and_code_stay_as_they_are():
    row = "<tr><td>one day of work in the old mill</td><td>seven hours or more</td></tr>"
    assert written(f"<table>{row * 3}</table>").count("seven hours or more") == 3
    code = "<pre><code>wait until the wheel of the mill stands still again</code></pre>"
    assert written(code * 2).count("until the wheel") == 2
