"""Thresholds for other languages: FineWeb 2 tuned them on each language's own web and reference
text.

Source: Penedo et al. 2025 (arXiv:2506.20920); values from `configs/*.yml` of huggingface/fineweb-2.
For these languages FineWeb 2 runs no C4 rule and no line edit. It also leaves out FineWeb's short
lines and Gopher's repeated paragraphs and repeated line characters. So does this table.

English, and texts of unknown language, are judged by the families' own thresholds. So is any other
language that the table lacks, but not where a rule depends on the language: there it has the
loosest value of the table, or none. No list of stop words judges it, unless the recipe gives one.

`language_score` is FineWeb 2's lowest score of GlotLID, not of the language model that ships here.
It is a hint for the extract stage, and no rule uses it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.stages.filter.rules import Rule, by_code
from numpy.typing import NDArray

NaN: Final = float("nan")
# Languages written without spaces: their words are counted by character.
BY_CHARACTER: Final = frozenset(("zh", "wuu", "yue", "ja", "th", "lo", "km", "my"))
# Nor have Tibetan and Dzongkha spaces between words. Their words are not counted by character.
UNSPACED: Final = BY_CHARACTER | {"bo", "dz"}
# Languages whose sentences end without a sign that another language would know.
WITHOUT_STOPS: Final = frozenset(("th", "lo", "bo", "dz"))


@dataclass(frozen=True)
class Language:
    """FineWeb 2's configuration of a language. The names are FineWeb 2's."""

    code: str
    dup_line_frac: float
    dup_n_grams: tuple[float, ...]  # 5 to 10
    top_n_grams: tuple[float, ...]  # 2 to 4
    line_punct_thr: float
    new_line_ratio: float
    min_avg_word_length: float
    max_avg_word_length: float
    max_non_alpha_words_ratio: float
    language_score: float
    stopwords: tuple[str, ...]


def _language(code: str, numbers: str, stopwords: str) -> Language:
    values = [float(number) for number in numbers.split()]
    return Language(
        code=code,
        dup_line_frac=values[0],
        dup_n_grams=tuple(values[1:7]),
        top_n_grams=tuple(values[7:10]),
        line_punct_thr=values[10],
        new_line_ratio=values[11],
        min_avg_word_length=values[12],
        max_avg_word_length=values[13],
        max_non_alpha_words_ratio=values[14],
        language_score=values[15],
        stopwords=tuple(stopwords.split()),
    )


# dup_line | dup 5 .. 10 | top 2 .. 4 | line_punct new_line | word length | letters | language score
_TABLE = (
    ("ar", "0.304 0.165 0.153 0.142 0.131 0.12 0.109 0.197 0.172 0.146 0.143 0.189 2 9 0.787 0.711",
     "، في من على إلى عام أن مع أو هو عن التي كان بين ما كانت هي المتحدة بعد"),
    ("cs", "0.333 0.193 0.175 0.157 0.144 0.132 0.121 0.095 0.121 0.144 0.125 0.233 3 11 0.781 "
           "0.88", "v a se na je z s do"),
    ("de", "0.263 0.141 0.134 0.126 0.117 0.108 0.098 0.169 0.153 0.137 0.0 0.152 0 15 0.774 0.821",
     "der und die in von im den des mit das er dem als wurde für"),
    ("es", "0.265 0.152 0.137 0.123 0.114 0.107 0.099 0.077 0.097 0.112 0.3 0.171 4 14 0.825 0.84",
     "de la en el y a que del los se por un con una las su"),
    ("fr", "0.264 0.15 0.141 0.131 0.121 0.111 0.1 0.161 0.149 0.134 0.1 0.185 2 11 0.812 0.824",
     "de la le et à en l' des du les est d' un une il dans par au"),
    ("it", "0.246 0.144 0.136 0.127 0.118 0.109 0.1 0.198 0.156 0.133 0.025 0.2 3 21 0.807 0.817",
     "di e il la in a del che è della un per nel l' con da i una"),
    ("ja", "0.375 0.307 0.283 0.264 0.248 0.234 0.223 0.121 0.129 0.145 0.167 0.162 1 5 0.759 "
           "0.886",
     "の に を は た て が と で 年 し ・ 月 れ さ"),
    ("km", "0.92 0.197 0.168 0.148 0.126 0.107 0.094 0.165 0.225 0.242 0.077 0.667 2 13 0.905 0.3",
     "មាន បាន ដែល ជា និង នៅ របស់ ក្នុង ថា នេះ នៃ ហើយ ទៅ ដោយ"),
    ("ko", "0.374 0.201 0.184 0.168 0.154 0.14 0.127 0.282 0.228 0.185 0.062 0.196 1 6 0.791 0.842",
     "의 다 이 는 에 을 한 년 하 은 를 했 고 에서 가 있 으로 인 월 로 되"),
    ("lo", "0.327 0.187 0.175 0.163 0.149 0.135 0.123 0.198 0.175 0.143 0.0 0.2 2 9 0.85 0.691",
     "ແລະ ໃນ ຂອງ ເປັນ ທີ່ ໄດ້ ມີ"),
    ("my", "0.308 0.161 0.132 0.118 0.101 0.09 0.079 0.074 0.097 0.115 0.0 0.125 2 21 0.75 0.839",
     "သည် များ ကို တွင် ဖြစ် ၏ သော ခဲ့ နှင့် ရှိ တို့ မှာ ဦး ၌ က မ မှ"),
    ("nl", "0.333 0.177 0.16 0.145 0.133 0.123 0.112 0.093 0.117 0.14 0.238 0.194 3 16 0.828 0.689",
     "de van in het een en is op voor met door zijn werd hij uit"),
    ("pl", "0.353 0.203 0.182 0.163 0.15 0.137 0.126 0.096 0.12 0.144 0.2 0.209 3 11 0.726 0.689",
     "w i na z do się roku od a jest przez po jako oraz o został był nie"),
    ("pt", "0.325 0.19 0.172 0.154 0.142 0.131 0.12 0.093 0.117 0.139 0.154 0.23 3 13 0.814 0.799",
     "de a e o em do da que um no uma com para na é foi"),
    ("ru", "0.322 0.168 0.156 0.145 0.133 0.121 0.109 0.184 0.164 0.146 0.231 0.139 3 11 0.713 0.9",
     "в и на с года по году из был к не от что за для его как а он также до после"),
    ("sv", "0.292 0.156 0.147 0.136 0.125 0.116 0.105 0.242 0.195 0.174 0.2 0.135 3 12 0.841 0.629",
     "i och är av en som den med på till att för"),
    ("th", "0.349 0.185 0.168 0.152 0.137 0.124 0.111 0.221 0.197 0.162 0.0 0.153 2 10 0.9 0.9",
     "ใน ที่ และ ของ เป็น มี การ ได้"),
    ("tr", "0.303 0.168 0.151 0.135 0.123 0.116 0.107 0.094 0.114 0.136 0.2 0.273 3 21 0.773 0.875",
     "ve bir olarak bu ile için olan da de tarafından yılında sonra en daha ilk the"),
    ("uk", "0.333 0.176 0.157 0.139 0.125 0.113 0.102 0.086 0.108 0.129 0.308 0.211 3 11 0.694 0.9",
     "у в на і з та до року за що"),
    ("zh", "0.287 0.198 0.182 0.167 0.154 0.14 0.127 0.256 0.201 0.171 0.106 0.178 1 5 0.735 0.692",
     "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由"),
)  # fmt: skip
LANGUAGES: Final[Mapping[str, Language]] = {row[0]: _language(*row) for row in _TABLE}


def is_judged_as_english(code: str) -> bool:
    """Whether a document of this language is judged as English: it is, or nobody knows."""
    return code == "" or re.fullmatch(r"(en|eng)([-_].*)?", code, re.IGNORECASE) is not None


def untuned(code: str, judges_stop_words: bool) -> dict[str, float]:
    """Reason code -> threshold, for the rules that depend on the language, in a language that
    FineWeb 2's table lacks. NaN is a rule that does not judge.

    judges_stop_words: whether the recipe has a list of its own.
    """
    rows = LANGUAGES.values()
    shortest = min(row.min_avg_word_length for row in rows if row.min_avg_word_length > 0)
    longest = max(row.max_avg_word_length for row in rows)
    return {
        **{f"gopher_repetition.duplicate_paragraph{rest}": NaN for rest in ("s", "_characters")},
        "gopher_repetition.duplicate_line_characters": NaN,
        "gopher_quality.short_words": shortest,
        "gopher_quality.long_words": longest,
        "gopher_quality.few_alphabetic_words": min(row.max_non_alpha_words_ratio for row in rows),
        "fineweb.short_lines": NaN,
        "fineweb.duplicate_line_characters": 0.1,
        "nemotron.short_words": shortest,
        "nemotron.long_words": longest,
        **_ENGLISH_ONLY,
        **(
            {}
            if judges_stop_words
            else dict.fromkeys(("gopher_quality.few_stop_words", "nemotron.few_common_words"), NaN)
        ),
        **(dict.fromkeys(_BY_WORDS, NaN) if code in UNSPACED else {}),
        **({"fineweb.newlines": NaN} if code in UNSPACED - BY_CHARACTER else {}),
        **(
            dict.fromkeys(("fineweb.few_punctuated_lines", "nemotron.few_punctuated_lines"), NaN)
            if code in WITHOUT_STOPS
            else {}
        ),
    }


# Rules over English phrases, over sentences that end as in English, and those that were chosen by
# English documents.
_ENGLISH_ONLY: Final = {
    "c4.lorem_ipsum": NaN,
    "c4.curly_bracket": NaN,
    "c4.few_sentences": NaN,
    "nemotron.boilerplate": NaN,
    "corpusmill.few_prose_parts": NaN,
    "corpusmill.little_prose": NaN,
    "corpusmill.many_capitals": NaN,
    "corpusmill.many_digits": NaN,
}
# Rules over words that stand between spaces.
_BY_WORDS: Final = (
    *(
        f"{family}.{rule}"
        for family in ("gopher_repetition", "nemotron")
        for rule in (
            *(f"top_{n}_gram" for n in (2, 3, 4)),
            *(f"duplicate_{n}_grams" for n in range(5, 11)),
        )
    ),
    *(
        f"{f}.{rule}"
        for f in ("gopher_quality", "nemotron")
        for rule in ("short_words", "long_words")
    ),
)


def published(language: Language) -> dict[str, float]:
    """Reason code -> threshold, for the rules that FineWeb 2 changes. NaN is a rule that it does
    not run.

    FineWeb 2 finds the words of languages without spaces by a segmenter. Ours are single
    characters. So in these languages the rules over word lengths and runs of words do not judge.
    Stop words judge only if they are single characters (Chinese, Japanese).
    """
    by_character = language.code in BY_CHARACTER
    return {
        "gopher_repetition.duplicate_paragraphs": NaN,
        "gopher_repetition.duplicate_paragraph_characters": NaN,
        "gopher_repetition.duplicate_lines": language.dup_line_frac,
        "gopher_repetition.duplicate_line_characters": NaN,
        **{
            f"gopher_repetition.top_{n}_gram": NaN if by_character else limit
            for n, limit in zip((2, 3, 4), language.top_n_grams, strict=True)
        },
        **{
            f"gopher_repetition.duplicate_{n}_grams": NaN if by_character else limit
            for n, limit in zip(range(5, 11), language.dup_n_grams, strict=True)
        },
        "gopher_quality.short_words": NaN if by_character else language.min_avg_word_length,
        "gopher_quality.long_words": NaN if by_character else language.max_avg_word_length,
        "gopher_quality.few_alphabetic_words": language.max_non_alpha_words_ratio,
        "gopher_quality.few_stop_words": NaN
        if by_character and language.code not in ("zh", "ja")
        else 2,
        "nemotron.short_words": NaN if by_character else language.min_avg_word_length,
        "nemotron.long_words": NaN if by_character else language.max_avg_word_length,
        **_ENGLISH_ONLY,
        "fineweb.few_punctuated_lines": language.line_punct_thr,
        "fineweb.short_lines": NaN,
        "fineweb.duplicate_line_characters": 0.1,
        "fineweb.newlines": language.new_line_ratio,
    }


def threshold_table(
    rules: Sequence[Rule],
    codes: Sequence[str],
    use_published: bool,
    own: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    judges_stop_words: bool = False,
) -> NDArray[np.float64]:
    """Thresholds by rule and language (rules x languages). NaN means that a rule does not judge a
    language.

    codes: language codes, in any order. own: the recipe's thresholds: language -> family -> rule
    name -> threshold, None for a rule that is off. judges_stop_words: whether the recipe has a list
    of stop words for languages that the table lacks.
    """
    table = np.repeat(
        np.array([[rule.threshold] for rule in rules], np.float64).reshape(-1, 1),
        len(codes),
        axis=1,
    )
    for column, code in enumerate(codes):
        changes: dict[str, float | None] = {}
        if use_published and code in LANGUAGES:
            changes |= published(LANGUAGES[code])
        elif use_published and not is_judged_as_english(code):
            changes |= untuned(code, judges_stop_words)
        changes |= by_code(own.get(code, {}))
        for row, rule in enumerate(rules):
            if rule.code in changes:
                value = changes[rule.code]
                table[row, column] = NaN if value is None else value
    return table


def check(
    own: Mapping[str, Mapping[str, Mapping[str, float | None]]], rules: Iterable[Rule]
) -> None:
    """Raises RecipeError if a language's threshold names a rule that is not in force."""
    known = {rule.code for rule in rules}
    for language, families in own.items():
        for code in by_code(families):
            if code not in known:
                raise RecipeError(
                    f"language {language} has a threshold for {code}, which is not in force",
                    nearest(code, known),
                )


def of_rows(table: pa.Table) -> tuple[list[str], NDArray[np.int64]]:
    """The languages of the table ("" for unknown), and the language of each row as an index into
    them.
    """
    if "language" not in table.column_names or table.num_rows == 0:
        return [""], np.zeros(table.num_rows, np.int64)
    encoded = pc.fill_null(table["language"], "").combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
