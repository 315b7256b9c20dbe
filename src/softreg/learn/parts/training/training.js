// Part 3: training. Images and the reader's own, stochastic gradient descent beside Newton's method, overfitting.

const STRENGTHS = [0, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];
const DRAWN_IMAGES = IMAGES_PER_CLASS.training * CLASS_COUNT;
const MOST_IMAGES = DRAWN_IMAGES + MOST_OWN_IMAGES;
const LARGEST_SEED = 999;
const EMPTY_IMAGE = "0".repeat(Math.ceil(IMAGE_PIXELS / BITS_PER_DIGIT));
const PASSES_PER_FRAME = { pass: 1, passes: 10 };
const TRIAL = { strength: 0, passes: 500 };
const LOSS_DIGITS = 4;
const PASS_DIGITS = 2;
const WEIGHT_DIGITS = 2;

/** The number of training images of a state. */
function imageCount(state) {
  return DRAWN_IMAGES + imagesOfText(state.own).length;
}

/** A change of the images or the batch that keeps the number of passes. */
function withPasses(state, changes) {
  const next = { ...state, ...changes }, passes = state.steps / stepsPerPass(imageCount(state), state.batch);
  const n = imageCount(next), batch = Math.min(next.batch, n);
  return { ...changes, batch, steps: Math.floor(passes * stepsPerPass(n, batch)) };
}

/** A slider over a list of values. */
function listSlider(context, { value, list, label }) {
  const shown = context.number(value, 0, { show: String });
  const change = () => context.set({ [value]: list[input.value] });
  const input = el("input", { type: "range", min: 0, max: list.length - 1, step: 1, oninput: change });
  context.onChange((state) => {
    const near = list.findIndex((one) => one >= state[value]);
    input.value = near < 0 ? list.length - 1 : near;
    input.setAttribute("aria-valuetext", String(state[value]));
    shown.set(state[value]);
  });
  return sliderLine(context.t(label), input, shown);
}

/** The slider of the batch size, from 1 to all images. */
function batchSlider(context) {
  const shown = context.number("batch", 0);
  const change = () => context.set(withPasses(context.state, { batch: Number(input.value) }));
  const input = el("input", { type: "range", min: 1, step: 1, oninput: change });
  context.onChange((state) => {
    furnish(input, { max: imageCount(state) });
    input.value = state.batch;
    shown.set(state.batch);
  });
  return sliderLine(context.t("batch"), input, shown);
}

/** Pictures that need not follow each step while training plays and they are out of sight. */
class SeenPictures {
  constructor() {
    this.seen = new Set();
    this.playing = false;
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.seen[isIntersecting ? "add" : "delete"](target);
    });
  }

  /** Call `picture.set(...values)` unless it can wait; all are set when playing ends. */
  set(picture, ...values) {
    if (!this.seen.has(picture)) this.observer.observe(picture);
    if (!this.playing || this.seen.has(picture)) picture.set(...values);
  }
}

/** Buttons that train: play, step, pass, back. */
function trainingButtons(context, pictures) {
  let begun = false;
  const each = () => stepsPerPass(imageCount(context.state), context.state.batch);
  const most = () => MOST_PASSES * each();
  const advance = (steps) => context.set({ steps: Math.min(most(), context.state.steps + steps) });
  const perFrame = () => (context.state.speed === "step" ? 1 : PASSES_PER_FRAME[context.state.speed] * each());
  const frame = () => {
    if (!pictures.playing) return;
    if (begun && context.state.steps === 0) return setPlaying(false);  // the part was reset
    begun = true;
    advance(perFrame());
    if (context.state.steps >= most()) setPlaying(false);
    else requestAnimationFrame(frame);
  };
  const play = context.button("play", () => setPlaying(!pictures.playing)), pause = context.t("pause");
  const name = play.firstChild;
  const setPlaying = (next) => {
    pictures.playing = next;
    begun = false;
    play.replaceChildren(next ? pause : name);
    if (next) requestAnimationFrame(frame);
    else context.set({});
  };
  const step = context.button("step", () => advance(1));
  const pass = context.button("pass", () => advance(each() - (context.state.steps % each())));
  const back = context.button("back", () => {
    setPlaying(false);
    context.set({ steps: 0 });
  });
  play.classList.add("training-play");
  context.onChange(({ steps }) => {
    step.disabled = pass.disabled = play.disabled = steps >= most();
    back.disabled = steps === 0;
  });
  return el("div", { class: "buttons" }, play, step, pass, back);
}

