// Markers of the current row in the pictures of curves and interactions.

const SVG = "http://www.w3.org/2000/svg";
const DOT = 3.2, RING = 5, HALF_ROW = 9;
const drawings = PICTURES.flatMap(({ axes, figures }) => figures.map((figure) => ({ axes, ...figure })));
byId("terms").querySelectorAll("svg").forEach((svg, k) => {
  const drawing = drawings[k];
  drawing.mark = svg.appendChild(document.createElementNS(SVG, "g"));
  drawing.mark.setAttribute("class", "mark");
  const add = (name, count = 1) => Array.from({ length: count }, () => drawing.mark.appendChild(document.createElementNS(SVG, name)));
  if (drawing.kind === "map") drawing.rings = add("circle");
  else if (drawing.kind === "levels") [drawing.band] = add("rect");
  else [[drawing.line], drawing.dots] = [add("line"), add("circle", drawing.values.length)];
  drawing.width = svg.viewBox.baseVal.width;
});
const termsFold = byId("terms").querySelector("details");
termsFold.addEventListener("toggle", showMarkers);

/** Place of a cell among the nodes of an axis, between two of them for a number; -1 where it has none. */
function nodePlace({ column: name, numbers, labels }) {
  const i = columns.findIndex((column) => column.element < 0 && column.name === name);
  if (i < 0) return -1;
  const cell = cells[i], { levels } = columns[i].input;
  const special = (word) => {
    const k = labels.includes(`(${word})`) ? labels.indexOf(`(${word})`) : levels.includes(word) ? -1 : labels.indexOf(word);
    return numbers.length + (k < 0 ? labels.length - 1 : k);
  };
  if (cell === null) return special("missing");
  if (numbers.length) return typeof cell === "number" ? interpolate({ knots: numbers, values: numbers.map((_, k) => k) }, cell) : -1;
  if (typeof cell === "boolean") return Number(cell);
  if (labels.includes(String(cell))) return labels.indexOf(String(cell));
  return levels.includes(cell) ? -1 : special("rare");
}

/** Value at a place between nodes; null where a node is not drawn. */
function between(values, at) {
  const k = Math.floor(at), share_ = at - k, a = values[k] ?? null, b = share_ ? values[k + 1] ?? null : a;
  return a === null || b === null ? null : a + share_ * (b - a);
}

function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Move the markers to the values of the controls; the values are those of the form, whether or not they have an answer. */
function showMarkers() {
  if (!termsFold.open) return;
  for (const drawing of drawings) {
    const places = drawing.axes.map(nodePlace), { mark, kind } = drawing;
    const points = kind === "map" ? [between(drawing.x, places[drawing.across]), between(drawing.y, places[1 - drawing.across])] : [between(drawing.at, places[0])];
    const known = points.every((point) => point !== null);
    mark.style.display = known ? "" : "none";
    mark.dataset.at = known ? points.join(" ") : "";
    if (!known) continue;
    if (kind === "map") setAll(drawing.rings[0], { cx: points[0], cy: points[1], r: RING });
    else if (kind === "levels") setAll(drawing.band, { x: 0, width: drawing.width, y: points[0] - HALF_ROW, height: 2 * HALF_ROW, rx: 3 });
    else {
      setAll(drawing.line, { x1: points[0], x2: points[0], y1: drawing.span[0], y2: drawing.span[1] });
      drawing.dots.forEach((dot, c) => setAll(dot, { cx: points[0], cy: between(drawing.values[c], places[0]), r: DOT }));
    }
  }
}

alsoShown.push(showMarkers);
