"""Folders of pictures: classes, sizes, colours, and files that are no pictures.

Cases from reports about Pillow, torchvision (ImageFolder) and Keras (image_dataset_from_directory).
"""

from __future__ import annotations

import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.tables.images.pictures import write_folder

from softreg.tables import TableClassifier, TableError, TableNote, open_table, read_table
from softreg.tables.images import image_folders
from softreg.tables.images.image_form import ImageForm, image_column


def pixels_of(path: Path, **options) -> np.ndarray:
    """The only picture of a path, as an array."""
    table = read_table(path, **options)
    _, form = image_column(table.schema)
    return np.array(table["image"][0].as_py()).reshape(form.shape)


def bomb(side: int) -> bytes:
    """A PNG file that declares side x side pixels of colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_folder_is_a_table_of_pixels_labels_and_paths(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    table = read_table(folder)
    assert table.column_names == ["image", "label", "file"]
    assert table["label"].to_pylist() == ["cat"] * 8 + ["dog"] * 8
    assert table["file"][0].as_py() == str(folder / "cat" / "00.png")
    assert image_column(table.schema) == ("image", ImageForm(12, 10, colour=False))
    with Image.open(folder / "dog" / "07.png") as image:
        assert table["image"][15].as_py() == np.asarray(image).ravel().tolist()


def test_only_the_requested_columns_are_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    batches = list(open_table(folder).batches(["file", "label"]))
    assert [batch.schema.names for batch in batches] == [["file", "label"]]


def test_classes_are_the_first_folders_in_any_script_and_depth(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p", classes=("cafe\u0301", "二"))  # NFD, as macOS writes it
    (folder / "二" / "2020" / "a").mkdir(parents=True)
    shutil.copy(folder / "二" / "00.png", folder / "二" / "2020" / "a" / "x.png")
    labels = read_table(folder)["label"].to_pylist()
    assert sorted(set(labels)) == ["caf\u00e9", "二"]
    assert labels.count("二") == 9


def test_an_empty_class_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    (folder / "bird").mkdir()
    with pytest.raises(TableError, match=r"The class folder '.*bird' has no picture in it"):
        read_table(folder)
    with pytest.warns(TableNote, match="'.*bird' has no pictures and is left out"):
        assert read_table(folder, bad_rows="skip").num_rows == 16
    assert next(open_table(folder).batches(["image"])).num_rows == 16  # predictions need no classes


def test_folders_of_parts_are_no_classes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p", classes=("train", "Validation"))
    with pytest.raises(TableError, match=r"are parts of a data set .* such as '.*train', and another one with --test"):
        read_table(folder)


def test_hidden_files_and_those_of_systems_are_ignored(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / "cat" / name).write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / ".git").mkdir()
    shutil.copy(folder / "cat" / "00.png", folder / "cat" / "_DSC0001.png")  # names of cameras begin so
    assert read_table(folder).num_rows == 17


def test_a_loose_picture_has_no_label(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    shutil.copy(folder / "cat" / "00.png", folder / "z.png")
    with pytest.warns(TableNote, match=r"z\.png': no label, as the file lies in no class folder"):
        assert read_table(folder)["label"][16].as_py() is None


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    (folder / "cat" / "loop").symlink_to("..")
    shutil.move(folder / "dog", tmp_path / "elsewhere")
    (folder / "dog").symlink_to(tmp_path / "elsewhere")
    assert read_table(folder)["label"].to_pylist() == ["cat"] * 8 + ["dog"] * 8
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(TableError, match=r"gone\.png' is a link to a file that does not exist"):
        read_table(folder)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="needs names of any bytes")
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    Path(os.fsdecode(os.fsencode(folder / "cat") + b"/caf\xe9.png")).write_bytes(
        (folder / "cat" / "00.png").read_bytes()
    )
    assert any(name.endswith(r"caf\xe9.png") for name in read_table(folder)["file"].to_pylist())


BROKEN = {
    "empty": (b"", "is empty"),
    "html": (b"<!DOCTYPE html><html>404</html>", "page of HTML"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of Git LFS"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC or AVIF"),
    "text": (b"hello", "is no picture in PNG"),
    "bomb": (bomb(60_000), r"declares 60,000 x 60,000 pixels, more than the limit of 100,000,000"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_or_skipped(tmp_path: Path, case: str) -> None:
    folder = write_folder(tmp_path / "p")
    content, message = BROKEN[case]
    (folder / "cat" / "bad.png").write_bytes(content)
    with pytest.raises(TableError, match=f"bad.png' {'.*' + message}"):
        read_table(folder)
    table = open_table(folder, bad_rows="skip")
    assert table.read().num_rows == 16
    [row] = table.skipped
    assert row.number == 9
    assert "bad.png" in row.text
    assert table.input_rows(np.array([7, 8])).tolist() == [8, 10]
    assert sum(batch.num_rows for batch in table.batches()) == 16


@pytest.mark.parametrize("kept", [20, 0.5, 0.9])
def test_a_truncated_picture(tmp_path: Path, kept: float) -> None:
    folder = write_folder(tmp_path / "p", size=(40, 40))
    content = (folder / "cat" / "00.png").read_bytes()
    (folder / "cat" / "bad.png").write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(TableError, match=r"bad\.png' is a damaged or truncated picture"):
        read_table(folder)
    assert read_table(folder, bad_rows="skip").num_rows == 16


def test_the_limit_of_pixels_can_be_set(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    with pytest.raises(TableError, match=r"--max-pixels 120 \(max_pixels=120 in Python\)"):
        read_table(folder, max_pixels=119)
    assert read_table(folder, max_pixels=120).num_rows == 16
    assert Image.MAX_IMAGE_PIXELS is not None  # the limit of Pillow is as before


def test_a_large_compressed_text_in_a_png(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    text = PngInfo()
    text.add_text("comment", "b" * 10_000_000, zip=True)
    Image.new("L", (12, 10)).save(folder / "cat" / "bad.png", pnginfo=text)
    with pytest.raises(TableError, match=r"bad\.png' is a damaged"):
        read_table(folder)


def test_no_picture_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "p" / "a").mkdir(parents=True)
    (tmp_path / "p" / "a" / "x.png").write_bytes(b"")
    with pytest.raises(TableError, match=r"None of the 1 file is a picture that can be read: .*is empty"):
        read_table(tmp_path / "p", bad_rows="skip")


def test_a_folder_of_more_tables_than_pictures_is_none_of_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n")
    assert read_table(tmp_path).num_rows == 2


def test_mixed_sizes_are_made_equal(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    Image.new("L", (30, 20)).save(folder / "cat" / "x.png")
    with pytest.warns(TableNote, match="2 sizes, from 12 x 10 to 30 x 20 pixels, and are read as images of 12 x 10"):
        assert read_table(folder)["image"].type.list_size == 120
    Image.new("L", (300, 200)).save(folder / "cat" / "y.png")
    with pytest.warns(TableNote, match="read as images of 32 x 32 pixels, grey"):
        assert read_table(folder)["image"].type.list_size == 1024
    assert read_table(folder, image_size="6x5", image_color="color")["image"].type.list_size == 90
    with pytest.raises(TableError, match="The size of images is '6y5'"):
        read_table(folder, image_size="6y5")
    with pytest.raises(TableError, match="The colours of images are 'red'"):
        read_table(folder, image_color="red")


def test_one_large_size_is_reduced_with_its_aspect(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p", size=(160, 100), n=2)
    with pytest.warns(TableNote, match="the size 160 x 100 pixels, and are read as images of 32 x 20 pixels"):
        read_table(folder)


GREY = np.tile(np.linspace(0, 255, 20).round(), (10, 1)).astype(np.uint8)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif"):
        Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / name)
        assert np.array_equal(pixels_of(tmp_path / name), GREY)


def test_sixteen_bits_of_a_pgm(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5\n20 10\n65535\n" + (GREY.astype(">u2") * 257).tobytes())
    assert np.array_equal(pixels_of(tmp_path / "a.pgm"), GREY)


COLOURS = np.dstack([GREY, GREY[:, ::-1], GREY])
WRITTEN = {
    "upper.JPG": {"format": "JPEG"},
    "progressive.jpg": {"progressive": True},
    "jpeg_as.png": {"format": "JPEG"},
    "apng.png": {"save_all": True, "append_images": [Image.fromarray(COLOURS[::-1])]},
    "lossless.webp": {"lossless": True},
    "lzw.tif": {"compression": "tiff_lzw"},
    "interlaced.gif": {"interlace": True},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_variants_of_formats(tmp_path: Path, name: str) -> None:
    Image.fromarray(COLOURS).save(tmp_path / name, **WRITTEN[name])
    read = pixels_of(tmp_path / name, image_color="colour").astype(int)
    assert np.abs(read - COLOURS).mean() < 12  # JPEG and palettes are lossy


def test_floats_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(TableError, match=r"a\.tif' cannot be used: its pixels are numbers of 32 bits"):
        read_table(tmp_path / "a.tif")


def test_transparent_pixels_lie_over_white(tmp_path: Path) -> None:
    alpha = np.dstack([np.zeros((10, 20, 3), np.uint8), GREY])
    Image.fromarray(alpha).save(tmp_path / "rgba.png")
    assert np.abs(pixels_of(tmp_path / "rgba.png", image_color="grey").astype(int) - (255 - GREY)).max() <= 1
    palette = Image.fromarray(np.zeros((10, 20), np.uint8)).convert("P")
    palette.save(tmp_path / "p.png", transparency=0)
    assert (pixels_of(tmp_path / "p.png") == 255).all()
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / "rgb.png", transparency=(0, 0, 0))
    assert (pixels_of(tmp_path / "rgb.png") == 255).all()


def test_palettes_of_greys_are_grey_and_others_colour(tmp_path: Path) -> None:
    Image.fromarray(GREY).convert("P").save(tmp_path / "grey.png")
    assert np.array_equal(pixels_of(tmp_path / "grey.png"), GREY)
    colours = np.zeros((10, 20, 3), np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).quantize(4).save(tmp_path / "red.gif")
    assert pixels_of(tmp_path / "red.gif")[0, 0].tolist() == [200, 0, 0]


def test_cmyk_of_a_printer(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 20, 4), np.uint8), "CMYK").save(tmp_path / "a.jpg")
    assert (pixels_of(tmp_path / "a.jpg") == 255).all()  # no ink


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((10, 20), value, np.uint8)) for value in (255, 0)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(TableNote, match="has several frames; the first is read"):
        assert (pixels_of(tmp_path / "a.gif") == 255).all()


def test_exif_orientation_is_applied_and_damage_is_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    for name in ("a.jpg", "a.png", "a.webp"):
        Image.fromarray(GREY).save(tmp_path / name, exif=exif, quality=100)
    assert pixels_of(tmp_path / "a.jpg").shape == (20, 10)
    turned = pixels_of(tmp_path / "a.png", image_size="10x20")
    assert np.array_equal(turned, np.rot90(GREY, -1))
    Image.fromarray(GREY).save(tmp_path / "b.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels_of(tmp_path / "b.jpg").shape == (10, 20)


def test_a_classifier_of_a_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    model = TableClassifier(strength=0.01).fit(str(folder))
    assert model.schema_.target == "label"
    assert model.classes_.tolist() == ["cat", "dog"]
    assert model.feature_names_out_[:2] == ("image[0]", "image[1]")
    model.save(tmp_path / "m.softreg")
    from softreg import load

    loaded = load(tmp_path / "m.softreg")
    assert loaded.schema_.image_form == ImageForm(12, 10, colour=False)
    Image.new("RGB", (300, 200), (255, 255, 255)).save(tmp_path / "new.jpg")
    assert loaded.predict([tmp_path / "new.jpg", folder / "cat" / "00.png"]).tolist() == ["dog", "cat"]
    flat = read_table(folder)
    assert np.array_equal(loaded.predict_proba(flat), model.predict_proba(str(folder)))


def test_batches_give_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "p", n=30)
    whole = TableClassifier(strength=0.01).fit(str(folder))
    monkeypatch.setattr("softreg.tables.io.image_readers.BATCH_BYTES", 120 * 7)
    parts = TableClassifier(strength=0.01).fit(str(folder), memory="low")
    assert np.allclose(whole.predict_proba(str(folder)), parts.predict_proba(str(folder)), atol=1e-5)


def test_an_archive_of_pictures_is_to_be_unpacked(tmp_path: Path) -> None:
    write_folder(tmp_path / "p")
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "p")
    with pytest.raises(TableError, match=r"a\.zip' is a zip archive of pictures; unpack it"):
        read_table(archive)


def test_a_picture_among_tables_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "p")
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(TableError, match=r"a\.csv' is no picture, and '.*00\.png' is one"):
        read_table([tmp_path / "a.csv", folder / "cat" / "00.png"])
    with pytest.raises(TableError, match=r"There is no file or folder '.*99\.png'"):
        read_table([folder / "cat" / "99.png"])


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "p")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(TableError, match=r"pip install 'softreg\[images\]'"):
        read_table(folder)


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", n=3)
    (folder / "cat" / "again").symlink_to("again")
    with pytest.raises(TableError, match=r"cat/again' is a link to a file that does not exist"):
        read_table(folder)
    assert read_table(folder, bad_rows="skip").num_rows == 6


def test_a_folder_removed_during_the_search_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "pictures", n=3)

    def removing(entry: os.DirEntry[str]) -> bool:
        shutil.rmtree(entry.path)
        return True

    monkeypatch.setattr(image_folders, "_is_folder", removing)
    with pytest.raises(TableError, match=r"The folder '.*(cat|dog)' cannot be read: No such file or directory"):
        image_folders.find_pictures(folder)


@pytest.mark.parametrize("change", ["removed", "emptied"])
def test_a_picture_that_changes_after_its_header_was_read(tmp_path: Path, change: str) -> None:
    folder = write_folder(tmp_path / "pictures", n=3)
    for skip in ("error", "skip"):
        table = open_table(folder, bad_rows=skip)
        (folder / "cat" / "01.png").unlink() if change == "removed" else (folder / "cat" / "01.png").write_bytes(b"")
        if skip == "skip":
            assert table.read().num_rows == 5
            assert [row.number for row in table.skipped] == [2]
            continue
        with pytest.raises(TableError, match=r"cat/01\.png' (does not exist|is empty)"):
            table.read()
        shutil.copy(folder / "cat" / "00.png", folder / "cat" / "01.png")


def test_folder_names_are_no_feature_beside_other_labels(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", classes=("cat", "dog", "owl"))
    pets = ["pet"] * 16 + ["bird"] * 8
    model = TableClassifier(strength=0.01).fit(folder, pets)
    assert ("label", "dropped", "label of the image") in model.schema_.describe()
    np.savez(tmp_path / "a.npz", X=np.arange(96).reshape(24, 2, 2), y=np.repeat([0, 1, 2], 8))
    arrays = TableClassifier(strength=0.01).fit(tmp_path / "a.npz", pets)
    assert ("label", "dropped", "label of the image") in arrays.schema_.describe()
    asked = TableClassifier(strength=0.01, category="label").fit(folder, pets)
    assert {name: kind for name, kind, _ in asked.schema_.describe()}["label"] == "category"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(folder).tolist() == asked.predict(folder).tolist() == pets
        assert model.predict(folder / "owl").tolist() == ["bird"] * 8


def test_a_classifier_names_the_wrong_kind_of_input(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures")
    rows = pa.table({"months": [1, 2, 30, 40] * 10, "left": ["no", "no", "yes", "yes"] * 10})
    images, table = TableClassifier(strength=0.01).fit(folder), TableClassifier("left", strength=0.01).fit(rows)
    with pytest.raises(
        TableError, match=r"pictures' holds images, and the model was trained on a table \(columns 'mon"
    ):
        table.predict_proba(folder)
    with pytest.raises(TableError, match="The input holds images, and the model was trained on a table"):
        table.predict_proba(read_table(folder))
    with pytest.raises(
        TableError, match=r"is a table .*'months', 'left'.*, and the model was trained on images of 12 x 10"
    ):
        images.predict_proba(rows)
    pixels = read_table(folder).select(["image"]).cast(pa.schema([("image", pa.list_(pa.uint8()))]))
    assert images.predict_proba(pixels).shape[0] == pixels.num_rows  # lists of pixels are images of no stated form
