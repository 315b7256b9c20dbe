"""Run the command `softreg` as `python -m softreg`."""

from softreg.cli import main

if __name__ == "__main__":
    main(prog_name="softreg")
