"""Rules as data: which are in force, what they say about measured documents, and how a recipe
changes them.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.filter.families import FAMILIES
from corpusmill.stages.filter.languages import LANGUAGES, check, published, threshold_table
from corpusmill.stages.filter.rules import Rule, do_not_judge, failing, rules_in_force
from corpusmill.stages.filter.statistics import NAMES

OWN = Rule(name="many_digits", statistic="digit_ratio", comparison=">", threshold=0.3)


def in_force(families=("gopher_quality",), thresholds=None, off=(), own=()):
    return {
        rule.code: rule for rule in rules_in_force(FAMILIES, families, thresholds or {}, off, own)
    }


def verdict(rule, value, dtype=np.float32):
    return bool(
        failing({rule.statistic: np.array([value], dtype)}, thresholds_of([rule]), [rule])[0, 0]
    )


def thresholds_of(rules):
    return np.array([[rule.threshold] for rule in rules])


@pytest.mark.parametrize(
    ("code", "passes", "fails"),
    [
        ("corpusmill.few_alphabetic_parts", 0.75, 0.74),
        ("corpusmill.few_prose_parts", 80, 79),
        ("corpusmill.little_prose", 0.5, 0.49),
        ("corpusmill.long_code_parts", 30.0, 30.1),
        ("corpusmill.long_code_lines", 500.0, 501.0),
        ("corpusmill.many_code_digits", 0.35, 0.36),
        ("corpusmill.log_lines", 0.5, 0.51),
        ("corpusmill.many_capitals", 0.12, 0.13),
        ("corpusmill.many_digits", 0.08, 0.09),
        ("gopher_quality.few_words", 50, 49),
        ("gopher_quality.many_words", 100_000, 100_001),
        ("gopher_quality.short_words", 3.0, 2.99),
        ("gopher_quality.long_words", 10.0, 10.01),
        ("gopher_quality.hash_signs", 0.1, 0.11),
        ("gopher_quality.ellipses", 0.1, 0.11),
        ("gopher_quality.bullet_lines", 0.9, 0.91),
        ("gopher_quality.ellipsis_lines", 0.3, 0.31),
        ("gopher_quality.few_alphabetic_words", 0.8, 0.79),
        ("gopher_quality.few_stop_words", 2, 1),
        ("gopher_repetition.duplicate_lines", 0.3, 0.31),
        ("gopher_repetition.duplicate_paragraphs", 0.3, 0.31),
        ("gopher_repetition.duplicate_line_characters", 0.2, 0.21),
        ("gopher_repetition.duplicate_paragraph_characters", 0.2, 0.21),
        ("gopher_repetition.top_2_gram", 0.20, 0.21),
        ("gopher_repetition.top_3_gram", 0.18, 0.19),
        ("gopher_repetition.top_4_gram", 0.16, 0.17),
        ("gopher_repetition.duplicate_5_grams", 0.15, 0.16),
        ("gopher_repetition.duplicate_6_grams", 0.14, 0.15),
        ("gopher_repetition.duplicate_7_grams", 0.13, 0.14),
        ("gopher_repetition.duplicate_8_grams", 0.12, 0.13),
        ("gopher_repetition.duplicate_9_grams", 0.11, 0.12),
        ("gopher_repetition.duplicate_10_grams", 0.10, 0.11),
        ("c4.few_sentences", 5, 4),
        ("c4.curly_bracket", 0, 1),
        ("c4.lorem_ipsum", 0, 1),
        ("fineweb.few_punctuated_lines", 0.12, 0.11),
        ("fineweb.short_lines", 0.67, 0.68),
        ("fineweb.duplicate_line_characters", 0.01, 0.02),
        ("fineweb.newlines", 0.3, 0.31),
        ("refinedweb.many_removed_words", 0.05, 0.06),
        ("nemotron.symbols", 0.25, 0.26),
        ("nemotron.hash_signs", 0.1, 0.11),
        ("nemotron.ellipses", 0.1, 0.11),
        ("nemotron.digits", 0.15, 0.16),
        ("nemotron.urls", 0.2, 0.21),
        ("nemotron.white_space", 0.25, 0.26),
        ("nemotron.parentheses", 0.1, 0.11),
        ("nemotron.boilerplate", 0.4, 0.41),
        ("nemotron.few_words", 50, 49),
        ("nemotron.many_words", 100_000, 100_001),
        ("nemotron.few_punctuated_lines", 0.15, 0.14),
        ("nemotron.few_alphabetic_words", 0.8, 0.79),
        ("nemotron.few_common_words", 2, 1),
        ("nemotron.short_words", 3.0, 2.99),
        ("nemotron.long_words", 10.0, 10.01),
        ("nemotron.longest_word", 1000, 1001),
        ("nemotron.bullet_lines", 0.9, 0.91),
        ("nemotron.ellipsis_lines", 0.3, 0.31),
        ("nemotron.duplicate_lines", 0.3, 0.31),
        ("nemotron.duplicate_paragraphs", 0.3, 0.31),
        ("nemotron.duplicate_line_characters", 0.2, 0.21),
        ("nemotron.duplicate_paragraph_characters", 0.2, 0.21),
        ("nemotron.top_2_gram", 0.20, 0.21),
        ("nemotron.top_3_gram", 0.18, 0.19),
        ("nemotron.top_4_gram", 0.16, 0.17),
        ("nemotron.duplicate_5_grams", 0.15, 0.16),
        ("nemotron.duplicate_6_grams", 0.14, 0.15),
        ("nemotron.duplicate_7_grams", 0.13, 0.14),
        ("nemotron.duplicate_8_grams", 0.12, 0.13),
        ("nemotron.duplicate_9_grams", 0.11, 0.12),
        ("nemotron.duplicate_10_grams", 0.10, 0.11),
    ],
)
def test_a_published_threshold_itself_passes_and_what_lies_beyond_it_fails(code, passes, fails):
    rule = in_force(tuple(FAMILIES))[code]
    dtype = np.int32 if isinstance(passes, int) else np.float32
    assert not verdict(rule, passes, dtype)
    assert verdict(rule, fails, dtype)


def test_every_published_rule_is_tested_above_and_cited():
    codes = {rule.code for rules in FAMILIES.values() for rule in rules}
    marks = test_a_published_threshold_itself_passes_and_what_lies_beyond_it_fails.pytestmark
    assert {case[0] for case in marks[0].args[1]} == codes
    assert all(rule.citation for rules in FAMILIES.values() for rule in rules)


def test_every_published_rule_names_a_statistic_that_is_measured():
    assert {rule.statistic for rules in FAMILIES.values() for rule in rules} <= set(NAMES)


def test_families_keep_the_order_of_the_recipe():
    families = [rule.family for rule in rules_in_force(FAMILIES, ("fineweb", "c4"), {}, (), ())]
    assert families == ["fineweb"] * 4 + ["c4"] * 3


def test_a_recipe_changes_a_threshold():
    rule = in_force(thresholds={"gopher_quality": {"few_words": 30}})["gopher_quality.few_words"]
    assert rule.threshold == 30
    assert "50" in rule.citation


def test_a_recipe_switches_a_rule_off():
    assert "gopher_quality.few_words" not in in_force(off=("gopher_quality.few_words",))


def test_a_recipe_adds_a_rule_of_its_own_after_the_families():
    assert list(in_force(own=(OWN,)))[-1] == "recipe.many_digits"


def test_the_threshold_of_an_own_rule_can_be_changed_too():
    assert (
        in_force(thresholds={"recipe": {"many_digits": 0.5}}, own=(OWN,))[
            "recipe.many_digits"
        ].threshold
        == 0.5
    )


def test_a_detail_shows_the_value_beside_the_condition_of_the_drop():
    assert in_force()["gopher_quality.few_words"].detail(12, 50) == "words=12 < 50"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"families": ("gofer_quality",)}, "did you mean 'gopher_quality'"),
        (
            {"thresholds": {"gopher_quality": {"few_word": 3}}},
            "did you mean 'gopher_quality.few_words'",
        ),
        ({"thresholds": {"c4": {"few_sentences": 3}}}, "add c4 to the families"),
        ({"off": ("c4.few_sentences",)}, "add c4 to the families"),
        ({"off": ("gopher_quality.few_wrds",)}, "did you mean 'gopher_quality.few_words'"),
        (
            {"own": (OWN.model_copy(update={"statistic": "digits_ratio"}),)},
            "did you mean 'digit_ratio'",
        ),
        ({"own": (OWN, OWN)}, "there already"),
        (
            {"own": (OWN.model_copy(update={"family": "c4", "name": "few_sentences"}),)},
            "there already",
        ),
        ({"own": (OWN.model_copy(update={"name": "Many digits"}),)}, "snake case"),
        ({"own": (OWN.model_copy(update={"family": "error_mine"}),)}, "error_"),
    ],
)
def test_a_mistake_in_a_recipe_is_named_with_its_mend(arguments, message):
    with pytest.raises(RecipeError, match=message):
        in_force(**arguments)


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        ("<", 1, 0, 0),
        ("<=", 1, 1, 0),
        (">", 0, 0, 1),
        (">=", 0, 1, 1),
        ("==", 0, 1, 0),
        ("!=", 1, 0, 1),
    ],
)
def test_comparisons_drop_on_their_side_of_the_threshold(comparison, below, equal, above):
    rule = OWN.model_copy(update={"comparison": comparison, "threshold": 0.3})
    assert [verdict(rule, value) for value in (0.2, 0.3, 0.4)] == [
        bool(below),
        bool(equal),
        bool(above),
    ]


def test_verdicts_are_one_row_a_rule_and_one_column_a_document():
    rules = [OWN, OWN.model_copy(update={"name": "some_digits", "threshold": 0.1})]
    verdicts = failing(
        {"digit_ratio": np.array([0.0, 0.2, 0.4], np.float32)}, thresholds_of(rules), rules
    )
    assert verdicts.tolist() == [[False, False, True], [False, True, True]]


def test_rules_on_prose_do_not_judge_what_is_mostly_set_apart():
    rules = (*rules_in_force(FAMILIES, ("gopher_quality", "c4", "fineweb"), {}, (), ()), OWN)
    words = {"words": np.array([100, 100, 100, 60]), "apart_words": np.array([10, 11, 60, 6])}
    skipped = dict(zip([rule.code for rule in rules], do_not_judge(words, rules), strict=True))
    for code in ("c4.few_sentences", "fineweb.short_lines", "fineweb.few_punctuated_lines"):
        assert skipped[code].tolist() == [False, True, True, False]
    assert skipped["gopher_quality.few_stop_words"].tolist() == [False, False, True, False]
    assert not skipped["gopher_quality.few_words"].any()
    assert not skipped["recipe.many_digits"].any()


def test_rules_on_code_judge_pages_that_have_hardly_anything_else():
    rules = rules_in_force(FAMILIES, ("corpusmill",), {}, (), ())
    words = {"words": np.array([100, 100, 100, 60]), "apart_words": np.array([10, 50, 51, 30])}
    skipped = dict(zip([rule.code for rule in rules], do_not_judge(words, rules), strict=True))
    assert skipped["corpusmill.log_lines"].tolist() == [True, True, False, True]
    assert skipped["corpusmill.few_alphabetic_parts"].tolist() == [False, False, True, False]
    assert not skipped["corpusmill.few_prose_parts"].any()


def test_a_language_has_its_published_thresholds_and_others_the_families():
    rules = rules_in_force(FAMILIES, ("gopher_quality", "c4"), {}, (), ())
    table = threshold_table(rules, ["en", "de", "th", "xx"], True, {})
    at = {rule.code: index for index, rule in enumerate(rules)}
    assert table[at["gopher_quality.long_words"]].tolist()[:2] == [10, 15]
    # Thai words are single characters here.
    assert np.isnan(table[at["gopher_quality.long_words"], 2])
    assert np.isnan(table[at["c4.few_sentences"]]).tolist() == [False, True, True, True]
    assert (table[:, 0] == [rule.threshold for rule in rules]).all()
    assert (
        threshold_table(rules, ["de"], False, {})[:, 0] == [rule.threshold for rule in rules]
    ).all()


def test_a_language_that_nobody_tuned_is_judged_by_no_english_rule():
    rules = rules_in_force(FAMILIES, tuple(FAMILIES), {}, (), ())
    codes = ["", "en", "en-GB", "eng_Latn", "da", "el", "hi", "bo", "wuu"]
    table = threshold_table(rules, codes, True, {})
    at = {
        rule.code: dict(zip(codes, row, strict=True))
        for rule, row in zip(rules, table, strict=True)
    }
    for code in codes[:4]:
        assert [at[rule.code][code] for rule in rules] == [rule.threshold for rule in rules]
    for code in codes[4:]:
        for name in (
            "gopher_quality.few_stop_words", "nemotron.few_common_words", "nemotron.boilerplate",
            "c4.few_sentences", "fineweb.short_lines", "corpusmill.little_prose",
        ):  # fmt: skip
            assert np.isnan(at[name][code])
        assert at["gopher_repetition.duplicate_lines"][code] == 0.3
    assert at["gopher_quality.long_words"]["da"] == 21  # the loosest of FineWeb 2's
    assert np.isnan([at["gopher_quality.long_words"][code] for code in ("bo", "wuu")]).all()
    assert np.isnan(at["gopher_repetition.top_2_gram"]["bo"])
    assert at["fineweb.few_punctuated_lines"]["hi"] == 0.12
    assert np.isnan(at["fineweb.few_punctuated_lines"]["bo"])


def test_a_recipes_own_stop_words_judge_languages_that_nobody_tuned():
    rules = rules_in_force(FAMILIES, ("gopher_quality",), {}, (), ())
    table = threshold_table(rules, ["da", "de"], True, {}, judges_stop_words=True)
    at = {rule.name: row for rule, row in zip(rules, table, strict=True)}
    assert at["few_stop_words"].tolist() == [2, 2]


def test_a_recipes_threshold_for_a_language_wins_and_null_is_off():
    rules = rules_in_force(FAMILIES, ("gopher_quality",), {}, (), ())
    own = {"de": {"gopher_quality": {"long_words": 13, "few_words": None}}}
    column = dict(
        zip(
            [rule.name for rule in rules],
            threshold_table(rules, ["de"], True, own)[:, 0],
            strict=True,
        )
    )
    assert column["long_words"] == 13
    assert np.isnan(column["few_words"])
    assert column["short_words"] == 0


def test_a_language_threshold_for_a_rule_that_is_not_in_force_is_refused():
    with pytest.raises(RecipeError, match=r"language de .*c4\.few_sentences"):
        check(
            {"de": {"c4": {"few_sentences": 3}}},
            rules_in_force(FAMILIES, ("gopher_quality",), {}, (), ()),
        )


def test_every_published_language_threshold_is_one_of_a_published_rule():
    codes = {rule.code for rules in FAMILIES.values() for rule in rules}
    assert all(set(published(language)) <= codes for language in LANGUAGES.values())


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">=", "==", "!="])
def test_a_rule_without_a_threshold_drops_nothing(comparison):
    rule = OWN.model_copy(update={"comparison": comparison})
    assert not failing(
        {rule.statistic: np.array([0.5], np.float32)}, np.array([[np.nan]]), [rule]
    ).any()


def test_the_table_of_rules_in_the_documentation_is_the_one_in_force():
    text = (Path(__file__).parents[3] / "docs" / "filters.md").read_text(encoding="utf-8")
    documented = {}
    for section in text.split("\n### ")[1:]:
        for name, statistic, comparison, threshold in re.findall(
            r"\| `(\w+)` \| `(\w+)` ([<>]=?) ([\d.]+) \|", section
        ):
            documented[f"{section.split()[0]}.{name}"] = (statistic, comparison, float(threshold))
    in_code = {
        r.code: (r.statistic, r.comparison, r.threshold)
        for rules in FAMILIES.values()
        for r in rules
    }
    assert documented == in_code
    assert all(f"`{name}`" in text for name in NAMES if not re.search(r"_[36789]_gram", name))
