"""Text in UTF-8 with a few lines in another encoding: each line is decoded separately."""

from __future__ import annotations

import codecs
from functools import partial
from typing import Any

from softreg.tables.columns.table_errors import pluralize, quote
from softreg.tables.delimited.chunked_stream import BinaryReader, Opener
from softreg.tables.delimited.encoding_detection import (
    MIN_SCORE,
    NAMES,
    SINGLE_BYTE,
    EncodingGuess,
    detect_from_lines,
    encoding_score,
    is_utf8,
    non_ascii_lines,
)

PREFIX = "softreg_mixed_"
"""Before the name of the encoding of the lines that are not UTF-8, in the name of the codec."""
MAX_UNDECODABLE_SHARE = 0.1
"""Maximum share of lines that are not UTF-8."""
CHUNK = 1 << 22
"""Bytes read at a time."""


def find_encoding(opened: Opener, *, skip: bool = False) -> EncodingGuess | None:
    """Detect the encoding of a text that is not UTF-8 as a whole.

    Parameters
    ----------
    opened : callable
        Returns the bytes of the text from the beginning.
    skip : bool, default=False
        Leave out undecodable lines among UTF-8 lines, instead of guessing their encoding.

    Returns
    -------
    EncodingGuess or None
        None if the evidence is not decisive.
    """
    lines = non_ascii_lines(opened())
    return detect_from_lines(lines) or (None if skip else mixed_encoding(lines, opened))


def mixed_encoding(lines: list[bytes], opened: Opener) -> EncodingGuess | None:
    r"""Return the codec that decodes UTF-8 lines as such and other lines in a single-byte encoding, with a note.

    Parameters
    ----------
    lines : list of bytes
        Lines with non-ASCII bytes.
    opened : callable
        Returns the bytes of the text from the beginning.

    Returns
    -------
    EncodingGuess or None
        None if more than `MAX_UNDECODABLE_SHARE` of the lines are not UTF-8.

    Examples
    --------
    >>> import io
    >>> text = b"a\n" * 50 + b"Ca\x96on\n"
    >>> mixed_encoding([b"Ca\x96on\n"], lambda: io.BytesIO(text)).encoding
    'softreg_mixed_mac_roman'
    """
    undecodable = [line for line in lines if not is_utf8(line)]
    if not undecodable or len(undecodable) > MAX_UNDECODABLE_SHARE * _count(opened()):
        return None
    sample = b"".join(undecodable)
    scores = {codec: encoding_score(sample, codec) for codec in SINGLE_BYTE}
    best = max(scores, key=lambda codec: scores[codec])
    codec = best if scores[best] >= MIN_SCORE else "latin_1"
    name = PREFIX + codec
    example = codecs.decode(undecodable[0], name).strip()
    return EncodingGuess(
        name,
        f"{pluralize(len(undecodable), 'line')} of the text are not UTF-8 and are decoded as "
        f"{NAMES.get(codec, codec)}, in which letters may be wrong (the first reads {quote(example, 60)}); "
        "--encoding (encoding=) sets another encoding.",
    )


def _count(stream: BinaryReader) -> int:
    count = 0
    while chunk := bytes(stream.read(CHUNK)):
        count += chunk.count(b"\n")
    return count


class _Decoder(codecs.IncrementalDecoder):
    """Decoder of single lines; `other` is the encoding of lines that are not UTF-8."""

    def __init__(self, errors: str = "strict", other: str = "latin_1") -> None:
        super().__init__(errors)
        self.other, self._held = other, b""

    def decode(self, data: Any, final: bool = False) -> str:
        """Return the text of the complete lines; of all bytes if `final`."""
        raw = self._held + bytes(data)
        end = len(raw) if final else raw.rfind(b"\n") + 1
        self._held = raw[end:]
        return "".join(_decoded(line, self.other) for line in raw[:end].splitlines(keepends=True))

    def reset(self) -> None:
        """Discard the buffered bytes."""
        self._held = b""


def _decoded(line: bytes, other: str) -> str:
    for encoding in ("utf-8", other):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("latin-1")


def _find_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec of this name, for `codecs.register`."""
    if not name.startswith(PREFIX):
        return None
    decoder = partial(_Decoder, other=name.removeprefix(PREFIX))

    def decode(data: Any, errors: str = "strict") -> tuple[str, int]:
        return decoder(errors).decode(data, final=True), len(data)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return text.encode("utf-8", errors), len(text)

    return codecs.CodecInfo(encode, decode, incrementaldecoder=decoder, name=name)


codecs.register(_find_codec)
