"""Every spelling of a Creative Commons licence is one identifier, and nothing is guessed."""

import pytest
from corpusmill.stages.code.licences import expression
from corpusmill.stages.licences.expressions import is_permissive, named
from corpusmill.stages.licences.names import PERMISSIVE


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC_BY_NC_SA 3.0", "CC-BY-NC-SA-3.0"),
        ("CC BY-NC-ND 2.0", "CC-BY-NC-ND-2.0"),
        ("CC BY-ND-NC 1.0", "CC-BY-NC-ND-1.0"),
        ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0"),
        ("https://creativecommons.org/licenses/by/2.0/?ref=openverse", "CC-BY-2.0"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode#x", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.de?a=1#b", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by/2.5/scotland/", "CC-BY-2.5-SCOTLAND"),
        ("CC BY 4.0 Deed", "CC-BY-4.0"),
        ("Public Domain Mark 1.0", "CC-PDM-1.0"),
        ("Creative Commons Public Domain Mark 1.0 Universal", "CC-PDM-1.0"),
        ("CC0 1.0 Universal Public Domain Dedication", "CC0-1.0"),
        ("cc-by-sa", "CC-BY-SA"),
        ("CC0", "CC0-1.0"),
        ("CC Zero v1.0", "CC0-1.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0/", "CC-BY-SA-3.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.en", "CC-BY-4.0"),
        ("//creativecommons.org/licenses/by-nc/2.0", "CC-BY-NC-2.0"),
        ("https://www.creativecommons.org/licenses/by/3.0/us/legalcode", "CC-BY-3.0-US"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported License", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution Non Commercial No Derivatives 4.0", "CC-BY-NC-ND-4.0"),
        (
            "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International Public "
            "License (CC BY-NC-SA 4.0)",
            "CC-BY-NC-SA-4.0",
        ),
    ],
)
def test_a_spelling_becomes_its_identifier(said, wanted):
    assert named(said) == expression(said) == wanted
    assert is_permissive(wanted, PERMISSIVE) is (wanted in PERMISSIVE)


@pytest.mark.parametrize(
    "said",
    [
        "CC",
        "by-nc 4.0",
        "Attribution License",
        "CC BY 4.0, GFDL",
        "CC BY 4.0 (CC BY-NC 4.0)",
        "CC BY 4.0 for the text alone",
        "https://creativecommons.org/",
        "https://creativecommons.example/licenses/by/4.0/",
        "© CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/?a=1 but not the images",
        "Public Domain Mark 1.0 except the logo",
        "deed",
        "public domain",
        "Public Domain",
    ],
)
def test_other_words_stay_as_they_are(said):
    assert named(said) == said


def test_names_are_joined_and_long_words_are_cut():
    assert named("CC BY 2.0 OR GFDL") == "CC-BY-2.0 OR GFDL"
    assert named("no rights reserved " * 100) == ("no rights reserved " * 100)[:400]
    assert [named(said) for said in ("", " ", "None", "unknown")] == [None] * 4
