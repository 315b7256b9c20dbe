// Colours. They are variables of page.css, so that they follow light and dark; each class has a letter besides.

const CLASSES = [0, 1, 2];

/** The colour of a class, for fills and lines. */
function classColour(k) {
  return `var(--class-${k})`;
}

/** A colour of a signed number from -most to most: orange below 0, blue above; text of the ink can be read on it. */
function signedColour(value, most) {
  const share = Math.min(1, Math.abs(value) / most);
  return `color-mix(in oklab, var(--${value < 0 ? "minus" : "plus"}) ${(62 * share).toFixed(1)}%, var(--card))`;
}

/** The grey of a pixel, from 0 (black) to 1 (white). */
function grey(value) {
  const level = Math.round(255 * value);
  return `rgb(${level} ${level} ${level})`;
}
