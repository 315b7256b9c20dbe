"""The commands, one module each; `softreg.cli` declares their options and imports a module when its command runs.

The package may import all other parts of `cli`.
"""
