"""Figures of a report as inline SVG: reliability, training, ROC, gains, rates by column, images.

A new figure is a module here, a function from a record of `evaluation` to an SVG element by `svg.figure_svg`. The
package may import `report.evaluation`.
"""
