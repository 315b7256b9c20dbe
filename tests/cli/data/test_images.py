"""Images on the command line: folders, files and arrays."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tables.images.pictures import write_folder, write_idx


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pictures", n=40)


def train(run: Any, data: object, model: Path, *options: object) -> Any:
    return run("train", data, "--strength", "0.01", "--model", model, "--quiet", *options)


def test_a_folder_from_training_to_predictions(run: Any, folder: Path, tmp_path: Path) -> None:
    done = train(run, folder, tmp_path / "m.softreg")
    assert done.exit_code == 0, done.output
    assert "The target is 'label', the class of each image." in done.stderr
    assert "images of 12 x 10 pixels, grey" in done.stdout
    (tmp_path / "new").mkdir()
    shutil.copy(folder / "dog" / "03.png", tmp_path / "new" / "a.png")
    Image.new("RGB", (300, 200)).save(tmp_path / "new" / "b.jpg")  # another size and colour
    done = run("predict", tmp_path / "m.softreg", tmp_path / "new")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["file", "prediction", "cat", "dog"]
    assert [row[:2] for row in rows[1:]] == [
        [str(tmp_path / "new" / "a.png"), "dog"],
        [str(tmp_path / "new" / "b.jpg"), "cat"],
    ]
    same = run("predict", tmp_path / "m.softreg", tmp_path / "new" / "a.png", tmp_path / "new" / "b.jpg")
    assert same.stdout == done.stdout
    done = run("evaluate", tmp_path / "m.softreg", folder, "--report", tmp_path / "e.html")
    assert done.exit_code == 0, done.output
    assert "data:image/png" in (tmp_path / "e.html").read_text("utf-8")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_report_shows_pictures(run: Any, tmp_path: Path, mode: str) -> None:
    folder = write_folder(tmp_path / "pictures", n=40, mode=mode)
    shutil.copy(folder / "dog" / "00.png", folder / "cat" / "99.png")
    done = train(run, folder, tmp_path / "m.softreg", "--report", tmp_path / "r.html", "--test-size", "0.5")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "r.html").read_text("utf-8")
    assert page.count('aria-label="Coefficients of class') == (2 if mode == "L" else 6)
    assert "img-src data:" in page
    shown = re.findall(r'<img alt="Row (\d+), observed (\w+)"[^>]*base64,([^"]+)"', page)
    assert len(shown) >= 8
    files = sorted(path for path in folder.rglob("*.png"))
    for number, label, data in shown:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture, Image.open(files[int(number) - 1]) as original:
            assert np.array_equal(np.asarray(picture), np.asarray(original))
        assert files[int(number) - 1].parent.name == label
        assert f"{label}/{files[int(number) - 1].name}" in page
    assert len(page) < 1_000_000


def test_a_report_of_tables_allows_no_images(run: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(60)))
    done = train(run, tmp_path / "t.csv", tmp_path / "m.softreg", "--target", "y", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    assert "img-src" not in (tmp_path / "r.html").read_text("utf-8")


def test_bad_files_are_named_or_skipped(run: Any, folder: Path, tmp_path: Path) -> None:
    assert train(run, folder, tmp_path / "m.softreg").exit_code == 0
    (folder / "cat" / "zero.png").write_bytes(b"")
    (folder / "dog" / "page.jpg").write_bytes(b"<html>404</html>")
    (folder / "empty").mkdir()
    done = train(run, folder, tmp_path / "n.softreg")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "zero.png' is empty (0 bytes)" in done.stderr
    assert "--bad-rows skip" in done.stderr
    done = train(run, folder, tmp_path / "n.softreg", "--bad-rows", "skip")
    assert done.exit_code == 0, done.output
    assert re.search(r"2 rows could not be read and were left out: row 41 \('.*zero\.png' is empty", done.stderr)
    assert "empty' has no pictures and is left out" in done.stderr
    done = run("predict", tmp_path / "m.softreg", folder, "--bad-rows", "skip")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["file", "row", "prediction", "cat", "dog"]
    assert len(rows) == 81
    assert rows[41][:2] == [str(folder / "dog" / "00.png"), "42"]
    assert "Traceback" not in done.stderr


def test_images_without_labels(run: Any, folder: Path, tmp_path: Path) -> None:
    done = train(run, folder / "cat", tmp_path / "m.softreg")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "The images have no labels. Put the pictures of each class into a folder" in done.stderr
    done = run("train", folder / "cat" / "00.png", "--target", "label")
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_a_table_needs_a_target(run: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,a\n2,b\n")
    done = run("train", tmp_path / "t.csv")
    assert done.exit_code == 2
    assert "Missing option '--target'" in done.stderr


def test_the_form_of_a_model_is_kept(run: Any, folder: Path, tmp_path: Path) -> None:
    done = train(run, folder, tmp_path / "m.softreg", "--image-size", "6x5", "--image-color", "color")
    assert "images of 6 x 5 pixels, colour" in done.stdout
    assert run("evaluate", tmp_path / "m.softreg", folder).exit_code == 0
    done = run("predict", tmp_path / "m.softreg", folder, "--image-size", "9x9")
    assert done.exit_code == 2
    assert "was trained on images of 6 x 5 pixels, colour" in done.stderr
    done = train(run, folder, tmp_path / "n.softreg", "--image-size", "0x5")
    assert done.exit_code == 2
    assert "expected width and height in pixels" in done.stderr
    assert "6 x 5 pixels, colour" in run("inspect", tmp_path / "m.softreg").stdout
    assert "6 x 5 pixels, colour" in run("card", tmp_path / "m.softreg").stdout


def test_arrays_with_a_part_for_the_test(run: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = (rng.integers(0, 90, (120, 6, 5)) + 70 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x_train=X[:90], y_train=y[:90], x_test=X[90:], y_test=y[90:])
    data = tmp_path / "a.npz"
    done = train(run, data, tmp_path / "m.softreg", "--test", f"{data}::test", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    assert "90 to train on, 30 in a.npz::test" in done.stdout
    assert 'alt="Row 1' in (tmp_path / "r.html").read_text("utf-8")
    whole = run("predict", tmp_path / "m.softreg", f"{data}::test").stdout
    assert whole.splitlines()[0] == '"prediction","0","1","2"'
    images = write_idx(tmp_path / "t10k-images-idx3-ubyte", X[90:])
    again = run("predict", tmp_path / "m.softreg", images).stdout
    assert [line.split(",")[0] for line in again.splitlines()] == [line.split(",")[0] for line in whole.splitlines()]
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", y[90:])
    assert run("evaluate", tmp_path / "m.softreg", images).exit_code == 0
    Image.fromarray(X[90]).save(tmp_path / "one.png")
    done = run("predict", tmp_path / "m.softreg", tmp_path / "one.png")
    assert "not used" not in done.stderr  # the column of paths is not one that the model lacks
    one = done.stdout.splitlines()[1].split(",")
    assert np.allclose([float(p) for p in one[2:]], [float(p) for p in whole.splitlines()[1].split(",")[1:]])


def test_several_tables_are_predicted_as_one(run: Any, tmp_path: Path) -> None:
    for name, rows in (("a", range(40)), ("b", range(40, 60))):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "".join(f"{i % 7},{'ab'[i % 7 > 3]}\n" for i in rows))
    train(run, tmp_path / "a.csv", tmp_path / "m.softreg", "--target", "y")
    done = run("predict", tmp_path / "m.softreg", tmp_path / "a.csv", tmp_path / "b.csv")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 61


@pytest.mark.parametrize("shape", [(60, 6, 5), (60, 30)])
def test_the_labels_of_the_data_are_not_those_of_the_test(run: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = (rng.integers(0, 90, (60, 6, 5)) + 100 * y[:, None, None]).astype(np.uint8).reshape(shape)
    for name, array in {"a": X, "classes": y, "images": X[::-1], "labels": y[::-1], "alone": X}.items():
        np.save(tmp_path / f"{name}.npy", array)
    options = (tmp_path / "a.npy", tmp_path / "m.softreg", "--labels", tmp_path / "classes.npy", "--test")
    done = train(run, *options, tmp_path / "images.npy")
    assert done.exit_code == 0, done.output
    assert re.search(r"held-out accuracy +100\.00%", done.stdout)
    done = train(run, *options, tmp_path / "alone.npy")
    assert (done.exit_code, done.stdout) == (2, "")


def test_several_folders_are_refused_with_the_reason(run: Any, folder: Path, tmp_path: Path) -> None:
    train(run, folder, tmp_path / "m.softreg")
    done = run("predict", tmp_path / "m.softreg", folder / "cat", folder / "dog")
    assert done.exit_code == 2
    assert "A folder of pictures is read alone" in done.stderr


def test_unreadable_pictures_of_the_test_are_listed(run: Any, folder: Path, tmp_path: Path) -> None:
    test = write_folder(tmp_path / "test", n=5)
    (test / "cat" / "02.png").write_bytes(b"")
    done = train(run, folder, tmp_path / "m.softreg", "--test", test, "--bad-rows", "skip")
    assert done.exit_code == 0, done.output
    assert "80 to train on, 9 in test" in done.stdout
    assert re.search(r"1 row could not be read and was left out: row 3 \('.*02\.png' is empty", done.stderr)


def test_paths_that_are_asked_for_are_a_feature(run: Any, folder: Path, tmp_path: Path) -> None:
    done = train(run, folder, tmp_path / "m.softreg", "--category", "file")
    assert done.exit_code == 0, done.output
    for command in ("predict", "evaluate"):
        done = run(command, tmp_path / "m.softreg", folder)
        assert done.exit_code == 0, done.output


def test_names_of_files_with_odd_characters(run: Any, folder: Path, tmp_path: Path) -> None:
    train(run, folder, tmp_path / "m.softreg")
    new = tmp_path / "new"
    new.mkdir()
    names = sorted(
        ["-dash.png", "a b.png", "it's.png", 'q"uote.png', "new\nline.png", "[a]*.png", "a::b.png", "ж😀.png"]
    )
    for name in names:
        shutil.copy(folder / "dog" / "00.png", new / name)
    sources: list[list[Path]] = [[new], [new / name for name in names]]
    for data in sources:
        rows = list(csv.reader(io.StringIO(run("predict", tmp_path / "m.softreg", *data).stdout, newline="")))
        assert [(row[0], row[1]) for row in rows[1:]] == [(str(new / name), "dog") for name in names]


@pytest.fixture
def both(run: Any, folder: Path, tmp_path: Path) -> Path:
    """A folder with a table, and a model of the table and one of the images."""
    rows = "".join(f"{i % 30},{'abc'[i % 3]},{'yes' if i % 30 > 12 else 'no'}\n" for i in range(90))
    (tmp_path / "t.csv").write_text("months,plan,left\n" + rows)
    assert train(run, tmp_path / "t.csv", tmp_path / "table.softreg", "--target", "left").exit_code == 0
    assert train(run, folder, tmp_path / "images.softreg").exit_code == 0
    return tmp_path


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_the_wrong_kind_of_input_is_named(run: Any, both: Path, command: str) -> None:
    done = run(command, both / "table.softreg", both / "pictures")
    assert (done.exit_code, done.stdout) == (2, "")
    said = "pictures' holds images, and table.softreg was trained on a table (columns 'months', 'plan')"
    assert said in done.stderr
    done = run(command, both / "images.softreg", both / "t.csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        "t.csv' is a table (columns 'months', 'plan', 'left'), and images.softreg was trained on images" in done.stderr
    )


def test_the_wrong_kind_of_a_test_is_named_before_the_fit(
    run: Any, both: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the model is fitted first")

    monkeypatch.setattr("softreg.tables.TableClassifier.fit", fail)
    done = train(run, both / "t.csv", both / "m.softreg", "--target", "left", "--test", folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pictures' holds images, and the model is trained on a table (columns 'months', 'plan')" in done.stderr
    done = train(run, folder, both / "m.softreg", "--test", both / "t.csv")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "t.csv' is a table (columns 'months', 'plan', 'left'), and the model is trained on images" in done.stderr


def test_the_title_of_a_report_on_images(run: Any, folder: Path, tmp_path: Path) -> None:
    train(run, folder, tmp_path / "m.softreg", "--report", tmp_path / "r.html")
    assert "<h1>Class of the images in pictures</h1>" in (tmp_path / "r.html").read_text("utf-8")
    run("evaluate", tmp_path / "m.softreg", folder, "--report", tmp_path / "e.html")
    assert "<h1>Class of the images in pictures</h1>" in (tmp_path / "e.html").read_text("utf-8")


def test_pictures_of_another_size_are_counted(run: Any, folder: Path, tmp_path: Path) -> None:
    train(run, folder, tmp_path / "m.softreg")  # 12 x 10 pixels
    (tmp_path / "new").mkdir()
    shutil.copy(folder / "dog" / "03.png", tmp_path / "new" / "a.png")
    assert "another size" not in run("predict", tmp_path / "m.softreg", tmp_path / "new").stderr
    Image.new("L", (120, 100)).save(tmp_path / "new" / "b.png")
    done = run("predict", tmp_path / "m.softreg", tmp_path / "new")
    assert "1 of 2 images has another size than the 12 x 10 pixels of the model, and is resized.\n" in done.stderr
    Image.new("L", (20, 30)).save(tmp_path / "new" / "c.png")
    done = run("predict", tmp_path / "m.softreg", tmp_path / "new")
    said = (
        "2 of 3 images have another size than the 12 x 10 pixels of the model, and are resized; 1 of them has another"
    )
    assert f"{said} proportion, and is also distorted." in done.stderr
    np.save(tmp_path / "a.npy", np.zeros((4, 3, 20, 30), dtype=np.uint8))
    done = run("predict", tmp_path / "m.softreg", tmp_path / "a.npy")
    assert "4 of 4 images have another size" in done.stderr
    assert "all of them have another proportion" in done.stderr


def test_wide_figures_scroll_at_a_readable_size(run: Any, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", n=40, classes=("cat", "dog", "owl"))
    train(run, folder, tmp_path / "m.softreg", "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "calc(var(--w) * 1.2px)" in page
    assert page.count('<figure class="wide">') == page.count('<div class="panels" ') >= 4
    for width, box in re.findall(r'<div class="panels" style="--w:([^"]*)"[^>]*><svg viewBox="([^"]*)"', page):
        assert box.split()[2] == width
    assert len(re.findall(r'<div class="panels" style="--w:[\d.]+"[^>]*><svg viewBox', page)) == page.count('"panels"')
