"""One file for each dialect of SQL, each with an implementation of `softreg.export.sql.syntax.Syntax`.

It may import the files beside this package but `query`; a new dialect is a file here and an entry in `query`.
"""
