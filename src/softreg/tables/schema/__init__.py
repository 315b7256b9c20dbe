"""The schema: the inferred kind of each column, and the labels of the target column.

It may import `tables.columns`, `formats` and `io`. A rule that infers kinds goes to `infer_kind`, what text must look
like to be numbers or dates to `number_columns` and `date_columns`, hints to `column_hints`, and the reading of labels
to `target_labels` and `label_types`.
"""
