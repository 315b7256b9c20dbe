"""JSON files as tables: layout of a document, JSON lines, and the Arrow types of JSON values.

The package imports `columns` and `delimited` (streams and encodings). A new layout of JSON documents goes to
`json_documents`, a type of values to `json_types`.
"""
