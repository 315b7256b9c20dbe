// One training run of the part: images, stochastic gradient descent with its history, and the minimum.

const MOST_PASSES = 2000;
const MOST_OWN_IMAGES = 12;
const CLASS_COUNT = IMAGE_CLASSES.length;

/** Steps of one pass over n rows. */
function stepsPerPass(n, batch) {
  return Math.ceil(n / batch);
}

/** Everything about the training images that does not depend on the steps taken. */
class TrainingProblem {
  constructor({ seed, own, strength }) {
    const drawn = drawnImages(seed);
    this.strength = strength;
    this.images = [...drawn.training, ...imagesOfText(own)];
    this.holdoutImages = drawn.holdout;
    this.rows = rowsOfImages(this.images, IMAGE_PIXELS, CLASS_COUNT);
    this.holdout = rowsOfImages(this.holdoutImages, IMAGE_PIXELS, CLASS_COUNT);
    this.minimum = newtonMinimum(this.rows, strength);
    const last = this.minimum.history.at(-1);
    /** Parameters and objective of the minimum; null where there is none, or none that is certified. */
    this.best = this.minimum.status === "converged" ? this.measure(last.parameters) : null;
    /** The greatest lower bound of the objective: without a penalty, separated classes have the infimum 0. */
    this.least = this.best ? this.best.value : this.minimum.status === "separated" ? 0 : NaN;
    if (this.best) this.best.bound = last.gap;
  }

  /** The numbers of parameters. */
  measure(parameters) {
    const train = predictRows(this.rows, parameters), held = predictRows(this.holdout, parameters);
    return {
      parameters, P: train.P, holdoutP: held.P, loss: train.loss, holdoutLoss: held.loss, correct: train.correct,
      holdoutCorrect: held.correct, tied: train.tied, holdoutTied: held.tied, value: train.loss + ridgePenalty(parameters, this.strength),
    };
  }
}

/** Stochastic gradient descent on a problem, with a record after each pass. */
class TrainingRun {
  constructor(problem, state) {
    this.problem = problem;
    this.descent = new StochasticDescent(problem.rows, state);
    this.history = [];
    this.lowest = { loss: Infinity, passes: 0 };
    this.record();
  }

  /** Take steps until so many have been taken. */
  advance(steps) {
    while (this.descent.steps < steps) if (this.descent.step()) this.record();
  }

  /** Note losses and distance at the end of a pass. */
  record() {
    const { passes, parameters } = this.descent, { loss, holdoutLoss, value } = this.problem.measure(parameters);
    this.history.push({ x: passes, loss, holdoutLoss, distance: value - this.problem.least });
    if (holdoutLoss < this.lowest.loss) this.lowest = { loss: holdoutLoss, passes };
  }

  /** The numbers after the steps taken. */
  now() {
    const { parameters, passes, at } = this.descent, { problem } = this, numbers = problem.measure(parameters);
    numbers.bound = certifiedGap(problem.rows, parameters, problem.strength).bound;
    numbers.distance = numbers.value - problem.least;
    numbers.x = passes + at / problem.rows.n;
    return numbers;
  }
}

/** The run of a state; those of the last state are continued where they can be. */
class TrainingRuns {
  constructor() {
    this.problemKey = this.runKey = "";
  }

  of(state) {
    const problemKey = [state.seed, state.own, state.strength].join(" ");
    if (problemKey !== this.problemKey) this.problem = new TrainingProblem(state);
    const runKey = [problemKey, state.batch, state.rate].join(" ");
    if (runKey !== this.runKey || this.run.descent.steps > state.steps) this.run = new TrainingRun(this.problem, state);
    Object.assign(this, { problemKey, runKey });
    this.run.advance(state.steps);
    return this.run;
  }
}
