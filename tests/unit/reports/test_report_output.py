from pathlib import Path

import pytest

from reports.output import OutputError, json_text, output_folder, write_atomically


def write_and_fail(out: Path) -> None:
    with output_folder(out) as folder:
        (folder / "a.txt").write_text("half")
        raise RuntimeError


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with output_folder(out) as folder:
        (folder / "a.txt").write_text("a")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["a.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_folders_keep_their_files_apart_also_where_they_exist_already(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with output_folder(tmp_path / "out") as folder:
            for name in ("one", "two"):
                (folder / name).mkdir()
                (folder / name / "a.txt").write_text(f"{content} {name}")
    for name in ("one", "two"):
        assert (tmp_path / "out" / name / "a.txt").read_text() == f"second {name}"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        write_and_fail(out)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_earlier_files_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError):
        write_and_fail(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "before"
    with output_folder(tmp_path) as folder:
        (folder / "a.txt").write_text("after")
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"a.txt": "after", "mine.txt": "mine"}


def test_a_file_in_the_way_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match="choose another place"), output_folder(out):
            pytest.fail("the work began")


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / "missing" / "a.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"a": float("nan")})
