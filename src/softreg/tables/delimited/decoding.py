"""Conversion of text files in any encoding to UTF-8, and the first undecodable byte."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from softreg.tables.columns.table_errors import TableError
from softreg.tables.delimited.chunked_stream import BinaryReader, ChunkedStream, Opener
from softreg.tables.delimited.encoding_detection import EncodingGuess, utf_16_order

CHUNK = 1 << 22
"""Bytes decoded at a time."""
UNDECODABLE_MARK = "\U0010fffe"
"""Noncharacter of Unicode that replaces an undecodable byte in text whose rows may be skipped."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = "softreg-escape"
_NOT_OF_FILES = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "unicode-escape")
_MARKS = {"utf-16": (b"\xff\xfe", b"\xfe\xff"), "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff")}


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return a lone surrogate, U+DC00 plus the byte, in place of undecodable bytes."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return chr(0xDC00 + error.object[error.start]), error.end


codecs.register_error(_ESCAPES, _escape)


def encoding_name(encoding: str) -> str:
    """Return the standard name of an encoding.

    Returns
    -------
    str

    Raises
    ------
    TableError
        If Python has no text encoding of this name.

    Examples
    --------
    >>> encoding_name("Latin-1"), encoding_name("UTF8")
    ('iso8859-1', 'utf-8')
    """
    try:
        name = codecs.lookup(encoding).name
        b"a".decode(encoding)
    except UnicodeError:  # one byte is not valid in every encoding
        pass
    except (LookupError, ValueError):
        name = ""
    if not name or name in _NOT_OF_FILES:
        raise TableError(
            f"There is no encoding {encoding!r} of text files; usual ones are utf-8, latin-1, windows-1252 and utf-16."
        )
    return "utf-8" if name == "utf-8-sig" else name


def declared_encoding(head: bytes, requested: str | None) -> EncodingGuess:
    """Return the encoding of a file that begins with some bytes.

    It is the requested encoding, or the one of the byte-order mark; without both, UTF-16 if every second byte is
    zero, and UTF-8 otherwise.

    Parameters
    ----------
    head : bytes
        Beginning of the file.
    requested : str or None
        Encoding that the user requested.

    Returns
    -------
    EncodingGuess
        Standard name, and a note if the encoding was inferred.

    Raises
    ------
    TableError
        If the requested encoding does not exist, or needs a byte-order mark that is absent.

    Examples
    --------
    >>> declared_encoding(b"a,b", None).encoding, declared_encoding(bytes([255, 254]), None).encoding
    ('utf-8', 'utf-16')
    """
    if requested is None:
        marked = next((name for name in ("utf-32", "utf-16") if head.startswith(_MARKS[name])), None)
        order = None if marked else utf_16_order(head)
        if order:
            note = f"The text is decoded as {order}; --encoding (encoding=) sets another encoding."
            return EncodingGuess(order, note)
        return EncodingGuess(marked or "utf-8")
    name = encoding_name(requested)
    if name in _MARKS and not head.startswith(_MARKS[name]):
        raise TableError(
            f"The text does not begin with the byte-order mark of {name}; state its byte order: --encoding "
            f"{name}-le or --encoding {name}-be (encoding= in Python)."
        )
    return EncodingGuess(name)


@dataclass
class DecodedStream(ChunkedStream):
    """Binary UTF-8 stream over a stream in another encoding.

    Undecodable bytes raise no error: they become bytes that are not UTF-8, or `UNDECODABLE_MARK` with `replace`.

    Examples
    --------
    >>> DecodedStream(pa.BufferReader("né".encode("latin-1")), "latin-1").read().decode()
    'né'
    """

    raw: BinaryReader
    encoding: str
    replace: bool = False
    replaced: bool = False
    """Whether the bytes read contain `UNDECODABLE_MARK`."""
    _decoder: codecs.IncrementalDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self.encoding)(_ESCAPES)

    def next_chunk(self) -> bytes:
        """Return the next bytes as UTF-8."""
        chunk = bytes(self.raw.read(CHUNK))
        self.ended = not chunk
        text = _decoded(self._decoder, chunk)
        try:
            return text.encode()
        except UnicodeEncodeError:
            if not self.replace:
                return text.encode("utf-8", "surrogatepass")
            self.replaced = True
            return _SURROGATE.sub(UNDECODABLE_MARK, text).encode()

    def close(self) -> None:
        """Close this stream and the underlying one."""
        super().close()
        self.raw.close()


