"""Recalibration maps and their certified fits: structured scaling, maps of the log-odds of two classes, isotonic steps.

It imports `calibration.temperature` and rooms below `models`. Records of maps are in `structured_map.py`,
`odds_maps.py` and `isotonic.py`. Fits of several classes (`structured.py`) use the designs of `map_designs.py` with
`newton_fit.py`, or `vector_fit.py` for many classes; those of two classes (`two_classes.py`) are stacked in
`odds_stack.py`.
"""
