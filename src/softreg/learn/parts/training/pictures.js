// Pictures of the part on training: images with their probabilities, weights, and the grid on which readers draw.

const CARD_DIGITS = 2;

/** The path of the black pixels of an image, in units of pixels. */
function blackPixels(pixels) {
  return pixels.map((black, i) => (black ? `M${i % IMAGE_SIDE} ${Math.floor(i / IMAGE_SIDE)}h1v1h-1z` : "")).join("");
}

/** A picture of an image. */
function imagePicture() {
  const path = svg("path", { class: "training-ink" });
  const node = svg("svg", { viewBox: `0 0 ${IMAGE_SIDE} ${IMAGE_SIDE}`, class: "training-image", "aria-hidden": "true" },
    svg("rect", { width: IMAGE_SIDE, height: IMAGE_SIDE, class: "training-paper" }), path);
  node.set = (pixels) => furnish(path, { d: blackPixels(pixels) });
  return node;
}

/** An image of a list with the probabilities of its classes as bars: `set(image, probabilities)`. */
function imageCard(context, name) {
  const picture = imagePicture();
  const bars = CLASSES.map((k) => svg("rect", { x: 0, y: 4 * k, height: 3, width: 0, fill: classColour(k) }));
  const frame = svg("svg", { viewBox: "0 0 40 11", class: "training-bars", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 40, height: 11, class: "training-track" }), bars);
  const label = el("span", { class: "unseen" });
  const node = el("li", { class: "training-card" }, picture, frame, label);
  node.set = (image, P) => {
    picture.set(image.pixels);
    const top = argmax([...P]), wrong = P[top] > P[image.label];
    const count = P.filter((p) => p === P[top]).length, tied = !wrong && count > 1;
    CLASSES.forEach((k) => {
      context.mark(bars[k], `${name}.${k}`, P[k]);
      furnish(bars[k], { width: (40 * P[k]).toFixed(2) });
    });
    node.classList.toggle("training-wrong", wrong);
    node.style.setProperty("--label", classColour(image.label));
    furnish(node, { "data-image": image.label + pixelsAsText(image.pixels) });
    setText(label, context.text(wrong ? "card-wrong" : tied ? "card-tied" : "card-right", {
      label: context.text(`class.${image.label}`), predicted: context.text(`class.${top}`), p: numberText(P[top], CARD_DIGITS),
      count: String(count),
    }));
  };
  return node;
}

/** A list of image cards: `set(images, P)`. */
function imageList(context, name) {
  const list = el("ul", { class: "training-cards" });
  list.set = (images, P) => {
    while (list.children.length > images.length) list.lastElementChild.remove();
    while (list.children.length < images.length) list.append(imageCard(context, `${name}.${list.children.length}`));
    images.forEach((image, i) => list.children[i].set(image, P.subarray(i * CLASS_COUNT, (i + 1) * CLASS_COUNT)));
  };
  return list;
}

/** The largest absolute value. */
function largestSize(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** A number for each pixel and class as three pictures and three numbers for the bias: `set({ W, b }, largest)`, whose
 *  last argument is the number of the strongest colour; `clear()` where there are none. */
function weightPictures(context, name, digits) {
  const most = context.number(`${name}.most`, digits);
  const cells = CLASSES.map(() => Array.from({ length: IMAGE_PIXELS }, (_, j) =>
    svg("rect", { x: j % IMAGE_SIDE, y: Math.floor(j / IMAGE_SIDE), width: 1.02, height: 1.02 })));
  const biases = CLASSES.map((k) => context.number(`${name}.b.${k}`, digits));
  const pictures = CLASSES.map((k) => el("div", { class: "training-weight" },
    svg("svg", { viewBox: `0 0 ${IMAGE_SIDE} ${IMAGE_SIDE}`, class: "training-weights", "aria-hidden": "true" }, cells[k]),
    context.className(k), el("span", { class: "small quiet" }, context.t("bias"), " ", biases[k])));
  const scale = el("p", { class: "small quiet" }, context.t("scale", { most }));
  const node = el("div", { class: "training-pictures" }, pictures, scale);
  node.set = ({ W, b }, largest = largestSize(W)) => {
    most.set(largest);
    scale.hidden = largest === 0;
    CLASSES.forEach((k) => {
      biases[k].set(b[k]);
      for (let j = 0; j < IMAGE_PIXELS; j++) {
        const w = W[j * CLASS_COUNT + k];
        context.mark(cells[k][j], `${name}.W.${j}.${k}`, w);
        furnish(cells[k][j], { fill: signedColour(w, largest || 1) });
      }
    });
  };
  node.clear = () => {
    for (const number of [most, ...biases]) number.set(null);
    for (const cell of cells.flat()) cell.removeAttribute("data-value");
  };
  return node;
}

/** The grid on which readers draw: 36 toggle buttons, moved through with the arrow keys, painted with the pointer. */
function drawingGrid(context) {
  let paint = null, painted = false, current = 0;
  const change = (i, black) => {
    const pixels = pixelsOfText(context.state.draft);
    pixels[i] = Number(black);
    context.set({ draft: pixelsAsText(pixels) });
  };
  const cells = Array.from({ length: IMAGE_PIXELS }, (_, i) => el("button", {
    type: "button", class: "training-cell", "data-cell": i,
    onclick() {  // by key or by a screen reader: a pointer has painted before
      if (!painted) change(i, !pixelsOfText(context.state.draft)[i]);
      painted = false;
    },
    onfocus: () => rove(i),
  }));
  const rove = (i) => {
    current = i;
    cells.forEach((cell, j) => furnish(cell, { tabindex: j === current ? 0 : -1 }));
  };
  const under = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest?.(".training-cell")?.dataset.cell;
  const grid = el("div", {
    class: "training-grid", role: "group",
    onpointerdown(event) {
      const at = under(event);
      if (event.button !== 0 || at === undefined) return;
      paint = !pixelsOfText(context.state.draft)[at];
      painted = true;
      cells[at].focus();
      change(Number(at), paint);
    },
    onpointermove(event) {
      const at = paint === null ? undefined : under(event);
      if (at !== undefined && Boolean(pixelsOfText(context.state.draft)[at]) !== paint) change(Number(at), paint);
    },
    onkeydown(event) {
      painted = false;
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const within = (place) => Math.min(IMAGE_SIDE - 1, Math.max(0, place));
      const column = within((current % IMAGE_SIDE) + move[0]), row = within(Math.floor(current / IMAGE_SIDE) + move[1]);
      cells[row * IMAGE_SIDE + column].focus();
    },
  }, cells);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { paint = null; });
  rove(0);
  context.onChange(({ draft }) => {
    const pixels = pixelsOfText(draft);
    furnish(grid, { "aria-label": context.text("draw-label") });
    cells.forEach((cell, i) => furnish(cell, {
      "aria-pressed": String(Boolean(pixels[i])),
      "aria-label": context.text("cell", { row: String(Math.floor(i / IMAGE_SIDE) + 1), column: String((i % IMAGE_SIDE) + 1) }),
    }));
  });
  return grid;
}
