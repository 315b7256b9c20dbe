// Texts in both languages. A text has {placeholders}, **emphasis** and `formulas`.

const LANGUAGES = Object.keys(TEXTS);
const WORD_SPACE = { en: " ", zh: "" };  // between sentences
const LIST_COMMA = { en: ", ", zh: "\uff0c" };

/** The text of a key of a part, or of the frame, with its placeholders replaced by strings. */
function textOf(lang, part, key, values = {}) {
  const text = TEXTS[lang][part]?.[key] ?? TEXTS[lang].frame[key];
  if (text === undefined) throw new Error(`no text ${part}.${key} in ${lang}`);
  return text.replace(/`[^`]*`|\{(\w+)\}/g, (found, name) => (name ? valueOf(values, name, key) : found));
}

/** The same as nodes; placeholders may be nodes, too. */
function nodesOf(lang, part, key, values = {}) {
  const text = TEXTS[lang][part]?.[key] ?? TEXTS[lang].frame[key];
  if (text === undefined) throw new Error(`no text ${part}.${key} in ${lang}`);
  return markedNodes(text, values, key);
}

function markedNodes(text, values, key) {
  const nodes = [];
  for (const [found, strong, maths, name] of text.matchAll(/\*\*(.+?)\*\*|`([^`]+)`|\{(\w+)\}|[^*`{]+|./gsu)) {
    if (strong) nodes.push(el("strong", {}, markedNodes(strong, values, key)));
    else if (maths) nodes.push(formula(maths));
    else nodes.push(name ? valueOf(values, name, key) : found);
  }
  return nodes;
}

function valueOf(values, name, key) {
  if (values[name] === undefined) throw new Error(`the text ${key} needs {${name}}`);
  return values[name];
}
