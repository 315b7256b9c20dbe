// Part 6: ten questions about the five parts.

/** The place of the right choice of each question, and the part that answers it. */
const QUESTIONS = [
  { right: 1, part: "image" }, { right: 2, part: "image" }, { right: 0, part: "image" },
  { right: 1, part: "loss" }, { right: 0, part: "loss" },
  { right: 2, part: "training" }, { right: 1, part: "training" },
  { right: 1, part: "information" }, { right: 2, part: "information" },
  { right: 0, part: "calibration" },
];
const CHOICES = ["a", "b", "c"];
const NOT_ANSWERED = -1;

/** One question: three choices and, once the answers are checked, whether the chosen one is right, and why. */
function quizQuestion(context, place) {
  const key = `q${place + 1}`, { right, part } = QUESTIONS[place];
  const inputs = CHOICES.map((choice, c) => el("input", {
    type: "radio", name: `quiz-${place}`,
    onchange: () => context.set({ answers: context.state.answers.map((one, i) => (i === place ? c : one)) }),
  }));
  const labels = CHOICES.map((choice, c) => el("label", { class: "choice" }, inputs[c], el("span", {}, context.t(`${key}.${choice}`))));
  const verdict = el("strong", {});
  const link = partLink(part, context.t(`see.${part}`));
  const told = el("div", { class: "because", hidden: true }, el("p", {}, verdict, " ", context.t(`${key}.because`), " ", link));
  context.onChange(({ answers, checked }) => {
    inputs.forEach((input, c) => { input.checked = answers[place] === c; input.disabled = checked; });
    labels.forEach((label, c) => {
      label.classList.toggle("right", checked && c === right);
      label.classList.toggle("wrong", checked && c === answers[place] && c !== right);
    });
    told.hidden = !checked;
    setText(verdict, context.text(answers[place] === right ? "right" : answers[place] === NOT_ANSWERED ? "open" : "wrong"));
  });
  return el("fieldset", { class: "question" },
    el("legend", {}, `${place + 1}. `, context.t(key)),
    el("div", { class: "answers" }, labels), told);
}

definePart({
  id: "quiz",
  defaults: { answers: QUESTIONS.map(() => NOT_ANSWERED), checked: false },
  limits: { answers: [NOT_ANSWERED, CHOICES.length - 1] },
  repair: ({ answers }) => ({ answers: answers.map(Math.round) }),
  build(root, context) {
    const score = context.number("score", 0), answered = context.number("answered", 0);
    const check = context.button("check", () => context.set({ checked: true }));
    const result = el("p", {}, el("strong", {}, context.t("score", { score, all: String(QUESTIONS.length) })));
    root.append(
      el("p", {}, context.t("lead")),
      ...QUESTIONS.map((_, place) => quizQuestion(context, place)),
      el("p", {}, context.t("answered", { answered, all: String(QUESTIONS.length) })),
      el("p", {}, check),
      result);
    const count = ({ answers }) => answers.filter((one, i) => one === QUESTIONS[i].right).length;
    const countAnswered = ({ answers }) => answers.filter((one) => one !== NOT_ANSWERED).length;
    context.onChange((state) => {
      answered.set(countAnswered(state));
      score.set(count(state));
      result.hidden = !state.checked;
      check.disabled = state.checked;
    });
    context.summary(() => {
      const { state } = context, all = String(QUESTIONS.length);
      return state.checked ? context.text("score", { score: String(count(state)), all })
        : context.text("answered", { answered: String(countAnswered(state)), all });
    });
  },
});
