// Elements of HTML and SVG. Texts enter the document as text nodes only.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: el("p", { class: "quiet", onclick: f, style: { width: "3px" } }, "text", node, [more]). */
function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** Set attributes (null, undefined and false leave one out; "on..." are listeners; style is an object) and children. */
function furnish(node, attributes, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [property, one] of Object.entries(value)) node.style.setProperty(property, one);
    else if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else {
      const text = value === true ? "" : String(value);
      if (node.getAttribute(name) !== text) node.setAttribute(name, text);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A formula as text: x_1, x_{12} and e^x, e^{-o} have indices and powers, hyphens are minus signs, single Latin letters
 *  and indices are italic.
 *  Children are strings in this notation and nodes, as numbers: formula("o_1 = ", node, " + b_1"). */
function formula(...children) {
  return el("span", { class: "math" }, children.map((child) => (typeof child === "string" ? formulaNodes(child) : child)));
}

function formulaNodes(text, isIndex = false) {
  const nodes = [];
  for (const [, script, group, one, word, other] of text.matchAll(/([_^])(?:\{([^}]*)\}|(.))|([A-Za-z]+)|([^A-Za-z_^]+)/gu)) {
    if (script) nodes.push(el(script === "_" ? "sub" : "sup", {}, formulaNodes(group ?? one, true)));
    else if (word) nodes.push(word.length === 1 || isIndex ? el("i", {}, word) : word);
    else nodes.push(other.replaceAll("-", "\u2212"));
  }
  return nodes;
}
