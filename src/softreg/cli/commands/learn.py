"""`softreg learn`: an interactive page that teaches softmax regression."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from softreg.atomic_files import atomic_path
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable
from softreg.learn import learn_page


def write_lesson(output: Path, lang: str, no_open: bool) -> None:
    """Write the page to a file, and open it in a browser.

    Parameters
    ----------
    output : Path
        The file.
    lang : {"en", "zh"}
        Language with which the page opens.
    no_open : bool
        Whether no browser is to be opened.
    """
    check_writable(output, REPORT_ENDINGS, "--output")
    page = learn_page(lang)
    with atomic_path(output) as draft:
        draft.write_text(page, "utf-8", newline="\n")
    print_message(f"Page: {output}")
    if not no_open and not _open(output):
        print_note(f"there is no browser on this machine that could be started; open {str(output)!r} in one.")


def _open(path: Path) -> bool:
    """Open a file in a browser; return whether one was started."""
    try:
        return webbrowser.open(path.resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False