class UndecodableByte(NamedTuple):
    """Line number from 1 of a byte that is not in the encoding, and its description."""

    line: int
    description: str


def first_undecodable(raw: BinaryReader, encoding: str) -> UndecodableByte | None:
    r"""Find the first byte of a binary stream that is not in the encoding.

    Parameters
    ----------
    raw : binary file
        Stream, read to its end.
    encoding : str
        Name of the encoding.

    Returns
    -------
    UndecodableByte or None
        None if all bytes are decodable.

    Examples
    --------
    >>> first_undecodable(pa.BufferReader("a\né".encode("latin-1")), "utf-8")
    UndecodableByte(line=2, description='the byte 0xe9')
    """
    decoder = codecs.getincrementaldecoder(encoding)(_ESCAPES)
    line, after_cr = 1, False
    while True:
        chunk = bytes(raw.read(CHUNK))
        text = _decoded(decoder, chunk)
        line -= after_cr and text.startswith("\n")  # a line end that two chunks share
        try:
            text.encode()
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            before = text[: error.start]
            description = (
                f"the byte 0x{code - 0xDC00:02x}" if 0xDC00 <= code < 0xDD00 else f"the lone surrogate U+{code:04X}"
            )
            return UndecodableByte(line + _line_ends(before), description)
        if not chunk:
            return None
        line += _line_ends(text)
        after_cr = text.endswith("\r")


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes) -> str:
    """Return the text of the next bytes; an empty chunk ends the text."""
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeError:  # some codecs ignore the error handler
        decoder.reset()
        return chr(0xDC00 + (chunk[0] if chunk else 0))


def _line_ends(text: str) -> int:
    """Count the line ends in a text: line feed, carriage return, or both."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def decoding_error(display_name: str, encoding: str, opened: Opener) -> TableError:
    """Return the error for text that is not in the encoding; `opened` returns the bytes of the file."""
    try:
        undecodable = first_undecodable(opened(), encoding)
    except OSError:
        undecodable = None
    line, description = undecodable or UndecodableByte(1, "a byte that cannot be read")
    name = "UTF-8" if encoding == "utf-8" else encoding
    start = f"{display_name!r} is not text in {name}: line {line:,} holds {description}"
    if encoding != "utf-8":
        return TableError(
            f"{start}, which is not valid in this encoding. Specify the correct one with --encoding (encoding= in "
            "Python), or leave such rows out with --bad-rows skip (bad_rows='skip')."
        )
    return TableError(
        f"{start}. Specify its encoding, usually --encoding windows-1252 or --encoding latin-1 (encoding= in Python), "
        "save it as UTF-8 (in a spreadsheet: 'CSV UTF-8'), convert it, for instance with iconv -f WINDOWS-1252 -t "
        "UTF-8 old.csv > new.csv, or leave such rows out with --bad-rows skip (bad_rows='skip')."
    )


@dataclass
class ArrowSource:
    """Adapter of a stream for Arrow's reader threads: an error ends the stream and is kept in `error`.

    Arrow prints or loses exceptions that a Python object raises in its threads, so that the caller tests `error` at
    the end.

    Examples
    --------
    >>> source = ArrowSource(pa.BufferReader(b"abc"))
    >>> source.open().read(2), source.error
    (b'ab', None)
    """

    stream: BinaryReader
    error: OSError | None = None
    closed: bool = False

    def open(self) -> pa.NativeFile:
        """Return the stream as an Arrow file."""
        return pa.PythonFile(self, mode="r")

    def read(self, size: int) -> bytes:
        """Return the next bytes; none after an error."""
        if self.error is not None:
            return b""
        try:
            return bytes(self.stream.read(size))
        except OSError as error:
            self.error = error
            return b""

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise the error of the stream at the end, in place of Arrow's error about a truncated stream.

        Yields
        ------
        None

        Raises
        ------
        OSError
            The error of the stream.
        pyarrow.ArrowException
            An error of Arrow, if the stream has none.
        """
        try:
            yield
        except pa.ArrowException:
            if self.error is not None:
                raise self.error from None
            raise
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close the underlying stream."""
        self.closed = True
        self.stream.close()
