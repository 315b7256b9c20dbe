// Figures that several parts use.

/** A table of three bars, one for each class: `set(values)` with values from 0 to `most`. */
function classBars(context, name, digits, most = 1) {
  const fills = CLASSES.map((k) => el("span", { class: "fill", style: { background: classColour(k) } }));
  const numbers = CLASSES.map((k) => context.number(`${name}.${k}`, digits));
  const rows = CLASSES.map((k) => el("li", {}, context.className(k), el("span", { class: "track", "aria-hidden": "true" }, fills[k]), numbers[k]));
  const list = el("ul", { class: "bars" }, rows);
  list.set = (values) => values.forEach((value, k) => {
    numbers[k].set(value);
    fills[k].style.setProperty("width", `${100 * Math.max(0, Math.min(1, value / most))}%`);
    rows[k].classList.toggle("top", k === argmax(values));
  });
  return list;
}
