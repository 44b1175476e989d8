"""The parts that the tokenizer knows by name: contractions, abbreviations, clock times, emoticons.

They are spaCy 3.8's English exceptions (`spacy.lang.en`, `spacy.lang.tokenizer_exceptions`).
Exceptions that the rules of prefixes, suffixes and infixes cut in the same way are left out. A test
compares this list with spaCy's.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from corpusmill.stages.filter.measure.token_hash import hash_of
from numpy.typing import NDArray

LONGEST_EXCEPTION: Final = 16  # bytes; longer parts are not looked up

_WHO = "I you he she it we they that there these those this who what when where why how"
_WOULD = _WHO  # 'd and 'll
_ARE = "you we they there these those who what when where why how"
_HAVE = (
    "I you we they there these those who what when where why how could might must not should would"
)
_NOT = (
    "ai are ca could dare did do does had has have is may might must need ought sha should "
    "was were wo would"
)
_NOT_HAVE = "ca could did do does had may might must need ought sha should wo would"
# "thats": without an apostrophe. With one, the suffix rule cuts it.
_IS_BARE = "he she that there what when where who why how this"
_UNCUT = "ill its hell shell shed were well whore"  # without an apostrophe these are other words
_ABBREVIATIONS = (
    "Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. "
    "Ind. Jan. Jul. Jun. Kan. Kans. Ky. La. "
    "Mar. Mass. Mich. Minn. Miss. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. Sep. Sept. Tenn. Va. "
    "Wash. Wis. a.m. Adm. Bros. co. Co. Corp. "
    "Dr. e.g. E.g. Gen. Gov. i.e. I.e. Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. p.m. "
    "Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. "
    "ä. ö. ü. and/or w/o C++ <space> ‘S ‘s "
    "'' 's 'S 'd 'll 're 'em 'bout 'cause 'Cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'nuff doin' "
    "goin' havin' lovin' nothin' nuthin' ol' somethin' Doin' Goin' Havin' Lovin' Nothin' Nuthin' "
    "Ol' Somethin' ma'am Ma'am o'clock O'clock"
)
_EMOTICONS = (
    ":) :)) :))) :-) :-)) :-))) :( :(( :((( :-( :-(( :-((( (: (-: ;) ;-) (; (-; ): )-: =) (= =( "
    ":] :-] [: [-: [= =] ]= =[ :} :-} :o) (o: "
    "8) 8-) (-8 8-D :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| :1 :P :-P :p :-p :O :-O :o :-o :0 :-0 "
    ":() >:( >:o :* :-* :3 :-3 =3 :> :-> :X "
    ":-X :x :-x :D :-D ;D ;-D =D o.O >.< >.> <.< ._. ;_; <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) "
    '(*_*) (¬_¬) \\")'
)


def _contractions() -> Iterator[tuple[str, ...]]:
    for words, endings in (
        (_WOULD, ("'d",)),
        (_WOULD, ("'d", "'ve")),
        (_WOULD, ("'ll",)),
        (_WOULD, ("'ll", "'ve")),
        (_ARE, ("'re",)),
        (_HAVE, ("'ve",)),
        (_NOT, ("n't",)),
        (_NOT_HAVE, ("n't", "'ve")),
        ("I", ("'m",)),
        ("I", ("'m", "a")),
    ):
        for word in words.split():
            for start in {word, word.lower(), word.capitalize()}:
                yield (start, *endings)


def exceptions() -> dict[str, tuple[str, ...]]:
    """Each part that is an exception, and its tokens."""
    found: dict[str, tuple[str, ...]] = {}
    for tokens in _contractions():
        bare = tuple(token.replace("'", "") for token in tokens)
        for each in (tokens, bare):
            found["".join(each)] = each
    for word in _IS_BARE.split():
        for start in (word, word.capitalize()):
            found[start + "s"] = (start, "s")
    for tokens in (("can", "not"), ("gon", "na"), ("got", "ta")):
        found["".join(tokens)] = tokens
        found["".join(tokens).capitalize()] = (tokens[0].capitalize(), tokens[1])
    for word in _UNCUT.split():
        found.pop(word, None)
        found.pop(word.capitalize(), None)
    for tokens in (
        ("y'", "all"),
        ("y", "all"),
        ("c'm", "on"),
        ("C'm", "on"),
        ("how", "'d", "'y"),
        ("How", "'d", "'y"),
    ):
        found["".join(tokens)] = tokens
    for hour in range(1, 13):
        for half in ("am", "pm", "a.m.", "p.m."):
            found[f"{hour}{half}"] = (str(hour), half)
    for degree in "CFKcfk":
        found[f"°{degree}."] = ("°", degree, ".")
    for letter in "abcdefghijklmnopqrstuvwxyz":
        found[f"{letter}."] = (f"{letter}.",)
    for whole in (_ABBREVIATIONS + " " + _EMOTICONS).split():
        found[whole] = (whole,)
    return found | {
        part.replace("'", "’"): tuple(t.replace("'", "’") for t in tokens)
        for part, tokens in found.items()
    }


@functools.lru_cache(maxsize=1)
def exception_table() -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The exceptions by the hash of their bytes (see `hash_table`), for kernels.

    A value holds three byte lengths, one byte each, from the lowest on: that of the first token (0:
    there is only one), of the second (0: there are only two), and of the exception.
    """
    entries = {}
    for part, tokens in exceptions().items():
        lengths = [len(token.encode()) for token in tokens]
        assert sum(lengths) == len(part.encode()) <= LONGEST_EXCEPTION
        one, two = (lengths[0] if len(lengths) > 1 else 0), (lengths[1] if len(lengths) > 2 else 0)
        entries[hash_of(part.encode())] = one | two << 8 | sum(lengths) << 16
    return hash_table(entries)


