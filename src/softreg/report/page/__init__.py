"""The HTML page of a report: content (`report_data`), tables and sentences, templates.

A new section is a table or sentence here, a variable in `render` and a template in `templates`. The package may import
`report.evaluation` and `report.figures`.
"""
