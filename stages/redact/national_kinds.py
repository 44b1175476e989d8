"""The kinds of national numbers: how each is written, its rule, and the words that announce it.

`national_rules` has the rules, and `national_ids` looks for the numbers.
"""

import re
from collections.abc import Callable
from enum import IntEnum
from typing import Literal, NamedTuple

from corpusmill.stages.redact import national_rules as rules

NationalIdName = Literal[
    "us_ssn",
    "us_itin",
    "gb_nino",
    "gb_nhs",
    "ca_sin",
    "fr_nir",
    "es_dni",
    "it_codice_fiscale",
    "de_steuer_id",
    "nl_bsn",
    "be_nrn",
    "pl_pesel",
    "br_cpf",
    "br_cnpj",
    "in_aadhaar",
    "cn_resident",
    "kr_rrn",
    "kr_rrn_new",
    "jp_my_number",
    "au_tfn",
    "au_medicare",
    "se_personnummer",
    "fi_hetu",
    "dk_cpr",
    "no_fnr",
    "ch_ahv",
    "tr_tckn",
    "za_id",
    "ie_pps",
    "pt_nif",
    "at_svnr",
    "mx_curp",
    "cl_rut",
    "ro_cnp",
    "bg_egn",
    "cz_rodne_cislo",
    "ee_lt_code",
    "hr_oib",
    "gr_amka",
    "ru_snils",
    "ru_inn",
    "il_id",
    "sg_nric",
    "hk_id",
    "tw_id",
    "th_id",
]


class Alone(IntEnum):
    """When a number counts without a word."""

    NEVER = 0
    SHAPED = 1
    ALWAYS = 2


class NationalId(NamedTuple):
    """shape: of the number as it is written. pattern: the same as a whole. glued: the same right
    behind its label. words: those that announce it. languages: in which it counts as it is printed.
    """

    shape: str
    pattern: re.Pattern[str]
    glued: re.Pattern[str]
    holds: Callable[[str], bool]
    words: re.Pattern[str]
    alone: Alone = Alone.NEVER
    languages: tuple[str, ...] = ()


def whole(shape: str) -> str:
    """The pattern of a number that is no part of a longer one, of a word or of a path."""
    return rf"(?<![A-Za-z0-9_])(?<!\d[.,/-])(?:{shape})(?![A-Za-z0-9_]|[.,/-]\d)"


def _kind(
    pattern: str,
    holds: Callable[[str], bool],
    words: str,
    alone: Alone = Alone.NEVER,
    *languages: str,
) -> NationalId:
    shape = pattern.replace("~", "[ .-]?")
    # In a label such as `user_ssn` or `SSN536901399` underscores and digits stand beside the word.
    words = re.sub(r"\\b(?=[|)]|$)", r"(?![^\\W\\d_])", words).replace(r"\b", r"(?<![^\W_])")
    return NationalId(
        shape,
        re.compile(whole(shape)),
        re.compile(rf"(?:{shape})(?![A-Za-z0-9_]|[.,/-]\d)"),
        holds,
        re.compile(rf"(?:{words})", re.IGNORECASE),
        alone,
        languages,
    )