/** What the reader draws, with its class, and what the model says about it. */
function drawingPanel(context, runs) {
  const bars = classBars(context, "draft", 3), count = context.number("own-count", 0);
  const add = context.button("add-image", () => {
    const { own, draft, label } = context.state;
    const images = [...imagesOfText(own), { pixels: pixelsOfText(draft), label: Number(label) }];
    context.set(withPasses(context.state, { own: imagesAsText(images), draft: EMPTY_IMAGE }));
  });
  const clear = context.button("clear", () => context.set({ draft: EMPTY_IMAGE }));
  const removeLast = context.button("remove-last", () =>
    context.set(withPasses(context.state, { own: imagesAsText(imagesOfText(context.state.own).slice(0, -1)) })));
  context.onChange((state) => {
    const own = imagesOfText(state.own).length, image = { pixels: pixelsOfText(state.draft), label: 0 };
    const rows = rowsOfImages([image], IMAGE_PIXELS, CLASS_COUNT);
    bars.set([...predictRows(rows, runs.of(state).descent.parameters).P]);
    count.set(own);
    add.disabled = own >= MOST_OWN_IMAGES || state.draft === EMPTY_IMAGE;
    clear.disabled = state.draft === EMPTY_IMAGE;
    removeLast.disabled = own === 0;
  });
  return el("div", { class: "training-draw" },
    el("div", {}, drawingGrid(context)),
    el("div", {}, el("p", {}, context.t("draw-lead")), bars, context.select({ value: "label", label: "label" }),
      el("div", { class: "buttons" }, add, clear, removeLast),
      el("p", { class: "small quiet" }, context.t("own-count", { count, most: String(MOST_OWN_IMAGES) }))));
}

/** Show that there is no number. */
function showNone(cell) {
  cell.removeAttribute("data-value");
  setText(cell, "\u2013");
}

/** How many images are undecided, behind how many are right: `set(count)`; hidden where there are none. */
function tiedCount(context, name) {
  const count = context.number(name, 0), node = el("span", { class: "small quiet training-tied" }, context.t("undecided", { count }));
  node.set = (value) => {
    count.set(value || null);
    node.hidden = !value;
  };
  return node;
}

/** The numbers of descent and minimum: `set(run, now)`. */
function comparisonTable(context) {
  const shown = (digits) => ({ show: (value) => (Number.isFinite(value) ? numberText(value, digits) : "\u221e") });
  const rows = [
    ["value", LOSS_DIGITS], ["bound", LOSS_DIGITS], ["loss", LOSS_DIGITS], ["holdoutLoss", LOSS_DIGITS],
    ["correct", 0], ["holdoutCorrect", 0],
  ];
  const tied = { correct: "tied", holdoutCorrect: "holdoutTied" };
  const sizes = { correct: context.number("n", 0), holdoutCorrect: context.number("m", 0) };
  const cells = rows.map(([name, digits]) => ["sgd", "best"].map((who) => context.number(`${who}.${name}`, digits, shown(digits))));
  const undecided = rows.map(([name]) => ["sgd", "best"].map((who) => tied[name] && tiedCount(context, `${who}.${tied[name]}`)));
  const names = rows.map(([name]) => context.t(`row.${name}`, { size: sizes[name] }));
  const both = (i) => [0, 1].map((who) => [cells[i][who], undecided[i][who]]);
  const node = makeTable(context, [null, "sgd", "minimum"], rows.map((_, i) => [names[i], ...both(i)]));
  node.set = ({ problem }, now) => {
    rows.forEach(([name], i) => {
      cells[i][0].set(now[name]);
      if (problem.best) cells[i][1].set(problem.best[name]);
      else showNone(cells[i][1]);
      undecided[i].forEach((one, who) => one?.set(who ? problem.best?.[tied[name]] : now[tied[name]]));
    });
    sizes.correct.set(problem.rows.n);
    sizes.holdoutCorrect.set(problem.holdout.n);
  };
  return node;
}

