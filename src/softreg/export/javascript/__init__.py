"""Programs as an ES module of JavaScript: the records as data, and `runtime.js`, which computes them.

It imports `program` and `export_errors`. A new kind of term or step needs a function in `runtime.js`, where its fields
have the names that `module` gives them.
"""
