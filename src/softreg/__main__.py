"""`python -m softreg` is the command `softreg`."""

from softreg.cli import main

if __name__ == "__main__":
    main(prog_name="softreg")