/** Passes as text. */
function passesText(passes) {
  return String(Number(passes.toFixed(PASS_DIGITS)));
}

/** The sentence on both methods after the same number of passes: `set(run, now)`. */
function raceSentence(context) {
  const numbers = {
    passes: context.number("passes", 0, { show: passesText }),
    distance: context.number("distance", LOSS_DIGITS),
    newtonSteps: context.number("newton.steps", 0),
    newtonGap: context.number("newton.gap", LOSS_DIGITS),
  };
  const sentence = (key) => ({ key, node: el("p", {}, context.t(key, key === "race" ? numbers : {})) });
  const sentences = ["race", "race-start", "race-separated", "race-none"].map(sentence);
  const node = el("div", {}, sentences.map((one) => one.node));
  node.set = ({ problem: { minimum, best } }, now) => {
    const reached = minimum.history.filter(({ passes }) => passes <= now.x), last = reached.at(-1);
    const key = minimum.status === "separated" ? "race-separated" : !best ? "race-none" : last ? "race" : "race-start";
    for (const one of sentences) one.node.hidden = one.key !== key;
    if (key !== "race") {
      for (const number of Object.values(numbers)) number.set(null);
      return;
    }
    numbers.passes.set(now.x);
    numbers.distance.set(now.distance);
    numbers.newtonSteps.set(reached.length - 1);
    numbers.newtonGap.set(last.gap);
  };
  return node;
}

/** What the question asks: a button that trains without a penalty, and what came of it: `set(run, now)`. */
function overfittingTrial(context) {
  const go = context.button("trial", () => {
    const { state } = context;
    context.set({ strength: TRIAL.strength, steps: TRIAL.passes * stepsPerPass(imageCount(state), state.batch) });
  });
  const lowest = context.number("lowest.loss", LOSS_DIGITS), passes = context.number("lowest.passes", 0);
  const held = context.number("trial.holdoutLoss", LOSS_DIGITS);
  const result = el("p", {}, context.t("trial-result", { lowest, passes, held }));
  const node = el("div", {}, el("div", { class: "buttons" }, go), result);
  node.set = (run, now) => {
    result.hidden = now.x < 1;
    lowest.set(run.lowest.loss);
    passes.set(run.lowest.passes);
    held.set(now.holdoutLoss);
  };
  return node;
}

