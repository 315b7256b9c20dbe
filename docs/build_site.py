"""Build the site: `python docs/build_site.py FOLDER` writes FOLDER/en, FOLDER/zh and FOLDER/index.html."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from softreg.learn import learn_page

DOCS = Path(__file__).parent
LANGUAGES = {"en": "en", "zh": "zh_CN"}  # the folder of the site, and the language of Sphinx
START = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>softreg</title>
<script>location.replace((navigator.language.startsWith("zh") ? "zh" : "en") + "/index.html");</script>
<p><a href="en/index.html">softreg in English</a>
<p lang="zh-CN"><a href="zh/index.html">softreg 中文文档</a>
</html>
"""


def build(folder: Path) -> None:
    """Write the site in both languages; a warning of Sphinx is an error."""
    with tempfile.TemporaryDirectory() as doctrees:
        for name, language in LANGUAGES.items():
            page = folder / name
            options = ["-q", "-E", "-W", "--keep-going", "-b", "html", "-d", str(Path(doctrees) / name)]
            done = subprocess.run(
                [sys.executable, "-m", "sphinx", *options, "-D", f"language={language}", str(DOCS), str(page)],
                stderr=subprocess.PIPE,
                text=True,
            )
            if done.returncode:
                raise RuntimeError(f"The pages in {language} have errors:\n{done.stderr}")
            print(f"{language}: {page}")
            (page / "softreg-learn.html").write_text(learn_page(), encoding="utf-8")
    shutil.rmtree(folder / "jupyter_execute", ignore_errors=True)  # myst-nb's copies of the notebooks
    (folder / "index.html").write_text(START, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python docs/build_site.py FOLDER")
    try:
        build(Path(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(str(error))
