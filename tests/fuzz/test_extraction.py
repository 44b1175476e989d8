"""Pages in any state, through every extractor. Each gives a text or a reason.

None gives a crash, a hang or a control character.
"""

from typing import get_args

import pyarrow as pa
import pytest
from corpusmill.stages.extract import html
from corpusmill.stages.extract.stage import Extract
from corpusmill.stages.readers import RECORD
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.budget import fuzz
from tests.fuzz.damage import PAGES, damaged
from tests.stages.readers.warc_bytes import page

EXTRACTORS = get_args(html.Extractor)
BROKEN = damaged(PAGES.map(lambda text: text.encode("utf-8", "replace")) | st.just(page()))


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_a_page_ends_as_a_text_or_with_a_reason_and_takes_nobody_with_it(extractor):
    settings = Extract(extractor=extractor, languages=(), language_threshold=0, page_seconds=10)

    @fuzz(8)
    @given(st.lists(BROKEN, min_size=1, max_size=4))
    def check(payloads):
        rows = [
            {"id": str(n), "status": 200, "mime": "text/html", "payload": payload}
            for n, payload in enumerate([*payloads, page()])
        ]
        kept, excluded = settings.apply(pa.Table.from_pylist(rows, schema=RECORD))
        assert kept.num_rows + excluded.num_rows == len(rows)
        assert str(len(payloads)) in kept["id"].to_pylist()  # the healthy one
        assert not {"error_html.crashed", "error_html.timeout", "error_html.memory"} & set(
            excluded["reason"].to_pylist()
        )
        for text in kept["text"].to_pylist():
            assert text == html.clean(text)
            assert not text.isspace()

    check()


@fuzz(40)
@given(st.text(max_size=60) | PAGES)
def test_cleaning_and_tidying_are_final(text):
    cleaned = html.clean(text)
    assert html.clean(cleaned) == cleaned
    tidied = html.tidy(cleaned)
    assert html.tidy(tidied) == tidied
