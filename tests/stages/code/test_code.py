"""Program files: which are dropped, for which reason; files that are made to break the parser."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.code.families import RULES
from corpusmill.stages.code.licences import expression, licence_of
from corpusmill.stages.code.measure import generated_mark, measure
from corpusmill.stages.code.stage import Code
from corpusmill.stages.licences.expressions import is_permissive
from corpusmill.stages.licences.names import PERMISSIVE
from corpusmill.stages.readers import RECORD
from corpusmill.stages.readers.licences import licence_said
from pydantic import ValidationError

PYTHON = '''"""Sizes of sails."""


def area(width: float, height: float) -> float:
    """Square metres of a three-cornered sail."""
    if width < 0 or height < 0:
        raise ValueError("no negative sides")
    return width * height / 2
'''
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal in the Software."""
BSD = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:"""
GPL = """This program is free software; you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation; either version 2, or (at your option) any later version."""


def commented(text, mark="# "):
    return "".join(f"{mark}{line}\n" for line in text.splitlines())


def judged(*records, **settings):
    """path -> reason and detail; (None, None) for a kept file."""
    rows = [
        {
            "id": str(number),
            "origin": {"file": "files.jsonl", "row": number},
            "licence": "MIT",
            **record,
        }
        for number, record in enumerate(records)
    ]
    outcome = Code(**settings).apply(pa.Table.from_pylist(rows, schema=RECORD))
    assert outcome.kept.num_rows + outcome.excluded.num_rows == len(records)
    found = {row["path"]: (None, None) for row in outcome.kept.to_pylist()}
    return found | {
        row["path"]: (row["reason"], row["detail"]) for row in outcome.excluded.to_pylist()
    }


def reason(path="a.py", text=PYTHON, licence="MIT", settings=None):
    (found,) = judged({"path": path, "text": text, "licence": licence}, **settings or {}).values()
    return found[0]


@pytest.mark.parametrize(
    ("text", "repository", "wanted", "found"),
    [
        ("// SPDX-License-Identifier: MIT\nint x;", "GPL-3.0-only", "MIT", "tag"),
        ("/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */", None, "(GPL-2.0 OR MIT)", "tag"),
        ("<!-- SPDX-License-Identifier: CC0-1.0 -->", None, "CC0-1.0", "tag"),
        ('x = "SPDX-License-Identifier: ISC"', None, "ISC", "tag"),
        ("# SPDX-License-Identifier: NOASSERTION", "MIT", "MIT", "repository"),
        (commented(MIT), None, "MIT", "text"),
        (commented(BSD, " * "), None, "BSD-2-Clause", "text"),
        (commented(BSD + "\nNeither the name of X may be used to endorse"), "",
         "BSD-3-Clause", "text"),
        (commented(GPL, "// "), "MIT", "GPL-2.0-or-later", "text"),
        ("# You may choose between two licenses: GPLv2 or the PSF license", None,
         "GPL-2.0-or-later OR PSF-2.0", "text"),
        ("# Licensed under the MIT license\n# and the Apache License, Version 2.0", None,
         "Apache-2.0 AND MIT", "text"),
        (commented(GPL) + "# Parts under the MIT License.\n"
         "# Alternatively, the caller may pass a path. The terms of the sum are in order.", None,
         "GPL-2.0-or-later AND MIT", "text"),
        (commented(GPL) + "# Alternatively, this file (a.c) may be used under the\n"
         "# terms of the MIT License.", None, "GPL-2.0-or-later OR MIT", "text"),
        ("# MIT License\n# Recursion is strictly prohibited here.", None, "MIT", "text"),
        ("# MIT License. The use of exec is fine, the use of eval\n# is strictly prohibited.",
         None, "MIT", "text"),
        ("# Unauthorized copying of this file (a.c), via any medium\n# is strictly prohibited.",
         "MIT", "LicenseRef-proprietary", "text"),
        ("# Any use is strictly prohibited", "MIT", "LicenseRef-proprietary", "text"),
        ("# Copyright 2020 A. Author. All rights reserved.", None, None, None),
        ("x = 1", "Apache License 2.0", "Apache-2.0", "repository"),
        ("x = 1", MIT, "MIT", "repository"),
        ("x = 1", "MIT AND GPL-3.0-only", "MIT AND GPL-3.0-only", "repository"),
        ("x = 1", "unknown", None, None),
        ("x = 1\n" * 1000 + "# GNU General Public License", "MIT", "MIT", "repository"),
    ],
)  # fmt: skip
def test_a_file_says_its_licence_or_else_its_repository(text, repository, wanted, found):
    assert licence_of(text, repository) == (wanted, found)


@pytest.mark.parametrize(
    ("said", "permissive"),
    [
        ("MIT", True),
        ("mit", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-2.0) AND BSD-3-Clause", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("AGPL-3.0", False),
        ("LicenseRef-proprietary", False),
        ("MIT OR", False),
        ("MIT AND", False),
        ("MIT GPL-3.0", False),
        ("(MIT", False),
        ("", False),
        ("(" * 390 + "MIT", False),
        ("MIT OR " * 5000 + "MIT", False),
        ("see the file", False),
        ("MIT; GPL", False),
    ],
)
def test_an_expression_is_permissive_if_permissive_licences_alone_meet_it(said, permissive):
    assert is_permissive(said, PERMISSIVE) is permissive


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("mit license", "MIT"),
        ("The MIT License (MIT)", "MIT"),
        ("GPLv3", "GPL-3.0-only"),
        ("BSD", "BSD-3-Clause"),
        ("", None),
        ("Other", None),
        ("other", None),
        ("NOASSERTION", None),
        ("apache-2.0", "Apache-2.0"),
        ("bsd-3-clause-clear", "BSD-3-Clause-Clear"),
        ("0bsd", "0BSD"),
        ("wtfpl", "WTFPL"),
        ("gpl-3.0", "GPL-3.0"),
        ("Apache License 2.0", "Apache-2.0"),
        ("The Apache Software License, Version 2.0", "Apache-2.0"),
        ("Artistic License 2.0", "Artistic-2.0"),
        ('BSD 2-Clause "Simplified" License', "BSD-2-Clause"),
        ('BSD 3-Clause "New" or "Revised" License', "BSD-3-Clause"),
        ("BSD Zero Clause License", "0BSD"),
        ("Boost Software License 1.0", "BSL-1.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
        ("Do What The F*ck You Want To Public License", "WTFPL"),
        ("GNU General Public License v3.0", "GPL-3.0-only"),
        ("GNU Lesser General Public License v2.1", "LGPL-2.1-only"),
        ("ISC License", "ISC"),
        ("MIT No Attribution", "MIT-0"),
        ("Mozilla Public License 2.0", "MPL-2.0"),
        ("The Unlicense", "Unlicense"),
        ("University of Illinois/NCSA Open Source License", "NCSA"),
        ("zlib License", "Zlib"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("docs/MIT", "docs/MIT"),
        ("MIT License AND Apache 2.0", "MIT AND Apache-2.0"),
        ("GPL-2.0 AND MIT/Apache-2.0", "GPL-2.0 AND (MIT OR Apache-2.0)"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("a licence of our own", "a licence of our own"),
    ],
)
def test_what_people_say_becomes_an_identifier(said, wanted):
    assert expression(said) == wanted


@pytest.mark.parametrize(
    ("listed", "wanted", "permissive"),
    [
        (["MIT", "Apache-2.0"], "MIT AND Apache-2.0", True),
        (["MIT", "", "MIT"], "MIT", True),
        (["MIT License", "ISC License"], "MIT AND ISC", True),
        (
            ["MIT OR Apache-2.0", "GPL-3.0-only"],
            "(MIT OR Apache-2.0) AND GPL-3.0-only",
            False,
        ),
        (["MIT or Apache-2.0", "GPL-3.0-only"], "(MIT or Apache-2.0) AND GPL-3.0-only", False),
        (["GPL-3.0-only", "MIT/Apache-2.0"], "GPL-3.0-only AND (MIT OR Apache-2.0)", False),
        (["MIT OR GPL-3.0-only", "ISC"], "(MIT OR GPL-3.0-only) AND ISC", True),
    ],
)
def test_of_a_list_of_licences_all_hold(listed, wanted, permissive):
    found = expression(licence_said(listed) or "") or ""
    assert found == wanted
    assert is_permissive(found, PERMISSIVE) is permissive


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\npackage a"),
        ("a.py", "# Generated by Django 3.2.5 on 2021-07-01\n"),
        ("a.js", "/**\n * @generated SignedSource<<12>>\n */"),
        ("a.cs", "// <auto-generated>\n//     This code was generated by a tool."),
        ("a.py", "# Auto-generated by tools/make_table.py\nX = 1"),
        ("a.py", '"""Character Mapping Codec generated from \'8859-1.TXT\' with gencodec.py."""'),
        ("a.h", "/* This file is automatically generated. */"),
        ("a.c", "/* A Bison parser, made by GNU Bison 3.0.4.  */"),
        ("lib/jquery.min.js", "var a=1"),
        ("api/service_pb2.py", "x = 1"),
    ],
)
def test_what_tools_write_is_known_by_its_marks(path, text):
    assert generated_mark(path, text)
    assert reason(path, text) == "code.generated"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", '"""Read files that were written by the parser."""'),
        ("a.py", "# The generated method is added to the class."),
        ("a.rs", "    generated_fields: SchemaRef,"),
        ("a.py", "x = 1\n" * 50 + "# Code generated by hand"),
        ("tools/make.py", 'print("# This file is generated by make.py")'),
        ("a.py", "# Do not edit the list while you iterate over it."),
    ],
)
def test_a_word_of_generated_things_is_no_mark(path, text):
    assert generated_mark(path, text) is None


@pytest.mark.parametrize(
    ("path", "text", "licence", "why"),
    [
        ("a.py", PYTHON, "MIT", None),
        ("a.py", PYTHON, None, "code.no_licence"),
        ("a.py", PYTHON, "GPL-3.0-only", "code.not_permissive"),
        ("a.py", commented(GPL) + PYTHON, "MIT", "code.not_permissive"),
        ("web/package-lock.json", '{"name": "a"}', "MIT", "code.lock_file"),
        ("a.js", "var a=" + "1," * 600, "MIT", "code.long_line"),
        ("a.js", ("var name_of_a_thing = 1;" * 5 + "\n") * 40, "MIT", "code.long_lines"),
        ("a.py", "(((+ - * / ))) {{}}\n" * 20, "MIT", "code.few_alphanumeric"),
        ("a.xml", "<?xml version='1.0'?>\n" + "<b c='d'>e</b>\n" * 20, "MIT", "code.much_markup"),
        ("a.php", "<?php\nfunction area($a, $b) { if ($a < $b) return $a * $b; }", "MIT", None),
        ("a.cpp", "std::vector<int> sizes; std::map<int, float> areas;\n" * 3, "MIT", None),
        ("a.c", "int x;\0", "MIT", "code.null_bytes"),
        ("a.c", " \n\n", "MIT", "code.empty"),
    ],
)  # fmt: skip
def test_each_file_has_the_reason_of_the_first_rule(path, text, licence, why):
    assert reason(path, text, licence) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('print "hello"\n', "Missing parentheses in call to 'print'"),  # Python 2
        ("try:\n    x = 1\nexcept ValueError, e:\n    pass\n", "multiple exception types"),
        ("def area(a, b:\n    return a * b\n", "was never closed"),
        ("x = '\0'\n", None),  # another rule is first
        ("from __future__ import annotations\nmatch x:\n    case [1, *rest]: pass\n", ""),
        ('pattern = "\\d"\n', ""),  # a warning, no error
        ("\ufeffx = 1\r\ny = 2\r\n", ""),
        ("x = " + "(" * 5000 + ")" * 5000, "too many nested parentheses"),
        ("x = " + "-" * 100_000 + "1", None),
        ("x = 1" + " + 1" * 100_000, None),
        ("x = " + "[" * 90 + "]" * 90, ""),
        ("x = 1" + "0" * 6000, None),  # more digits than Python reads
        ("if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 120)), "many levels"),
    ],
)
def test_python_that_does_not_parse_is_dropped(text, why):
    loose = {"off": ("code.long_line", "code.long_lines", "code.few_alphanumeric")}
    ((found, detail),) = judged({"path": "a.py", "text": text}, **loose).values()
    if why == "":
        assert found is None
    elif why is not None:
        assert found == "code.does_not_parse"
        assert why in detail
    else:
        assert found in (
            "code.does_not_parse",
            "code.null_bytes",
            "error_code.memory",
            "error_code.crashed",
        )


def test_a_file_that_hangs_the_parser_costs_only_itself():
    hostile = "x = [" + "f'{x:{x}}', " * 80_000 + "]"
    loose = {"off": ("code.long_line", "code.long_lines", "code.few_alphanumeric")}
    found = judged(
        {"path": "a.py", "text": PYTHON},
        {"path": "b.py", "text": hostile},
        {"path": "c.py", "text": PYTHON},
        **loose,
        parse_seconds=0.05,
    )
    assert found["a.py"] == found["c.py"] == (None, None)
    assert found["b.py"][0] == "error_code.timeout"


def test_only_python_is_parsed_and_the_language_follows_from_record_or_name():
    rows = [
        {"path": "a.rs", "text": "fn main() {"},
        {"path": "b", "text": "def area(:", "language": "python"},
        {"path": "c.pyi", "text": "def area(:"},
        {"path": "Makefile", "text": "all: build\n\tcc area.c"},
    ]
    found = {path: why for path, (why, _) in judged(*rows).items()}
    assert found == {
        "a.rs": None,
        "b": "code.does_not_parse",
        "c.pyi": "code.does_not_parse",
        "Makefile": None,
    }
    found = {path: why for path, (why, _) in judged(*rows, languages=("Rust", "Makefile")).items()}
    assert found["b"] == "code.unwanted_language"
    assert found["Makefile"] is None


def test_the_detail_says_what_was_found():
    found = judged(
        {"path": "a.py", "text": commented(GPL)},
        {"path": "b.go", "text": "// Code generated by x. DO NOT EDIT.\n"},
        {"path": "c.js", "text": "a" * 1200},
        {"path": "d.js", "text": "a\n" * 3_000_000},
    )
    assert [detail for _, detail in found.values()] == [
        "characters=6000000 > 1048576",
        "GPL-2.0-or-later",
        "// Code generated by x. DO NOT EDIT.",
        "longest_line=1200 > 1000",
    ]


def test_recipes_change_thresholds_and_add_rules():
    assert reason("a.js", "a" * 1200, settings={"thresholds": {"long_line": 2000}}) == (
        "code.long_lines"
    )
    own = {"name": "short", "statistic": "lines", "comparison": "<", "threshold": 30}
    assert reason(settings={"rules": [own]}) == "recipe.short"
    unlike = {**own, "name": "unlike", "statistic": "permissive", "comparison": "!="}
    loose = {"rules": [unlike], "off": ["code.no_licence"]}
    assert reason(licence=None, settings=loose) is None
    assert reason(licence=None, settings={"off": ["code.no_licence"]}) is None
    assert reason(licence="MPL-2.0", settings={"permissive": ["MPL-2.0"]}) is None
    settings = {"repositories": {"one/": "GPL-3.0-only", "one/part/": "MIT"}}
    assert reason("one/part/a.py", licence=None, settings=settings) is None
    assert reason("one/a.py", licence=None, settings=settings) == "code.not_permissive"
    assert reason("two/a.py", licence=None, settings=settings) == "code.no_licence"
    assert reason("one/part/a.py", licence="NOASSERTION", settings=settings) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"off": ["code.no_license"]}, "there is no rule 'code.no_license'"),
        ({"thresholds": {"long_lin": 5}}, "there is no rule 'code.long_lin'"),
        ({"repositories": {"a/": "unknown"}}, "the repository 'a/' has the licence 'unknown'"),
        (
            {"rules": [{"name": "a", "statistic": "word", "comparison": "<", "threshold": 1}]},
            "which is not measured",
        ),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises((RecipeError, ValidationError), match=message):
        Code(**settings)


def test_statistics_are_those_of_the_definition():
    found = measure("a.html", "<p class='x'>ab</p>\ncd\n")
    assert found["lines"] == 3
    assert found["null_bytes"] == found["lock_file"] == 0
    assert found["longest_line"] == 19
    assert found["markup_ratio"] == pytest.approx(17 / 23)
    assert found["alphanumeric_ratio"] == pytest.approx(12 / 20)


def test_the_page_has_the_rules_as_they_are():
    page = (Path(__file__).parents[3] / "docs" / "code.md").read_text()
    for rule in RULES:
        shown = f"| `{rule.name}` | `{rule.statistic}` {rule.comparison} {rule.threshold:g} |"
        assert shown in page
    assert f"{len(PERMISSIVE)} SPDX identifiers" in page


def test_a_run_reads_json_lines_and_parquet_with_their_columns(tmp_path):
    rows = [
        {"content": PYTHON, "max_stars_repo_path": path, "max_stars_repo_licenses": licences}
        for path, licences in (("a.py", ["MIT"]), ("b.py", ["MIT", "GPL-3.0"]), ("c.py", []))
    ]
    (tmp_path / "one.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "two.parquet")
    step = Step("code", "code", (), {"reader": {"text_column": "content"}})
    for name in ("one.jsonl", "two.parquet"):
        output = tmp_path / name.split(".")[0]
        manifest = run_step(step, (str(tmp_path / name),), str(output), InlineRunner())
        (account,) = manifest.totals
        assert account.excluded == {"code.not_permissive": 1, "code.no_licence": 1}
        kept = pq.read_table(next((output / "documents").glob("*.parquet"))).to_pylist()
        assert [(row["path"], row["licence"]) for row in kept] == [("a.py", "MIT")]
        assert kept[0]["text"] == PYTHON
        assert kept[0]["programming_language"] == "Python"
