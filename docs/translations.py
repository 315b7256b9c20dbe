"""Messages of the documentation and their translations.

`python docs/translations.py update` writes the messages of all pages to docs/locale/zh_CN: new ones without a
translation, ones with a changed source marked as fuzzy. `python docs/translations.py check` names those that are
missing, older than their source or still in English, or whose code or links differ, and exits with 1 where there are
any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

DOCS = Path(__file__).parent
LANGUAGE = "zh_CN"
TRANSLATED = DOCS / "locale" / LANGUAGE / "LC_MESSAGES"

BILINGUAL = "notebooks/"  # pages that have a twin in each language

CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADER = "# Chinese translation of a page of the documentation; see docs/locale/README.md."
SENTENCE = re.compile(r"\b(?:the|is|are|has|have|which|that)\b", re.IGNORECASE)
YEAR = re.compile(r"\(\d{4}\)")
WORD = re.compile(r"[^\W\d_]{2,}")


def extract(folder: Path) -> dict[str, list[str]]:
    """Return the messages of each page, by its name without an ending; Sphinx writes them to `folder`."""
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "gettext", str(DOCS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Sphinx cannot read the pages:\n{done.stderr}")
    pages = {}
    for path in sorted(folder.rglob("*.pot")):
        with path.open("rb") as file:
            pages[path.relative_to(folder).with_suffix("").as_posix()] = [str(m.id) for m in read_po(file) if m.id]
    return {page: messages for page, messages in pages.items() if not page.startswith(BILINGUAL)}


def read_translations(page: str, folder: Path = TRANSLATED) -> Catalog:
    """Return the translations of a page; an empty catalog where there are none."""
    path = folder / f"{page}.po"
    if not path.exists():
        return Catalog(locale=LANGUAGE)
    with path.open("rb") as file:
        return read_po(file, locale=LANGUAGE)


def is_prose(message: str) -> bool:
    """Whether a message has words outside code and link targets; figures and formulas need no translation."""
    return WORD.search(LINK.sub("]", CODE.sub("", message))) is not None


def is_copy(message: str, translation: str) -> bool:
    """Whether a translation repeats an English sentence; names, figures and references stay as they are."""
    words = LINK.sub("]", CODE.sub("", message))
    return translation == message and bool(SENTENCE.search(words)) and not YEAR.search(message)


def differences(message: str, translation: str) -> list[str]:
    """Return what a translation must share with its source and does not: code and targets of links."""
    found = []
    for name, parts in (("code", lambda text: Counter(m[2].strip() for m in CODE.finditer(text))),
                        ("link", lambda text: Counter(LINK.findall(text)))):  # fmt: skip
        source, other = parts(message), parts(translation)
        found += [f"the {name} {part!r} is missing" for part in source - other]
        found += [f"the {name} {part!r} is not in the source" for part in other - source]
    return found


def complaints(pages: dict[str, list[str]], folder: Path = TRANSLATED) -> list[str]:
    """Return one line for each message whose translation is missing, outdated or different in code or links."""
    found = []
    for page, messages in pages.items():
        catalog = read_translations(page, folder)
        for message in messages:
            entry = catalog.get(message)
            translated = "" if entry is None or entry.fuzzy else str(entry.string)
            if not translated:
                if is_prose(message):
                    found.append(f"{page}: no translation of {message!r}")
            elif is_copy(message, translated):
                found.append(f"{page}: the translation repeats {message!r}")
            else:
                found += [
                    f"{page}: {reason} in the translation of {message!r}" for reason in differences(message, translated)
                ]
    known = {f"{page}.po" for page in pages}
    files = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.po")))
    return found + [f"{name}: there is no such page" for name in files if name not in known]


def update(pages: dict[str, list[str]], folder: Path = TRANSLATED) -> None:
    """Write the messages of all pages to the files of translations; messages that no page has any more are dropped."""
    for page, messages in pages.items():
        path, template = folder / f"{page}.po", Catalog()
        for message in messages:
            template.add(message)
        catalog = read_translations(page, folder)
        catalog.update(template, no_fuzzy_matching=False, update_creation_date=False)
        catalog.obsolete.clear()
        catalog.fuzzy, catalog.header_comment = False, HEADER
        catalog.project, catalog.version, catalog.msgid_bugs_address = "softreg", "", ""
        catalog.last_translator, catalog.language_team = "The softreg developers", "zh_CN"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=120)


def main(action: str) -> int:
    """Run `update` or `check`; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        pages = extract(Path(folder))
    if action == "update":
        update(pages)
    found = complaints(pages)
    print("\n".join(found) or "Every message is translated.")
    return 1 if found and action == "check" else 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["update"], ["check"]):
        sys.exit("python docs/translations.py update|check")
    sys.exit(main(sys.argv[1]))
