"""Figures and tables of the functions of columns and interactions, for the page. It may import `page`'s tables."""