@functools.lru_cache(maxsize=1)
def exception_shapes() -> NDArray[np.bool_]:
    """Whether any exception begins with this byte and has this length (256 x LONGEST_EXCEPTION +
    1). It spares most look-ups.
    """
    shapes = np.zeros((256, LONGEST_EXCEPTION + 1), np.bool_)
    for part in exceptions():
        shapes[part.encode()[0], len(part.encode())] = True
    shapes.flags.writeable = False
    return shapes


@functools.lru_cache(maxsize=1)
def exception_sieve() -> NDArray[np.bool_]:
    """By the highest 13 bits of a word's hash: whether the word may be an exception, alone or with
    a full stop behind it.
    """
    sieve = np.zeros(1 << 13, np.bool_)
    for part in exceptions():
        word = part.removesuffix(".")
        if word.isascii() and word.isalpha():
            sieve[hash_of(word.encode()) >> 51] = True
    sieve.flags.writeable = False
    return sieve


def hash_table(entries: dict[int, int]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """A hash table with open addressing, at most a quarter full: keys (0 is an empty slot) and
    values. The slot is the low bits of the hash, or the next free one.
    """
    bits = max(4, (4 * len(entries)).bit_length())
    keys, values = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.int32)
    for key, value in sorted(entries.items()):
        slot = key & ((1 << bits) - 1)
        while keys[slot]:
            slot = (slot + 1) & ((1 << bits) - 1)
        keys[slot], values[slot] = key, value
    keys.flags.writeable = values.flags.writeable = False
    return keys, values


def perfect_tables(words: Sequence[Sequence[str]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Tables of words without collisions, one after the other. A key's slot is its hash times a
    multiplier, shifted.

    Returns the keys of all tables (0 is an empty slot); and by table its first slot, multiplier and
    shift (3 x tables).
    """
    return _perfect_tables(tuple(tuple(group) for group in words))


@functools.lru_cache(maxsize=8)
def _perfect_tables(
    words: tuple[tuple[str, ...], ...],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    tables, about, begin = [], np.zeros((3, len(words)), np.uint64), 0
    for index, group in enumerate(words):
        hashes = np.array(sorted({hash_of(word.encode()) for word in group}), np.uint64)
        bits, multiplier = max(4, len(hashes).bit_length() + 1), 0x9E3779B97F4A7C15
        for attempt in range(1, 1 << 20):
            slots = (hashes * np.uint64(multiplier)) >> np.uint64(64 - bits)
            if np.unique(slots).size == len(hashes):
                break
            multiplier = (multiplier * 0xD6E8FEB86659FD93 + 2 * attempt) & 0xFFFFFFFFFFFFFFFF | 1
            bits += attempt % 200 == 0
        table = np.zeros(1 << bits, np.uint64)
        table[slots] = hashes
        tables.append(table)
        about[:, index] = begin, multiplier, 64 - bits
        begin += 1 << bits
    keys = np.concatenate(tables)
    keys.flags.writeable = about.flags.writeable = False
    return keys, about
