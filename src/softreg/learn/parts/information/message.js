// Arithmetic coding of a message, step by step, and code lengths of many labels.

const MOST_LETTERS = 12, DRAWN_LABELS = 1000, MOST_DIGITS = 14;
const ROW_HEIGHT = 24, ROW_STEP = 58;

/** The labels of the message that exist. */
function messageOf({ message, labels }) {
  return [...message.toUpperCase()].map((letter) => LETTERS.indexOf(letter)).filter((k) => k >= 0 && k < labels).slice(0, MOST_LETTERS);
}

function lettersOf(labels) {
  return labels.map((k) => LETTERS[k]).join("");
}

const drawnCodes = remembered((seed, weights) => {
  const labels = drawnLabels(seededUniforms(seed, DRAWN_LABELS), weights), p = normalizedWeights(weights);
  const arithmetic = 8 * encodedLabels(labels, p).length, huffman = wordBits(labels, huffmanOf(weights).words);
  return { ideal: surprisalBits(labels, p), arithmetic, huffman, labels };
});

function surprisalBits(labels, p) {
  return labels.reduce((sum, k) => sum - Math.log(p[k]), 0) / NATS_PER_BIT;
}

function wordBits(labels, words) {
  return labels.reduce((sum, k) => sum + words[k].length, 0);
}

/** The control of the message: a field, a button for each letter, and one that takes the last away. */
function messageField(context) {
  const input = el("input", {
    type: "text", maxlength: 2 * MOST_LETTERS, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", class: "message",
    oninput() { context.set({ message: lettersOf(messageOf({ ...context.state, message: input.value })), coded: MOST_LETTERS }); },
  });
  const change = (message) => context.set({ message: message.slice(0, MOST_LETTERS), coded: MOST_LETTERS });
  const shown = () => lettersOf(messageOf(context.state));
  const letters = LETTERS.map((letter) => el("button", { type: "button", onclick: () => change(shown() + letter) }, letter));
  const drawn = () => lettersOf(drawnCodes(context.state.seed, weightsOf(context.state, "p")).labels.slice(0, MOST_LETTERS));
  context.onChange((state) => {
    if (input.value !== shown()) input.value = shown();
    letters.forEach((button, k) => {
      button.hidden = k >= state.labels;
      furnish(button, { "aria-label": context.text("message.append", { letter: LETTERS[k] }) });
    });
  });
  return [
    el("label", { class: "message-label" }, context.t("message.field"), input),
    el("div", { class: "buttons" }, letters,
      context.button("message.back", () => change(shown().slice(0, -1))), context.button("message.drawn", () => change(drawn()))),
  ];
}

/** How many labels of the message are coded: all of them where the state has more. */
function codedCount(state) {
  return Math.min(state.coded, messageOf(state).length);
}

/** The slider of the labels coded so far; its end is the length of the message. */
function codedSlider(context) {
  const shown = context.number("coded", 0);
  const input = el("input", { type: "range", min: 0, step: 1, oninput: () => context.set({ coded: Number(input.value) }) });
  context.onChange((state) => {
    const coded = codedCount(state);
    furnish(input, { max: messageOf(state).length, "aria-valuetext": String(coded) });
    input.value = coded;
    shown.set(coded);
  });
  return sliderLine(context.t("message.coded"), input, shown);
}

/** The decimal digits of an end of an interval. */
function endText(numerator, interval) {
  return decimalFraction(numerator, interval.denominator, Math.min(digitsOfInterval(interval), MOST_DIGITS));
}

/** The intervals of the first labels of the message, each drawn over the full width below the one that it is a part of. */
function intervalFigure(context) {
  const figure = svg("svg", { class: "figure plot", role: "img" }), { width } = PLOT;
  context.onChange((state) => {
    const weights = weightsOf(state, "p"), p = normalizedWeights(weights), edges = [0];
    for (const share of p) edges.push(edges[edges.length - 1] + share);
    const labels = messageOf(state), coded = codedCount(state);
    const intervals = messageIntervals(labels.slice(0, coded), weights), nodes = [];
    intervals.forEach((interval, row) => {
      const top = 16 + row * ROW_STEP, chosen = row < coded ? labels[row] : -1, at = (share) => width * share;
      nodes.push(
        svg("text", { x: 0, y: top - 4, class: "end" }, endText(interval.low, interval)),
        svg("text", { x: width, y: top - 4, "text-anchor": "end", class: "end" }, endText(interval.low + interval.width, interval)),
      );
      p.forEach((share, k) => {
        const middle = at((edges[k] + edges[k + 1]) / 2), isChosen = k === chosen;
        nodes.push(svg("rect", {
          x: at(edges[k]), y: top, width: at(share), height: ROW_HEIGHT, stroke: "var(--card)", "stroke-width": 1.5,
          fill: isChosen ? "var(--blue)" : "var(--band)",
        }));
        if (at(share) <= 11) return;
        nodes.push(svg("text", { x: middle, y: top + 17, "text-anchor": "middle", class: isChosen ? "on-blue" : null }, LETTERS[k]));
      });
      if (chosen < 0) return;
      const bottom = top + ROW_HEIGHT, next = top + ROW_STEP;
      nodes.push(svg("path", {
        d: `M${at(edges[chosen])} ${bottom}L${at(edges[chosen + 1])} ${bottom}L${width} ${next}L0 ${next}Z`,
        fill: "var(--blue)", "fill-opacity": 0.1,
      }));
    });
    furnish(figure, {
      viewBox: `0 0 ${width} ${16 + coded * ROW_STEP + ROW_HEIGHT + 2}`,
      "aria-label": context.text("message.figure", { message: lettersOf(labels.slice(0, coded)) || context.text("message.empty") }),
    });
    figure.replaceChildren(...nodes);
  });
  return figure;
}

