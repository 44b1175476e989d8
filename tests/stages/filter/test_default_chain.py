"""What the default chain of the filter keeps and drops: forms of text, and pages of code."""

import numpy as np
import pytest
from corpusmill.stages.filter.stage import Filter

from tests.stages.filter.test_filter import GOOD, documents, reason_of

NOTES = """# Release notes

## Version 4.2

- Fixed a crash in the importer when a CSV File has no header (#1204)
- Added support for ARM64 and RISC-V builds on Linux
- The API now returns HTTP 429 instead of HTTP 503
- Removed the deprecated option USE_OLD_PARSER from the CLI

## Version 4.1

- Updated OpenSSL to 3.0.8 because of CVE-2023-0286
- Faster start on Windows Server 2019 and 2022
- New command LIST USERS in the SQL shell
- Improved the error message of a failed TLS handshake
- Fixed the order of columns in CSV exports of wide tables
- The demo server no longer needs Java on Windows Server 2022
"""
FICTION = "\n\n".join(
    (
        "“You came after all,” she said. “I had nearly given up.”",
        "He put the lamp down. “The road was gone (or the part that mattered was).”",
        "'And the others?'",
        "“Behind me,” he said, “or they were when I last looked.”",
        "She laughed at that, and then she did not. «It is late,» she told him.",
        "“It is always late,” he said, and sat down by the fire to dry his boots.*",
        "“Then eat,” she said, “and tell me what the river has done to the mill.”",
    )
)
REFERENCES = "# References\n\n" + "\n".join(
    f"[{n}] {who} ({1961 + 5 * n}). {what}, {n + 3}({n % 4}), {97 * n}–{97 * n + 11}."
    for n, (who, what) in enumerate(
        (
            ("Okafor, B. and Lind, S.", "Sediments of shallow lakes. Limnology Today"),
            ("Hartmann, G.", "How mills changed small rivers. Annals of Water"),
            ("Ruiz, M., Ono, T. and Kay, L.", "Floods in archives of parishes. Past Climates"),
            ("Petrov, D.", "A gauge without moving parts. Instruments and Methods"),
            ("Nakamura, H. and Bell, J.", "Reading ferry books as data. Quantitative History"),
            ("O'Brien, C.", "The price of grain above the ford. Economic Notes"),
            ("Silva, P. and Haddad, R.", "Silt, barges and tolls. Journal of Inland Trade"),
            ("Ivanova, E.", "What the great frost did to the bridges. Winter Studies"),
            ("Quist, A. and Moore, T.", "Timber rafts in the age of steam. Rivers and Ports"),
        )
    )
)
YEARS = "# History of the town\n\n" + "\n".join(
    f"- {1804 + 9 * n}: {what}"
    for n, what in enumerate(
        (
            "The first mill is built at the ford",
            "A market is held every week from now on",
            "Two thousand people live in the parish",
            "The railway reaches the town from the south",
            "Fire destroys the old church and the school",
            "The hospital is opened by the bishop",
            "A bridge of iron takes the place of the ferry",
            "The last barge leaves the upper harbour",
            "The mill becomes a museum of the river",
            "A flood covers the lower town for a week",
            "The new school opens beside the old bridge",
        )
    )
)
WRAPPED = """When the river rose that spring, the people of the lower town carried what
they had to the upper one, and waited there. They had done so before, and so
nobody was afraid. The miller alone stayed behind, with the water at the third
step of his stair and a lamp in the window, to see what it would do to the
wheel that his father had built. In the morning the wheel was gone, and with it
the stair, and he sat on what was left of the wall and asked for his breakfast."""


@pytest.mark.parametrize("text", [NOTES, FICTION, REFERENCES, YEARS, WRAPPED, GOOD])
def test_what_is_written_in_other_forms_than_paragraphs_passes(text):
    assert reason_of(text) is None


MENU = "\n\n".join(
    f"{first} {second}"
    for first in ("Our", "All", "New", "Best", "Top", "More", "Latest", "Popular")
    for second in ("Shoes", "Bags", "Offers and the News", "Stories to Read with Coffee")
)
TEASERS = "\n\n".join(
    f"The council has met for the {n}th time this year to talk about the plan for the bridge, and "
    f"this time it seems that number {n} of those who have spoken against it will..."
    for n in range(12)
)


@pytest.mark.parametrize("text", [MENU, TEASERS])
def test_titles_and_cut_off_teasers_are_no_prose(text):
    failed = Filter().apply(documents(text)).excluded["failed_rules"].to_pylist()
    assert {"corpusmill.few_prose_parts", "corpusmill.little_prose"} <= set(failed[0])


def random_text(signs, size):
    return "".join(np.random.default_rng(1).choice(list(signs), size))


BASE64 = random_text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 128 * 76)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("\n".join(BASE64[n : n + 76] for n in range(0, len(BASE64), 76)), "long_code_parts"),
        ("\n".join(
            ";".join(f"var a{n}{m}=function(b){{return b+{m}}},c{m} = 7" for m in range(40))
            for n in range(5)
         ), "long_code_lines"),
        ("\n".join(f"{n:08x}  " + " ".join(random_text("0123456789abcdef", 32)[k : k + 2]
                                            for k in range(0, 32, 2)) for n in range(40)),
         "many_code_digits"),
        ("\n".join(f"2024-01-05 10:0{n // 60}:{n % 60:02} INFO [main] com.example.Server - the "
                    f"request of the user was answered by worker {n}" for n in range(99)),
         "log_lines"),
    ],
    ids=["base64", "minified", "bytes", "log"],
)  # fmt: skip
def test_a_fence_does_not_save_what_machines_write(code, reason):
    assert reason_of(f"# Output\n\n```\n{code}\n```") == f"corpusmill.{reason}"
    assert reason_of(f"{GOOD}\n\n```\n{code}\n```") is None  # an article that shows it
