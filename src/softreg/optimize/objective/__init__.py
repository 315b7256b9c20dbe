"""The objective of a stack of models, and the reductions that evaluate it on the blocks of the rows.

May import `problem`. A further sum over the rows that several packages need is a record in `loss_reductions.py` (on
logits) or `column_reductions.py` (on standardised columns); a sum that one method needs is a record beside that method.
"""
