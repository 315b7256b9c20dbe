"""Evaluation of groups of rows: of named columns, found by a search, and their recalibration on held-out rows.

A statistic of groups goes here. It may import `probability` and `models` and no other part of `report`.
"""
