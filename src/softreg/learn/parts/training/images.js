// The images of the part on training: 6 x 6 black and white pixels, drawn from a seed, and images as text.

const IMAGE_SIDE = 6;
const IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE;
const IMAGE_CLASSES = ["cross", "ring", "bar"];
const IMAGES_PER_CLASS = { training: 8, holdout: 8 };
const FLIPPED_SHARE = 0.06;
const BITS_PER_DIGIT = 5;
const DIGITS = "0123456789abcdefghijklmnopqrstuv";

/** Whether a pixel belongs to the figure of a class at a place; places are drawn by `drawImage`. */
const FIGURES = {
  cross: (row, column, place) =>
    (row === place.row && Math.abs(column - place.column) <= 2) || (column === place.column && Math.abs(row - place.row) <= 2),
  ring: (row, column, place) => {
    const down = Math.abs(row - place.row - 0.5), across = Math.abs(column - place.column - 0.5);
    return Math.max(down, across) === 1.5 && down !== across;
  },
  bar: (row, column, place) => (place.upright ? column === place.column : row === place.row),
};

/**
 * The pixels (36) of one image: a figure at a random place, of which each pixel is flipped with a probability of 0.06.
 * @param {number} label index of the class
 * @param {() => number} uniform
 * @returns {number[]}
 */
function drawImage(label, uniform) {
  const place = { row: wholeNumber(uniform, 1, 2), column: wholeNumber(uniform, 1, 2), upright: uniform() < 0.5 };
  const figure = FIGURES[IMAGE_CLASSES[label]];
  return Array.from({ length: IMAGE_PIXELS }, (_, i) => {
    const black = figure(Math.floor(i / IMAGE_SIDE), i % IMAGE_SIDE, place);
    return Number(black !== uniform() < FLIPPED_SHARE);
  });
}

/**
 * The drawn images of a seed: training and hold-out, the classes in turn.
 * @param {number} seed
 * @returns {{training: {pixels: number[], label: number}[], holdout: {pixels: number[], label: number}[]}}
 */
function drawnImages(seed) {
  const uniform = uniformSequence(seed);
  const draw = (n) =>
    Array.from({ length: n * IMAGE_CLASSES.length }, (_, i) => {
      const label = i % IMAGE_CLASSES.length;
      return { pixels: drawImage(label, uniform), label };
    });
  return { training: draw(IMAGES_PER_CLASS.training), holdout: draw(IMAGES_PER_CLASS.holdout) };
}

/**
 * Images as text: for each the index of its class and its pixels, five a digit of base 32, joined by dots.
 * @param {{pixels: number[], label: number}[]} images
 * @returns {string}
 */
function imagesAsText(images) {
  return images.map(({ pixels, label }) => label + pixelsAsText(pixels)).join(".");
}

/** Pixels as digits of base 32. */
function pixelsAsText(pixels) {
  let text = "";
  for (let start = 0; start < pixels.length; start += BITS_PER_DIGIT) {
    let digit = 0;
    for (let i = start; i < start + BITS_PER_DIGIT; i++) digit = 2 * digit + (pixels[i] || 0);
    text += DIGITS[digit];
  }
  return text;
}

/** The pixels of such digits; null if the text is no image. */
function pixelsOfText(text) {
  const digits = [...text].map((digit) => DIGITS.indexOf(digit));
  if (digits.length !== Math.ceil(IMAGE_PIXELS / BITS_PER_DIGIT) || digits.includes(-1)) return null;
  return Array.from(
    { length: IMAGE_PIXELS },
    (_, i) => (digits[Math.floor(i / BITS_PER_DIGIT)] >> (BITS_PER_DIGIT - 1 - (i % BITS_PER_DIGIT))) & 1,
  );
}

/**
 * The images of a text of `imagesAsText`; parts that are no image are left out.
 * @param {string} text
 * @returns {{pixels: number[], label: number}[]}
 */
function imagesOfText(text) {
  return text.split(".").flatMap((part) => {
    const label = Number(part[0]), pixels = pixelsOfText(part.slice(1));
    return pixels && label < IMAGE_CLASSES.length ? [{ pixels, label }] : [];
  });
}
