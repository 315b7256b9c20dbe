// The state of the page in the fragment of its address: #lang=zh&part=loss&loss.y=0.1,0.2,0.7

/** The value that a text of the address stands for, of the type of the default; undefined where it is none. */
function readValue(text, standard, limits, choices) {
  if (typeof standard === "boolean") return { 0: false, 1: true }[text];
  if (typeof standard === "string") return !choices || choices.includes(text) ? text : undefined;
  if (typeof standard === "number") return readNumber(text, limits);
  const values = text.split(",").map((one) => readNumber(one, limits));
  return values.length === standard.length && !values.includes(undefined) ? values : undefined;
}

function readNumber(text, limits = [-Infinity, Infinity]) {
  const value = /^-?\d/.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) && value >= limits[0] && value <= limits[1] ? value : undefined;
}

function writeValue(value) {
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}

/** Pairs of the fragment; without those that cannot be read. */
function readFragment(fragment) {
  const pairs = new Map();
  for (const pair of fragment.replace(/^#/, "").split("&")) {
    const at = pair.indexOf("=");
    try {
      if (at > 0) pairs.set(decodeURIComponent(pair.slice(0, at)), decodeURIComponent(pair.slice(at + 1)));
    } catch { /* not percent-encoding: the value is left out */ }
  }
  return pairs;
}

function writeFragment(pairs) {
  return [...pairs].map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
}
