"""What other tests rest on: a program in a fork behaves as in an interpreter of its own; markers follow use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from helpers.markers import names_of
from helpers.processes import PACKAGE, environment_with
from helpers.stand_ins import StandIns

PROGRAM = """
import atexit, json, logging, os, signal, sys, threading, time
atexit.register(print, "at exit")
print(json.dumps([__name__, sys.argv[1:], os.getcwd(), os.environ["KIND"], sys.path[0], sys.stdin.read()]))
print([name for name in sys.modules if name.startswith(("fairseq_littlebird", "helpers"))])
print(logging.getLogger().handlers, logging.getLogger().level, signal.getsignal(signal.SIGINT))
print([thread.name for thread in threading.enumerate()], sys.stdout.line_buffering, sys.stdout.encoding)
threading.Timer(0.2, print, ["from a thread"]).start()
sys.stderr.write("told\\n")
kind = os.environ["KIND"]
if kind == "line": sys.exit("a line")
if kind == "status": sys.exit(3)
if kind == "hook": sys.excepthook = lambda kind, error, trace: print("hook", error)
if kind == "hard": os._exit(4)
if kind == "signal": os.kill(os.getpid(), signal.SIGKILL)
if kind in ("hook", "error"): raise ValueError("odd")
"""


@pytest.mark.parametrize("kind", ["end", "line", "status", "error", "hook", "hard", "signal"])
def test_a_fork_behaves_as_a_new_interpreter(forks, tmp_path, kind):
    (tmp_path / "program.py").write_text(PROGRAM)
    words, environment = [sys.executable, tmp_path / "program.py", "--a", "b c"], environment_with({"KIND": kind})
    fork, new = (forks.run(words, tmp_path, environment, new_interpreter=new) for new in (False, True))
    assert (fork.returncode, fork.stdout) == (new.returncode, new.stdout)
    assert fork.stderr.splitlines()[-1:] == new.stderr.splitlines()[-1:]
    assert ("Traceback" in fork.stderr) == (kind == "error")


def test_a_module_runs_and_programs_leave_nothing_behind(forks, tmp_path, monkeypatch):
    (tmp_path / "kept.py").write_text("import sys, os; print('again' in os.environ, hasattr(sys, 'again'))\n"
                                      "os.environ['again'] = ''; sys.again = 1; os.chdir('/')")  # fmt: skip
    for _ in range(2):
        assert forks.run([sys.executable, "-m", "kept"], cwd=tmp_path).stdout == "False False\n"
    drawn = tmp_path / "drawn.py"
    drawn.write_text("import random, numpy; print(random.random(), numpy.random.rand())")
    one, other = (forks.run([sys.executable, drawn]).stdout.split() for _ in range(2))
    assert one[0] != other[0] and one[1] != other[1]


def test_a_program_that_runs_too_long_is_killed(forks, tmp_path):
    (tmp_path / "slow.py").write_text("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired) as stopped:
        forks.run([sys.executable, tmp_path / "slow.py"], timeout=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(stopped.value.stdout), signal.SIGTERM)
    assert forks.run([sys.executable, "-m", "this"], cwd=PACKAGE).returncode == 0  # and the next one runs


def test_a_script_runs_stand_ins(forks, tmp_path):
    """Commands, ``python FILE`` and ``python -c``, in pipes and in the background, each in a fork."""
    stand_ins = StandIns(forks, tmp_path / "bin")
    (tmp_path / "file.py").write_text("import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['KIND'])")
    code = "import sys; print('told', file=sys.stderr); sys.exit('fairseq' not in sys.modules or int(sys.argv[1]))"
    text = f"""
        littlebird-config-dir | tr / +
        cd "$1"
        KIND='a b' python file.py "x y" & wait $!
        python -c "{code}" 0 && echo good
        python -c "{code}" 3 || echo "status $?"
        python -c "import os; os.kill(os.getpid(), 9)" || echo "status $?"
        python -Ic "import sys; print('fairseq' in sys.modules)"
    """
    environment = environment_with({"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    words = ["bash", "-c", text, "script", tmp_path]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    stand_ins.close()
    folder, *lines = done.stdout.splitlines()
    assert folder.endswith("+configs") and lines == [
        f"['x y'] {tmp_path} a b", "good", "status 3", "status 137", "False"
    ]  # fmt: skip
    assert done.stderr == "told\n" * 2


def starts():
    return subprocess.run(["true"])


def test_markers_follow_the_functions_that_a_test_names():
    def within():
        return [starts() for _ in range(2)]

    assert "subprocess" in names_of(within)
    assert "subprocess" not in names_of(names_of)
