"""What does the picture show? Weights as pictures, sets of classes for doubtful pictures, and labels to check.

    python examples/pictures.py --digits digits     # writes the digits of scikit-learn as PNG files into a folder
    python examples/pictures.py digits              # a folder with a folder of pictures for each class
    python examples/pictures.py mnist.npz --rows 12000 --strength 1e-3

docs/examples/pictures.md explains the output.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa

from softreg import (
    LabelAudit,
    PredictionSets,
    TableClassifier,
    TableError,
    coverage,
    entropy,
    label_audit,
    read_table,
    split_rows,
)
from softreg.probability import log_loss, wilson_interval
from softreg.splits import stratified_folds

SHOWN = 10
GREY_VALUES_OF_DIGITS = 16
WEIGHT_COLOURS = ("#b8500c", "#ffffff", "#1461a8")  # those of the report: negative orange, positive blue


def main() -> None:
    options = parse_arguments()
    if options.digits:
        write_digits(options.digits)
        return
    table = read_table(options.pictures)
    if "file" not in table.column_names:  # pictures of an array
        table = table.append_column("file", [[f"picture {row}" for row in range(table.num_rows)]])
    if options.rows and options.rows < table.num_rows:
        table = table.take(np.sort(np.random.default_rng(0).choice(table.num_rows, options.rows, replace=False)))
    classes, y = np.unique(np.array(table["label"]), return_inverse=True)
    rest, new = split_rows(y, test_size=0.25, seed=0)
    train, held_out = (rest[part] for part in split_rows(y[rest], test_size=1 / 3, seed=0))
    changed = np.random.default_rng(1).choice(len(y), options.flip, replace=False)
    y[changed] = (y[changed] + 1) % len(classes)
    table = table.set_column(table.column_names.index("label"), "label", [classes[y].astype(str)])
    print(f"{len(y):,} pictures: {len(train):,} to train on, {len(held_out):,} held out for the sets, {len(new):,} new")

    model = TableClassifier("label", drop="file", strength=options.strength).fit(table.take(train))
    P_held_out, P = (model.predict_proba(table.take(rows)) for rows in (held_out, new))
    correct = P.argmax(axis=1) == y[new]
    print(f"strength {model.model_.strength:g}; new pictures: accuracy {share(correct)}, ", end="")
    print(f"log loss {log_loss(P, y[new]):.3f} nats")
    sets = PredictionSets(options.level).fit(P_held_out, y[held_out]).predict(P)
    print_sets(sets, y[new], correct, options.level)
    doubtful = np.lexsort((-entropy(P), -sets.sum(axis=1)))[:SHOWN]  # most classes first, then largest entropy
    print("\nThe most doubtful ones")
    for i in doubtful[:5]:
        names = ", ".join(classes[sets[i]].astype(str))
        print(f"  {table['file'][new[i]].as_py():22} one of {names}; its label is {classes[y[new[i]]]}")

    audit = label_audit(out_of_fold(table, y, model.model_.strength), y)
    print_suspects(audit, table, classes)
    if options.flip:
        found = np.isin(audit.order[: options.flip], changed).sum()
        print(f"  {found} of the {options.flip} changed labels are among the first {options.flip}")
    draw(options.output, model, table, classes, new[doubtful], audit.order[:SHOWN])
    print(f"\n{options.output}: weights, doubtful pictures, and labels to check")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="?", help="a folder with a folder of pictures for each class, or a .npz file")
    parser.add_argument("--digits", type=Path, help="write the digits of scikit-learn into this folder, and end")
    parser.add_argument("--rows", type=int, help="number of pictures, drawn at random; all without it")
    parser.add_argument("--strength", default="auto", type=lambda text: text if text == "auto" else float(text))
    parser.add_argument("--level", type=float, default=0.99, help="least probability that a set contains the label")
    parser.add_argument("--flip", type=int, default=0, help="number of labels to change first, which are to be found")
    parser.add_argument("--output", default="pictures.png")
    options = parser.parse_args()
    if (options.pictures is None) == (options.digits is None):
        parser.error("name the pictures, or --digits and a new folder")
    return options


def write_digits(folder: Path) -> None:
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits().images, load_digits().target
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        grey = np.uint8(255 - image * (255 / GREY_VALUES_OF_DIGITS))  # black ink on white paper
        Image.fromarray(grey).save(folder / str(label) / f"{i:04}.png")
    print(f"{len(images):,} pictures in {len(set(labels))} folders of {folder}")


def out_of_fold(table: pa.Table, y: np.ndarray, strength: float) -> np.ndarray:
    """Return the probabilities of each picture by a model that was trained without its fold."""
    P = np.zeros((len(y), y.max() + 1))
    for train, test in stratified_folds(y, 5, seed=0):
        P[test] = (
            TableClassifier("label", drop="file", strength=strength)
            .fit(table.take(train))
            .predict_proba(table.take(test))
        )
    return P


def share(hits: np.ndarray) -> str:
    x = wilson_interval(hits.sum(), len(hits))
    return f"{x.value:.1%} ({x.low:.1%} to {x.high:.1%})"


def print_sets(sets: np.ndarray, y: np.ndarray, correct: np.ndarray, level: float) -> None:
    sizes = sets.sum(axis=1)
    inside = sets[np.arange(len(y)), y]
    print(
        f"\nSets of classes that contain the label with a probability of {level:.0%}: coverage {coverage(sets, y):.1%}"
    )
    print("  classes in the set   pictures   label in the set             most probable class is right")
    for size, rows in (("one", sizes == 1), ("two", sizes == 2), ("more", sizes > 2)):
        if rows.any():
            print(f"  {size:20} {rows.sum():8,}   {share(inside[rows]):28} {share(correct[rows])}")


def print_suspects(audit: LabelAudit, table: pa.Table, classes: np.ndarray) -> None:
    print("\nLabels to check, of all pictures")
    for row in audit.order[:5]:
        label, better = classes[audit.given[row]], classes[audit.suggested[row]]
        print(f"  {table['file'][row].as_py():22} label {label}, rather {better}: suspicion {audit.suspicion[row]:.2f}")


def draw(output: str, model: TableClassifier, table: pa.Table, classes, doubtful, suspects) -> None:
    """Draw the weights of the classes, the doubtful pictures and those whose labels are to be checked."""
    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("weights", WEIGHT_COLOURS)
    weights = model.model_.coef_
    side = int(np.sqrt(weights.shape[1]))
    limit = np.abs(weights).max()
    figure, axes = pyplot.subplots(3, SHOWN, figsize=(SHOWN, 3.6), squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for k, axis in enumerate(axes[0, : len(classes)]):
        axis.imshow(weights[k].reshape(side, side), cmap=colours, vmin=-limit, vmax=limit)
        axis.set_title(classes[k])
    for line, rows in zip(axes[1:], (doubtful, suspects), strict=True):
        for axis, row in zip(line, rows, strict=False):
            axis.imshow(np.array(table["image"][row].as_py()).reshape(side, side), cmap="grey", vmin=0, vmax=255)
            axis.set_title(str(table["label"][row]), fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(output, dpi=80)


if __name__ == "__main__":
    try:
        main()
    except TableError as error:
        raise SystemExit(str(error)) from None
