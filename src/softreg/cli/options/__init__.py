"""Options of the commands, and the parsing and checks of their values.

A new option of a command is here; the package may import `cli.console`.
"""
