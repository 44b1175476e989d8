"""Statistics, redaction and repair over any text: no crash, and values in their range.

Nothing is read beyond a text's end.
"""

import numpy as np
import pyarrow as pa
from corpusmill.stages.extract.repair import Repair, by_ftfy, repaired
from corpusmill.stages.filter.measuring import measure
from corpusmill.stages.filter.statistics import STATISTICS
from corpusmill.stages.redact.find import find
from corpusmill.stages.redact.stage import Redact
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.budget import fuzz
from tests.stages.readers.warc_bytes import PROSE

PIECES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            PROSE,
            "\n",
            "\n\n",
            " ",
            "…",
            "...",
            "lorem ipsum ",
            "{",
            "a" * 300,
            "中文",
            "\u0301" * 50,
            "👨‍👩‍👧",
            "\ufffd",
            "\U0010ffff",
        ]
    ),
    st.sampled_from(
        [
            "jo@host.de",
            "+49 30 1234567",
            "4111 1111 1111 1111",
            "DE89370400440532013000",
            "81.2.69.142",
            "2a00:1450::1",
            "@" * 40,
            "1" * 60,
        ]
    ),
    st.sampled_from(
        [
            "(at)",
            "[at",
            "Tel: ",
            "1.2.3.4.5",
            "::::::",
            "AA00",
            "+" * 20,
            "0" * 8,
            "1-" * 30,
            "Ã©",
            "â€™",
            "&amp;",
            "&#" + "9" * 30 + ";",
        ]
    ),
)
TEXTS = st.lists(PIECES, max_size=15).map("".join)


@fuzz(40)
@given(st.lists(TEXTS, max_size=3))
def test_statistics_are_finite_and_a_texts_own(texts):
    together = measure(pa.chunked_array([pa.array(texts, pa.string())])).measured
    for number, text in enumerate(texts):
        alone = measure(pa.chunked_array([pa.array([text])])).measured
        for statistic in STATISTICS:
            value = together[statistic.name][number]
            assert value == alone[statistic.name][0], statistic.name
            assert np.isfinite(value)
            assert value >= 0


@fuzz(60)
@given(st.lists(TEXTS, max_size=5))
def test_redaction_conserves_rows_and_what_is_no_span(texts):
    table = pa.table(
        {"id": [str(n) for n in range(len(texts))], "text": pa.array(texts, pa.string())}
    )
    kept, excluded = Redact().apply(table)
    kept.validate(full=True)
    assert (kept.num_rows, excluded.num_rows) == (len(texts), 0)
    for text, after in zip(texts, kept["text"].to_pylist(), strict=True):
        data = text.encode()
        for span in reversed(find(text)):
            data = data[: span.begin] + f"<{span.kind.upper()}>".encode() + data[span.end :]
        assert after.encode() == data


@fuzz(100)
@given(TEXTS)
def test_repair_is_ftfys_and_final(text):
    once = repaired(text, Repair())
    assert once == by_ftfy(text, Repair(), "<" not in text)
    assert repaired(once, Repair()) == once or "<" in once
