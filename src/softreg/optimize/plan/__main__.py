"""`python -m softreg.optimize.plan [FOLDER]`: print the rules and limits, or write them into the pages of a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from softreg.optimize.plan.print_rules import limits_table, rules_table, write_pages

if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_pages(Path(sys.argv[1]))
    else:
        print(rules_table(), limits_table(), sep="\n\n")