/** Numbers of the labels that have been coded so far, and their code. */
function codedNumbers(context) {
  const ends = { low: "", high: "" }, number = (name, digits, options) => context.number(`coded.${name}`, digits, options);
  const [low, high] = ["low", "high"].map((name) => number(name, 6, { show: () => ends[name] }));
  const width = number("width", 6), ideal = number("ideal", 3), bits = number("bits", 0);
  const message = el("strong", { class: "word", "data-word": `${context.id}.coded.message` });
  const code = el("strong", { class: "word", "data-word": `${context.id}.coded.code` });
  const after = context.t("message.after", { message }), before = context.t("message.before");
  context.onChange((state) => {
    const weights = weightsOf(state, "p"), labels = messageOf(state).slice(0, state.coded);
    const last = messageIntervals(labels, weights)[labels.length], found = shortestBits(last);
    const ratio = (numerator) => Number(numerator) / Number(last.denominator);
    ends.low = endText(last.low, last);
    ends.high = endText(last.low + last.width, last);
    low.set(ratio(last.low));
    high.set(ratio(last.low + last.width));
    width.set(ratio(last.width));
    ideal.set(surprisalBits(labels, normalizedWeights(weights)));
    bits.set(found.length);
    setText(message, lettersOf(labels));
    setText(code, found || context.text("message.empty"));
    after.hidden = labels.length === 0;
    before.hidden = labels.length > 0;
  });
  return [
    el("p", {}, context.t("message.interval", { where: el("span", {}, before, after), low, high, width })),
    el("p", {}, context.t("message.code", { code, bits, ideal })),
  ];
}

/** Code lengths of the whole message and of many drawn labels, in bits. */
function lengthTable(context) {
  const names = ["ideal", "arithmetic", "huffman", "fixed"];
  const number = (column, digits) =>
    Object.fromEntries(names.map((name) => [name, context.number(`${column}.${name}`, name === "ideal" ? digits : 0)]));
  const message = number("message", 2), drawn = number("drawn", 1);
  const each = Object.fromEntries(names.map((name) => [name, context.number(`each.${name}`, 3)]));
  context.onChange((state) => {
    const weights = weightsOf(state, "p"), labels = messageOf(state), { words } = huffmanOf(weights);
    const digits = Math.ceil(Math.log2(state.labels));
    const ofMessage = {
      ideal: surprisalBits(labels, normalizedWeights(weights)), huffman: wordBits(labels, words), fixed: digits * labels.length,
      arithmetic: shortestBits(messageIntervals(labels, weights)[labels.length]).length,
    };
    const ofDrawn = { ...drawnCodes(state.seed, weights), fixed: digits * DRAWN_LABELS };
    for (const name of names) {
      message[name].set(ofMessage[name]);
      drawn[name].set(ofDrawn[name]);
      each[name].set(ofDrawn[name] / DRAWN_LABELS);
    }
  });
  const rows = names.map((name) => [`length.${name}`, message[name], drawn[name], each[name]]);
  return makeTable(context, ["unit.bits", "length.message", "length.drawn", "length.each"], rows);
}

/** The section on arithmetic coding. */
function messageSection(context) {
  return [
    el("h3", {}, context.t("message.title")),
    el("p", {}, context.t("message.intro")),
    ...messageField(context),
    codedSlider(context),
    el("div", { class: "columns" },
      el("figure", {}, intervalFigure(context), el("figcaption", {}, context.t("message.caption"))),
      el("div", {}, codedNumbers(context), lengthTable(context), el("p", { class: "quiet small" }, context.t("length.note")))),
  ];
}