definePart({
  id: "training",
  defaults: { seed: 16, batch: 4, rate: 0.2, strength: 0.01, steps: 0, own: "", draft: EMPTY_IMAGE, label: "0", speed: "pass", summed: 1 },
  limits: {
    seed: [1, LARGEST_SEED], batch: [1, MOST_IMAGES], rate: [RATES[0], RATES.at(-1)], strength: [0, 1],
    steps: [0, MOST_PASSES * MOST_IMAGES], summed: [0, MOST_IMAGES],
  },
  choices: { label: ["0", "1", "2"], speed: ["step", "pass", "passes"] },
  repair(state) {
    const own = imagesAsText(imagesOfText(state.own).slice(0, MOST_OWN_IMAGES)), n = imageCount({ own });
    const batch = Math.min(Math.round(state.batch), n), steps = Math.min(Math.round(state.steps), MOST_PASSES * stepsPerPass(n, batch));
    const draft = pixelsOfText(state.draft) ? state.draft : EMPTY_IMAGE;
    return { own, batch, steps, draft, seed: Math.round(state.seed), summed: Math.round(state.summed) };
  },
  build(root, context) {
    const runs = new TrainingRuns(), pictures = new SeenPictures();
    const training = imageList(context, "p"), holdout = imageList(context, "q");
    const drawnCount = context.number("drawn-count", 0), all = context.number("image-count", 0), added = context.number("own-count", 0);
    const steps = context.number("steps", 0);
    const question = context.question({ key: "question", choices: ["a", "b", "c"], answer: "c" });
    const trial = overfittingTrial(context), losses = lossChart(context), gaps = gapChart(context);
    const table = comparisonTable(context), race = raceSentence(context);
    const weights = weightPictures(context, "weights", WEIGHT_DIGITS), best = weightPictures(context, "minimum", WEIGHT_DIGITS);
    const panel = gradientPanel(context);
    const ownLead = el("p", {}, context.t("lead-own", { n: all, own: added }));
    const bestFigure = el("figure", {}, el("h4", {}, context.t("minimum")), best);
    root.append(
      el("p", {}, context.t("lead", { n: drawnCount })),
      el("p", {}, context.t("lead-2")),
      ownLead,
      el("h3", {}, context.t("images-title")), training,
      el("h3", {}, context.t("holdout-title")), holdout,
      el("p", { class: "small quiet" }, context.t("cards-note")),
      seedButton(context, { label: "other-images", next: (seed) => (seed % LARGEST_SEED) + 1 }),
      el("h3", {}, context.t("draw-title")), drawingPanel(context, runs),
      el("h3", {}, context.t("train-title")), el("p", {}, context.t("objective-lead")),
      el("p", { class: "display" }, context.t("objective")),
      el("p", {}, context.t("objective-columns")), el("p", {}, context.t("train-lead")),
      trainingButtons(context, pictures), context.select({ value: "speed", label: "speed" }),
      el("div", { class: "training-sliders" }, batchSlider(context), listSlider(context, { value: "rate", list: RATES, label: "rate" }),
        listSlider(context, { value: "strength", list: STRENGTHS, label: "strength" })),
      el("p", { class: "small quiet" }, context.t("steps", { steps })),
      question, question.reveal(trial),
      el("div", { class: "columns" }, losses, gaps),
      el("p", {}, context.t("gap-meaning")), el("p", {}, context.t("newton-meaning")), race,
      el("details", {}, el("summary", {}, context.t("gap-formula-title")),
        el("p", {}, context.t("gap-formula")), el("p", {}, context.t("gap-bound"))),
      table, el("p", { class: "small quiet" }, context.t("table-note")),
      el("h3", {}, context.t("weights-title")), el("p", {}, context.t("weights-lead")),
      el("div", { class: "columns" }, el("figure", {}, el("h4", {}, context.t("sgd")), weights), bestFigure),
      panel,
    );
    context.onChange((state) => {
      const run = runs.of(state), now = run.now(), { problem } = run;
      drawnCount.set(DRAWN_IMAGES);
      const own = problem.images.length - DRAWN_IMAGES;
      all.set(own ? problem.images.length : null);
      added.set(own || null);
      ownLead.hidden = own === 0;
      steps.set(state.steps);
      pictures.set(training, problem.images, now.P);
      pictures.set(holdout, problem.holdoutImages, now.holdoutP);
      for (const one of [losses, gaps, table, race, trial]) one.set(run, now);
      pictures.set(weights, now.parameters);
      bestFigure.hidden = !problem.best;
      if (problem.best) pictures.set(best, problem.best.parameters);
      else best.clear();
      pictures.set(panel, run, state);
    });
    context.summary(() => {
      const run = runs.of(context.state), now = run.now();
      return context.text("spoken", { passes: passesText(now.x), loss: numberText(now.loss, 3), held: numberText(now.holdoutLoss, 3) });
    });
  },
});
