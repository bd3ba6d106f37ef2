"""Outputs are whole, never take another's place unasked, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
from pathlib import Path

import pytest

from fairseq_littlebird import output
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.output import whole_file, whole_folder


def write(folder: Path, text: str, names=("a",), overwrite=False, meanwhile=lambda: None) -> None:
    with whole_folder(folder, names, overwrite) as new:
        (new / "a").write_text(text)
        meanwhile()


def killed_in(path: Path, step=lambda folder: None) -> Path:
    """What a process leaves that is killed while it fills ``path``."""
    child = os.fork()
    if not child:
        with whole_folder(path, ["a"], overwrite=True) as new:
            (new / "a").write_text("half")
            step(new.parent)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = path.parent.glob(f".{path.name}.unfinished-*")
    return left


@pytest.mark.parametrize("there", [False, True])
def test_the_slower_of_two_folders_says_so(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with pytest.raises(UserError, match="out: .*--overwrite"):
        write(out, "slow", meanwhile=lambda: write(out, "quick"))
    assert (out / "a").read_text() == "quick" and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("links", [True, False])
def test_the_slower_of_two_files_says_so(tmp_path, links, monkeypatch):
    if not links:

        def link(*_):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", link)
    path = tmp_path / "text"
    with pytest.raises(UserError, match="text: the output file appeared while"), whole_file(path) as slow:
        slow.write_text("slow")
        with whole_file(path) as quick:
            quick.write_text("quick")
    assert path.read_text() == "quick" and os.listdir(tmp_path) == ["text"]


def test_a_file_that_appears_at_a_folders_place_stays(tmp_path):
    with pytest.raises(UserError, match="appeared"):
        write(tmp_path / "out", "new", meanwhile=lambda: (tmp_path / "out").write_text("mine"), overwrite=True)
    assert (tmp_path / "out").read_text() == "mine" and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_many_at_once_one_stays_whole(tmp_path, overwrite):
    start, failed = threading.Barrier(12), []

    def work(number: int) -> None:
        try:
            write(tmp_path / "out", str(number), overwrite=overwrite, meanwhile=start.wait)
        except UserError:
            failed.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == (0 if overwrite else 11)
    assert int((tmp_path / "out" / "a").read_text()) not in failed and os.listdir(tmp_path) == ["out"]


def test_what_is_the_users_own_stays_also_if_it_came_meanwhile(tmp_path):
    out = tmp_path / "out"
    write(out, "first")
    with pytest.raises(UserError, match=f"^{out}: .* mine"):
        write(out, "second", overwrite=True, meanwhile=(out / "mine").touch)
    assert sorted(os.listdir(out)) == ["a", "mine"] and (out / "a").read_text() == "first"
    assert os.listdir(tmp_path) == ["out"]


def test_what_a_killed_command_left_is_removed_and_named(tmp_path, capfd):
    left = killed_in(tmp_path / "out")
    write(tmp_path / "other", "new")
    assert os.listdir(tmp_path) == ["other"]
    assert re.fullmatch(f"{re.escape(str(left))}: .*removed\n", capfd.readouterr().err)


def test_what_a_living_command_is_at_stays(tmp_path, capfd):
    write(tmp_path / "out", "slow", meanwhile=lambda: write(tmp_path / "other", "quick"))
    assert (tmp_path / "out" / "a").read_text() == "slow" and not capfd.readouterr().err


def test_a_users_hidden_folder_is_no_leftover(tmp_path):
    for name in (".out.12345678", ".out.unfinished-1", ".mine"):
        (tmp_path / name).mkdir()
    (tmp_path / ".out.unfinished-12345678").touch()
    write(tmp_path / "out", "new")
    assert len(os.listdir(tmp_path)) == 5


@pytest.mark.parametrize("newer", [False, True])
def test_killed_between_the_two_renames_of_overwriting(tmp_path, newer, capfd):
    out = tmp_path / "out"
    write(out, "first")
    killed_in(out, lambda folder: out.rename(folder / "old"))
    if newer:
        out.mkdir()
        (out / "a").write_text("newer")
    with pytest.raises(UserError, match="not empty"):  # as it is back
        output.remove_leftovers(tmp_path)
        write(out, "second")
    assert (out / "a").read_text() == ("newer" if newer else "first") and os.listdir(tmp_path) == ["out"]


def test_half_a_file_of_the_name_old_does_not_come_back(tmp_path):
    child = os.fork()
    if not child:
        with whole_file(tmp_path / "old") as new:
            new.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    output.remove_leftovers(tmp_path)
    assert not os.listdir(tmp_path)


def test_without_locks_a_leftover_is_named_and_stays(tmp_path, monkeypatch, capfd):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks here")

    left = killed_in(tmp_path / "out")
    monkeypatch.setattr("fcntl.flock", flock)
    write(tmp_path / "out", "new")
    assert left.exists() and capfd.readouterr().err.startswith(f"{left}: ")
