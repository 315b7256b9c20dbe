"""Programs as one self-contained HTML page, on which a fitted model is tried without a server.

`page` joins the ES module of `javascript` with the sources of this folder, which are plain HTML, CSS and JavaScript.
`numbers.js` formats numbers and makes the stops of sliders, `changes.js` searches for the changes of one column that
change the predicted class, `controls.js` makes a control for each kind of input, `answer.js` shows results, and
`page.js` joins them. `pictures.py` draws the terms of a model, and `pictures.js` marks the values of the row in them.
It may import `program` and `javascript`, and the figures of `report`.
"""
