"""Rows divided into fragments that worker processes load and sum: the rows never pass through the calling process.

May import `memory` and `ondisk`. A further kind of source is a class like `NpyFragment`; a further scheduler is a class
with the methods of `Engine`; `open_engine` opens one from the text of an option.
"""
