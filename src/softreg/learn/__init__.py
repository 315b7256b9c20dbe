"""An interactive page that teaches softmax regression, in English and Chinese, as one HTML file.

`page` joins the sources of this folder: `script` has the frame of the page, its texts and what several parts use;
`parts` has a folder for each part of the lesson, with its scripts, styles and texts in both languages. Rules for the
author of a part stand at the top of `script/frame.js`. It imports only the leaves of softreg.
"""

from __future__ import annotations

from softreg.learn.page import learn_page

__all__ = ["learn_page"]
