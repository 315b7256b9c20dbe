"""Detection of the encoding of a text file from its characters, without a byte-order mark.

Each candidate decodes the lines that contain non-ASCII characters. Its score is the share of these characters that
are plausible: letters of one language, beside letters of the same script, in the usual case, and common symbols.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from softreg.tables.columns.table_errors import quote
from softreg.tables.delimited.chunked_stream import BinaryReader

MIN_SCORE = 0.75
"""The score that an encoding must reach."""
MARGIN = 0.05
"""How much higher it must be than that of another encoding that gives other characters."""
MIXED_LANGUAGE_WEIGHT = 0.9
"""Weight of the letters of several languages of a script, compared with those of one."""
MIN_KOREAN_SHARE = 0.97
"""Share of Korean syllables from which on text is Korean rather than Chinese, which has the same bytes in part."""
MIN_DIFFERING_CHARACTERS = 2
"""Different characters in which text is not Western European, at least, where these are letters of its languages."""
LEGACY_MARGIN = 0.2
"""The margin between the encodings of old systems, in which the same bytes are other letters of the same languages."""
MIN_ASIAN_CHARACTERS = 12
"""Characters from which on their frequency tells Chinese from Korean, or from Japanese without kana."""
MIN_VOWEL_SHARE = 0.2
"""Share of vowels among letters that are not Latin, at least."""
MIN_KANA_SHARE = 0.1
"""Share of kana in Japanese text, at least, where there are fewer characters."""
SAMPLE_BYTES = 1 << 16
"""Bytes of lines with other characters than ASCII, at most."""
CHUNK = 1 << 22
"""Bytes that are searched for such lines at a time."""
MAX_UTF8_SHARE = 0.1
"""Share of these lines that are UTF-8, from which on the text is UTF-8 with wrong bytes."""
_MIN_ZERO_SHARE = 0.3
"""Share of zeros among every second byte, at least, in UTF-16."""

_SYMBOLS = frozenset("°£€¥§©®™µ²³¹¼½¾±×÷–—‘’“”„‚…•·«»¡¿ªº\xa0‰†‡¢¬№")
_APOSTROPHES = frozenset("’´`·")
_WESTERN = (
    "àâæçéèêëîïôœùûüÿ", "äöüßé", "áéíñóúü", "áâãàçéêíóôõúü", "àèéìíîòóùú", "åäöæøéüáàèô", "éëïóöüèê", "áðéíóúýþæö",
    "àçèéíïòóúü", "äöõüšž",
)  # fmt: skip
_CENTRAL = (
    "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "äöüß",
)  # fmt: skip
_RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
_CYRILLIC = (_RUSSIAN, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдђежзијклљмнњопрстћуфхцчџш")
_CYRILLIC_VOWELS = "аеёиоуыэюяіїє"
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ",)
_HEBREW = ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",)


@dataclass(frozen=True)
class Candidate:
    """Encoding with the alphabets of its languages, or with a predicate of its common characters."""

    codec: str
    alphabets: tuple[str, ...] = ()
    usual: Callable[[str], bool] | None = None
    script: str = "latin"
    vowels: str = ""


class EncodingGuess(NamedTuple):
    """Encoding of a text, and the note on it; the note is empty if the encoding was declared."""

    encoding: str
    note: str = ""


class _Decoding(NamedTuple):
    """Text that one codec decodes from a sample, and its score."""

    score: float
    text: str
    codec: str


def _coded(char: str, codec: str, *leads: tuple[int, int]) -> bool:
    """Return True if the lead byte of a two-byte character in an encoding lies in one of these ranges."""
    try:
        raw = char.encode(codec)
    except UnicodeEncodeError:
        return False
    return len(raw) == 2 and any(first <= raw[0] <= last for first, last in leads)


def _is_kana(char: str) -> bool:
    return "\u3040" <= char <= "\u30ff"


CANDIDATES = (
    Candidate("cp1252", _WESTERN),
    Candidate("cp1250", _CENTRAL),
    Candidate("cp1254", ("çğıöşüİâî",)),
    Candidate("cp1251", _CYRILLIC, script="other", vowels=_CYRILLIC_VOWELS),
    Candidate("koi8_r", (_RUSSIAN,), script="other", vowels=_CYRILLIC_VOWELS),
    Candidate("cp866", (_RUSSIAN,), script="other", vowels=_CYRILLIC_VOWELS),
    Candidate("cp1253", _GREEK, script="other", vowels="αεηιουωάέήίόύώ"),
    Candidate("cp1255", _HEBREW, script="other"),
    Candidate("mac_roman", _WESTERN),
    Candidate("cp850", _WESTERN),
    Candidate("gb18030", usual=lambda c: not _is_kana(c) and _coded(c, "gb2312", (0xA1, 0xA3), (0xB0, 0xD7))),
    Candidate("big5", usual=lambda c: _coded(c, "big5", (0xA1, 0xC6))),
    Candidate("cp949", usual=lambda c: _coded(c, "euc_kr", (0xA1, 0xA3), (0xB0, 0xC8))),
    Candidate("cp932", usual=lambda c: _coded(c, "cp932", (0x81, 0x83), (0x88, 0x97))),
    Candidate("euc_jp", usual=lambda c: _coded(c, "euc_jp", (0xA1, 0xA5), (0xB0, 0xCF))),
)
NAMES = {
    "cp1252": "windows-1252", "cp1250": "windows-1250", "cp1254": "windows-1254", "cp1251": "windows-1251",
    "koi8_r": "koi8-r", "cp1253": "windows-1253", "cp1255": "windows-1255", "mac_roman": "mac-roman",
    "cp949": "euc-kr (cp949)", "cp932": "shift-jis (cp932)", "euc_jp": "euc-jp",
}  # fmt: skip


SINGLE_BYTE = ("cp1252", "mac_roman", "cp850", "cp1250")
"""Encodings of Latin letters in single bytes."""


def encoding_score(sample: bytes, codec: str) -> float:
    """Return the share of non-ASCII characters that are plausible in an encoding of `CANDIDATES`.

    Returns
    -------
    float
        In [0, 1]; 0 if the sample cannot be decoded.

    Examples
    --------
    >>> encoding_score("Málaga".encode("mac_roman"), "mac_roman")
    1.0
    """
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return 0.0
    return _score(text, next(candidate for candidate in CANDIDATES if candidate.codec == codec))


def is_utf8(raw: bytes) -> bool:
    """Return True if bytes are UTF-8; a character truncated at the end is accepted.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_utf8("né".encode()), is_utf8("né,".encode("latin-1"))
    (True, False)
    """
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)  # not final: the last character may be incomplete
    except UnicodeDecodeError:
        return False
    return True


def utf_16_order(raw: bytes) -> str | None:
    """Detect UTF-16 without a byte-order mark: every second byte is mostly zero and the others are not.

    Returns
    -------
    str or None
        "utf-16-le", "utf-16-be" or None.

    Examples
    --------
    >>> utf_16_order("a,b".encode("utf-16-le")), utf_16_order(b"a,b")
    ('utf-16-le', None)
    """
    pair_count = max(1, len(raw) // 2)
    even, odd = raw[::2].count(0) / pair_count, raw[1::2].count(0) / pair_count
    if max(even, odd) < _MIN_ZERO_SHARE or min(even, odd) > _MIN_ZERO_SHARE / 10:
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder(name)().decode(raw)
    except UnicodeDecodeError:
        return None
    return name


def non_ascii_lines(stream: BinaryReader) -> list[bytes]:
    r"""Return the first lines of a binary stream that contain bytes above 127, up to `SAMPLE_BYTES` of them.

    Returns
    -------
    list of bytes
        Lines with their line ends.

    Examples
    --------
    >>> import io
    >>> non_ascii_lines(io.BytesIO(b"a\n\xe9\nb"))
    [b'\xe9\n']
    """
    lines: list[bytes] = []
    part, size = b"", 0
    while size < SAMPLE_BYTES and (chunk := bytes(stream.read(CHUNK))):
        if chunk.isascii() and part.isascii():
            part = chunk[chunk.rfind(b"\n") + 1 :]
            continue
        *whole, part = (part + chunk).splitlines(keepends=True)
        for line in whole:
            if size < SAMPLE_BYTES and not line.isascii():
                lines.append(line)
                size += len(line)
    return lines if size >= SAMPLE_BYTES or part.isascii() else [*lines, part]


def detect_from_lines(lines: list[bytes]) -> EncodingGuess | None:
    """Detect the encoding of the non-ASCII lines of a text that is not UTF-8.

    Returns
    -------
    EncodingGuess or None
        None if the evidence is not decisive.

    Examples
    --------
    >>> detect_from_lines(["1,Málaga".encode("latin-1")]).encoding
    'cp1252'
    """
    valid = sum(is_utf8(line) for line in lines)
    name = None if not lines or valid > MAX_UTF8_SHARE * len(lines) else detect_encoding(b"".join(lines))
    if name is None:
        return None
    text = b"".join(lines).decode(name)
    example = next((field.strip() for field in re.split(r"[,;\t|\n]", text) if not field.isascii()), "")
    return EncodingGuess(
        name,
        f"The text is not UTF-8 and is decoded as {NAMES.get(name, name)} (it holds {quote(example, 40)}); "
        "--encoding (encoding=) sets another encoding.",
    )


def detect_encoding(sample: bytes) -> str | None:
    r"""Detect the encoding of lines that are not UTF-8.

    Western European text (windows-1252) is preferred if other encodings explain the characters as well.

    Parameters
    ----------
    sample : bytes
        Lines with non-ASCII characters.

    Returns
    -------
    str or None
        Name of the codec; None if the evidence is not decisive.

    Examples
    --------
    >>> detect_encoding("Málaga\nCórdoba".encode("latin-1")), detect_encoding("Москва".encode("cp1251"))
    ('cp1252', 'cp1251')
    """
    decodings: list[_Decoding] = []
    for candidate in CANDIDATES:
        try:
            text = sample.decode(candidate.codec)
        except UnicodeDecodeError:
            continue
        decodings.append(_Decoding(_score(text, candidate), text, candidate.codec))
    korean = next((d.text for d in decodings if d.codec == "cp949" and d.score >= MIN_KOREAN_SHARE), "")
    if sum(map(str.isalpha, _non_ascii(korean))) >= MIN_ASIAN_CHARACTERS:
        decodings = [decoding for decoding in decodings if decoding.codec not in ("gb18030", "euc_jp")]
    if not decodings:
        return None
    best = max(decodings, key=lambda decoding: decoding.score)  # the first of equal ones
    western = next((decoding for decoding in decodings if decoding.codec == "cp1252"), best)
    if western.score >= best.score or (
        western.score >= MIN_SCORE and len(_differing(western.text, best.text)) < MIN_DIFFERING_CHARACTERS
    ):
        best = western
    legacy = ("mac_roman", "cp850")
    decisive = best.codec == "cp1252" or all(
        best.score - other.score >= (LEGACY_MARGIN if best.codec in legacy and other.codec in legacy else MARGIN)
        for other in decodings
        if other.text != best.text
    )
    return best.codec if best.score >= MIN_SCORE and decisive else None


def _differing(text: str, other: str) -> set[str]:
    """Return the characters of `other` that differ from `text`, another decoding of the same bytes."""
    if len(text) != len(other):
        return set(_non_ascii(other))
    return {char for char, original in zip(other, text, strict=True) if char != original}


def _non_ascii(text: str) -> str:
    """Return the non-ASCII characters of a text."""
    return "".join(char for char in text if not char.isascii())


def _score(text: str, candidate: Candidate) -> float:
    """Return the share of non-ASCII characters that are plausible."""
    others = _non_ascii(text)
    if not others:
        return 0.0
    if candidate.usual is not None:
        too_few = len(others) < MIN_ASIAN_CHARACTERS and sum(map(_is_kana, others)) < MIN_KANA_SHARE * len(others)
        if candidate.codec == "euc_jp" and too_few:
            return 0.0
        separated = [
            char
            for char, *neighbours in _with_neighbours(text)
            if not any(c.isascii() and c.islower() for c in neighbours)
        ]
        return sum(map(candidate.usual, separated)) / len(others)
    fitting = [char for char, before, after in _with_neighbours(text) if _fits(char, before, after, candidate.script)]
    symbols = sum(char in _SYMBOLS for char in fitting)
    letters = [char if char == "İ" else char.lower() for char in fitting if char not in _SYMBOLS]  # it has two others
    shares = [sum(letter in alphabet for letter in letters) for alphabet in candidate.alphabets]
    together = MIXED_LANGUAGE_WEIGHT * sum(letter in "".join(candidate.alphabets) for letter in letters)
    share = (symbols + max(*shares, together)) / len(others)
    few_vowels = candidate.vowels and sum(letter in candidate.vowels for letter in letters) < MIN_VOWEL_SHARE * len(
        letters
    )
    return 0.5 * share if few_vowels else share


def _with_neighbours(text: str) -> list[tuple[str, str, str]]:
    """Return each non-ASCII character with the characters before and after it."""
    padded = f" {text} "
    return [(c, padded[i], padded[i + 2]) for i, c in enumerate(text) if not c.isascii()]


def _fits(char: str, before: str, after: str, script: str) -> bool:
    """Return True if a character may stand between these two."""
    if char in _SYMBOLS:
        return char in _APOSTROPHES or not (before.isalpha() and after.isalpha())
    if not char.isalpha() or (char.isupper() and before.islower()):
        return False
    neighbours = [other for other in (before, after) if other.isalpha()]
    if script == "latin":
        return not (len(neighbours) == 2 and not any(map(str.isascii, neighbours)))
    return not any(map(str.isascii, neighbours))