_NEVER, _SHAPED, _ALWAYS = Alone
# `~` in a pattern: a blank, a full stop, a hyphen or nothing.
NATIONAL_IDS: dict[NationalIdName, NationalId] = {
    "us_ssn": _kind(
        r"\d{3}-\d\d-\d{4}|\d{3}([ .]?)\d\d\1\d{4}", rules.us_ssn,
        r"\bssn|\bs\.s\.n|social[- ]security|\bsoc\.? ?sec", _SHAPED,
    ),
    "us_itin": _kind(
        r"9\d\d~\d\d~\d{4}", rules.us_itin, r"\bitin\b|\btaxpayer id|\btax id|\bssn\b"
    ),
    "gb_nino": _kind(
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d\d){3} ?[A-D]", rules.gb_nino,
        r"national insurance|\bnino\b|\bni (?:no|num)|\bn\.i\.", _SHAPED,
    ),
    "gb_nhs": _kind(r"\d{3}~\d{3}~\d{4}", rules.gb_nhs, r"\bnhs\b"),
    "ca_sin": _kind(
        r"\d{3}~\d{3}~\d{3}", rules.ca_sin,
        r"(?-i:\bSINs?\b|\bS\.I\.N|\bNAS\b)|\bsin[\"']? ?[=:]|social insurance"
        r"|assurance[- ]sociale",
    ),
    "fr_nir": _kind(
        r"[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", rules.fr_nir,
        r"s[ée]curit[ée] sociale|\bs[ée]cu\b|(?-i:\bNIR\b)|\binsee\b", _ALWAYS,
    ),
    "es_dni": _kind(
        r"(?:\d{2}\.?\d{3}\.?\d{3}|[XYZ]~\d{7})~[A-HJ-NP-TV-Z]", rules.es_dni,
        r"\bd\.?n\.?i\b|\bn\.?i\.?[fe]\b|documento nacional|identidad",
    ),
    "it_codice_fiscale": _kind(
        r"[A-Z]{6}[0-9L-NP-V]{2}[ABCDEHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]",
        rules.it_codice_fiscale, r"codice fiscale|cod\. ?fisc|(?-i:\bC\.?F\b)", _ALWAYS,
    ),
    "de_steuer_id": _kind(
        r"\d\d ?\d{3} ?\d{3} ?\d{3}", rules.de_steuer_id,
        r"steuer[- ]?(?:id|nummer|nr)|\bid-?nr|steuerliche id|(?-i:\bTIN\b)|\btax id",
    ),
    "nl_bsn": _kind(
        r"\d{9}|\d{4}~\d\d~\d{3}|\d{3}~\d{3}~\d{3}", rules.nl_bsn,
        r"\bbsn\b|burger ?service|\bsofi",
    ),
    "be_nrn": _kind(
        r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d|\d{6}[ -]?\d{3}[ .]?\d\d", rules.be_nrn,
        r"rijksregister|registre national|\bniss\b|\binsz\b|national (?:register|number)", _SHAPED,
    ),
    "pl_pesel": _kind(r"\d{11}", rules.pl_pesel, r"\bpesel"),
    "br_cpf": _kind(r"\d{3}\.\d{3}\.\d{3}-\d\d|\d{11}", rules.br_cpf, r"\bcpf\b", _SHAPED),
    "br_cnpj": _kind(
        r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d|\d{14}", rules.br_cnpj, r"\bcnpj\b", _SHAPED
    ),
    "in_aadhaar": _kind(
        r"\d{4}([ -]?)\d{4}\1\d{4}", rules.in_aadhaar, r"\baa?dh?aa?r|आधार|\buidai|\buid\b"
    ),
    "cn_resident": _kind(
        r"\d{17}[\dXx]", lambda number: rules.cn_resident(number.upper()),
        r"身份证|身份證|公民身份|resident id|identity card", _ALWAYS,
    ),
    "kr_rrn": _kind(
        r"\d{6}-[0-9]\d{6}", rules.kr_rrn, r"주민|resident registration|\brrn\b", _SHAPED
    ),
    "kr_rrn_new": _kind(
        r"\d{6}-?[0-9]\d{6}", rules.kr_rrn_shape, r"주민|resident registration|\brrn\b"
    ),
    "jp_my_number": _kind(
        r"\d{4}([ -]?)\d{4}\1\d{4}", rules.jp_my_number, r"マイナンバー|個人番号|\bmy number"
    ),
    "au_tfn": _kind(r"\d{3}~\d{3}~\d{2,3}", rules.au_tfn, r"\btfns?\b|tax file"),
    "au_medicare": _kind(r"\d{4}~\d{5}~\d(?:~\d)?", rules.au_medicare, r"\bmedicare"),
    "se_personnummer": _kind(
        r"(?:19|20)?\d{6}[-+]\d{4}|(?:(?:19|20)\d\d|\d\d)\d{8}", rules.se_personnummer,
        r"personnummer|samordningsnummer|person(?:al)? (?:id|identity|number)|\bpnr\b",
        _NEVER, "sv",
    ),
    "fi_hetu": _kind(
        r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", rules.fi_hetu,
        r"henkil[öo]tunnus|\bhetu\b|personbeteckning", _ALWAYS,
    ),
    "dk_cpr": _kind(
        r"\d{6}[- ]?\d{4}", rules.dk_cpr, r"\bcpr|personnummer|person(?:al)? id", _NEVER, "da"
    ),
    "no_fnr": _kind(
        r"\d{6} ?\d{5}", rules.no_fnr, r"f[øo]dsels|personnummer|\bfnr\b|\bd-nummer", _NEVER,
        "no", "nb", "nn",
    ),
    "ch_ahv": _kind(
        r"756\.\d{4}\.\d{4}\.\d\d|756 \d{4} \d{4} \d\d|756\d{10}", rules.ch_ahv,
        r"\bahv|\bavs\b|sozialversicherung", _SHAPED,
    ),
    "tr_tckn": _kind(r"\d{11}", rules.tr_tckn, r"kimlik|\btckn|\bt\.?c\.? ?no"),
    "za_id": _kind(
        r"\d{6} ?\d{4} ?\d{3}", rules.za_id, r"\bid (?:no|num)|identity (?:no|num)|\brsa id|\bid:"
    ),
    "ie_pps": _kind(r"\d{7} ?[A-W][A-IW]?", rules.ie_pps, r"\bpps|personal public service"),
    "pt_nif": _kind(r"\d{3} ?\d{3} ?\d{3}", rules.pt_nif, r"\bnif\b|contribuinte"),
    "at_svnr": _kind(
        r"\d{4}[ -]?\d{6}", rules.at_svnr, r"sozialversicherung|\bsv-?nr|\bsv-?nummer|\bsvnr"
    ),
    "mx_curp": _kind(
        r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", rules.mx_curp, r"\bcurp", _ALWAYS
    ),
    "cl_rut": _kind(
        r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]|\d{7,8}-[\dKk]",
        lambda number: rules.cl_rut(number.upper()), r"\bru[tn]\b", _NEVER, "es",
    ),
    "ro_cnp": _kind(r"\d{13}", rules.ro_cnp, r"\bcnp\b|numeric personal"),
    "bg_egn": _kind(r"\d{10}", rules.bg_egn, r"\bегн|\begn\b"),
    "cz_rodne_cislo": _kind(
        r"\d{6}/\d{4}|\d{10}", rules.cz_rodne_cislo, r"rodn[ée] [čc][íi]s|\br\.? ?č", _NEVER,
        "cs", "sk",
    ),
    "ee_lt_code": _kind(r"\d{11}", rules.ee_lt_code, r"isikukood|asmens kod|personal code"),
    "hr_oib": _kind(r"\d{11}", rules.hr_oib, r"\boib\b"),
    "gr_amka": _kind(r"\d{11}", rules.gr_amka, r"\bαμκα|\bΑΜΚΑ|\bamka\b"),
    "ru_snils": _kind(
        r"\d{3}-\d{3}-\d{3}[ -]\d\d|\d{11}", rules.ru_snils, r"снилс|\bsnils", _SHAPED
    ),
    "ru_inn": _kind(r"\d{12}", rules.ru_inn, r"\bинн\b|\binn\b"),
    "il_id": _kind(r"\d{8}-?\d", rules.il_id, r"teudat|תעודת זהות|ת\.?ז|israeli id"),
    "sg_nric": _kind(r"[STFGM]\d{7}[A-Z]", rules.sg_nric, r"\bnric|(?-i:\bFIN\b)|\bidentity"),
    "hk_id": _kind(
        r"[A-Z]{1,2}\d{6}\([0-9A]\)", rules.hk_id, r"\bhkid|hong kong id|身份證|身分證", _ALWAYS
    ),
    "tw_id": _kind(r"[A-Z][12]\d{8}", rules.tw_id, r"身分證|身份證|national id", _NEVER),
    "th_id": _kind(
        r"\d-\d{4}-\d{5}-\d\d-\d|\d{13}", rules.th_id, r"ประชาชน|ประจำตัว|thai id|citizen id",
        _SHAPED,
    ),
}  # fmt: skip
