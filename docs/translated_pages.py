"""Keep the Chinese pages in step with the English pages that they translate.

    python docs/translated_pages.py                       # names what has changed since its translation; exits with 1
    python docs/translated_pages.py stamp README.zh.md    # after the translation: notes what it is a translation of

`NAME.zh.md` translates `NAME.md` beside it. A comment at its end holds a digest of each section of the English page:
where a digest differs, that section has changed since. `stamp` refuses a translation whose headings, tables, links or
code differ from the English page; comments and texts in Python may be translated.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<title>.+?)\s*$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
STAMP = re.compile(r"\n<!-- sections of (?P<source>\S+) when this was translated\n(?P<digests>.*?)-->\n*\Z", re.DOTALL)
DIGEST_LENGTH = 12  # hexadecimal digits: 48 bits


@dataclass(frozen=True)
class Section:
    """A heading of a page, its level (0: the text before the first heading), and the digest of both and the text."""

    title: str
    level: int
    digest: str


def translations() -> list[Path]:
    """Return the translated pages of the project."""
    return sorted([*ROOT.glob("*.zh.md"), *ROOT.glob("docs/**/*.zh.md")])


def source_of(translation: Path) -> Path:
    """Return the English page of a translation."""
    return translation.with_name(translation.name.removesuffix(".zh.md") + ".md")


def sections(text: str) -> list[Section]:
    """Return the sections of a page; a heading inside a block of code begins none."""
    parts: list[tuple[str, int, list[str]]] = [("(before the first heading)", 0, [])]
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else HEADING.match(line)
        if heading:
            parts.append((heading["title"], len(heading["level"]), []))
        parts[-1][2].append(line.rstrip())
    return [Section(title, level, digest("\n".join(lines).strip())) for title, level, lines in parts if any(lines)]


def digest(text: str) -> str:
    """Return the first digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def stamp_of(source: str, name: str) -> str:
    """Return the comment that notes the sections of a page."""
    lines = "".join(f"{section.digest} {section.title}\n" for section in sections(source))
    return f"\n<!-- sections of {name} when this was translated\n{lines}-->\n"


def changed_sections(source: str, translation: str) -> list[str]:
    """Return what has changed in the source since it was translated, one line for each section."""
    stamp = STAMP.search(translation)
    if stamp is None:
        return ["the translation has no stamp"]
    then = [line.split(" ", 1) for line in stamp["digests"].splitlines()]
    known = {mark for mark, _ in then}
    titles = [title for _, title in then]
    now = sections(source)
    lines = [
        f"{'changed' if section.title in titles else 'new'}: {section.title}"
        for section in now
        if section.digest not in known
    ]
    lines += [f"gone: {title}" for title in titles if title not in {section.title for section in now}]
    if not lines and [mark for mark, _ in then] != [section.digest for section in now]:
        lines.append("the order of the sections has changed")
    return lines


def differences(source: str, translation: str) -> list[str]:
    """Return how the structure of a translation differs from that of its source, one line for each difference."""
    translation = STAMP.sub("\n", translation)
    lines = []
    levels = [[section.level for section in sections(text)] for text in (source, translation)]
    if levels[0] != levels[1]:
        lines.append(f"levels of headings: {levels[0]} in the source, {levels[1]} in the translation")
    rows = [len(re.findall(r"^\|", FENCE.sub("", text), re.MULTILINE)) for text in (source, translation)]
    if rows[0] != rows[1]:
        lines.append(f"rows of tables: {rows[0]} in the source, {rows[1]} in the translation")
    links = [
        {link.replace(".zh.", ".") for link in LINK.findall(FENCE.sub("", text))} for text in (source, translation)
    ]
    lines += [f"link only in the source: {link}" for link in sorted(links[0] - links[1])]
    lines += [f"link only in the translation: {link}" for link in sorted(links[1] - links[0])]
    blocks = [[(fence["info"], fence["body"]) for fence in FENCE.finditer(text)] for text in (source, translation)]
    if len(blocks[0]) != len(blocks[1]):
        lines.append(f"blocks of code: {len(blocks[0])} in the source, {len(blocks[1])} in the translation")
    for number, (here, there) in enumerate(zip(*blocks, strict=False), start=1):
        if here[0] != there[0] or not same_code(here[1], there[1], here[0]):
            lines.append(
                f"block {number} differs: {there[1].strip().splitlines()[0] if there[1].strip() else '(empty)'}"
            )
    return lines


def same_code(one: str, other: str, info: str) -> bool:
    """Return whether two blocks are equal: Python without comments and texts, anything else to the letter."""
    if info.split()[:1] != ["python"]:
        return one == other
    return without_texts(one) == without_texts(other)


def without_texts(code: str) -> str:
    """Return the syntax tree of code with every text replaced by an empty one; comments are not in it."""

    class Texts(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("") if isinstance(node.value, str) else node

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
            values = [self.visit(value) for value in node.values if isinstance(value, ast.FormattedValue)]
            return ast.JoinedStr(values)

    return ast.dump(Texts().visit(ast.parse(code)))


def stamp(translation: Path) -> list[str]:
    """Write the stamp of a translation, unless its structure differs from the source; return the differences."""
    source = source_of(translation).read_text("utf-8")
    text = translation.read_text("utf-8")
    found = differences(source, text)
    if not found:
        body = STAMP.sub("\n", text).rstrip("\n") + "\n"
        translation.write_text(body + stamp_of(source, source_of(translation).name), "utf-8")
    return found


def main(arguments: list[str]) -> int:
    """Check all translations, or stamp those named; return the exit code."""
    if arguments[:1] not in ([], ["stamp"]) or arguments == ["stamp"]:
        print(__doc__)
        return 2
    pages = [Path(name).resolve() for name in arguments[1:]] or translations()
    code = 0
    for page in pages:
        if not page.name.endswith(".zh.md") or not page.is_file() or not source_of(page).is_file():
            print(f"{page.name} is no translation: NAME.zh.md beside NAME.md is expected")
            return 2
        source, text = source_of(page).read_text("utf-8"), page.read_text("utf-8")
        found = stamp(page) if arguments else changed_sections(source, text) + differences(source, text)
        for line in found:
            print(f"{page.relative_to(ROOT)}: {line}")
        code |= bool(found)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
