"""Several workers, and what can happen to them: nothing is lost, nothing differs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import torch

import fairseq_littlebird

STILL = ["--dropout", "0", "--attention-dropout", "0", "--disable-validation"]
NOISY = ["--dropout", "0.1", "--save-interval-updates", "4", "--disable-validation"]
UPDATES = 20  # over two epochs and a bit of the tiny data


def weights(folder, name="checkpoint_last.pt"):
    return torch.load(folder / name, weights_only=True)["model"]


def losses(text):
    """By update; of what is printed twice, as after a restart, the later."""
    found = re.findall(r'"loss": "(-?[\d.]+)".*?"num_updates": "(\d+)"', text)
    return {int(updates): loss for loss, updates in found}


def finished(run, status=0):
    run.wait(timeout=600)
    text = run.log.read_text()
    assert run.returncode == status, text[-4000:]
    return text


def wait_for(run, updates):
    """Until so many updates are logged."""
    end = time.monotonic() + 300
    while f'"num_updates": "{updates}"' not in run.log.read_text():
        assert run.poll() is None and time.monotonic() < end, run.log.read_text()[-4000:]
        time.sleep(0.02)


def children(pid):
    """The processes that a process started, by their numbers."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(number) for number in found.split()]


@pytest.fixture(scope="module")
def straight(train, tmp_path_factory):
    """A run that nothing interrupts: its weights and its losses."""
    folder = tmp_path_factory.mktemp("straight")
    done = train("recurring_span_selection", folder, UPDATES, *NOISY)
    return weights(folder), losses(done.stdout + done.stderr)


def test_two_workers_equal_one_with_twice_the_batches(train, launch, tmp_path):
    """By torchrun; of every task in test_workers.py."""
    task = "recurring_span_selection"
    done = train(task, tmp_path / "one", UPDATES, *STILL, "--update-freq", 2)
    text = finished(launch(task, tmp_path / "two", UPDATES, *STILL))
    assert losses(text) == losses(done.stdout + done.stderr) and len(losses(text)) == UPDATES
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-6)


def test_a_worker_without_data_left_where_splits_are_validated(launch, tmp_path):
    """Three batches of two workers: the second trains on fairseq's dummy batch, which validation has left there."""
    more = ["--dropout", 0, "--attention-dropout", 0, "--no-save"]
    text = finished(launch("question_answering", tmp_path / "two", 4, *more))
    assert len(losses(text)) == 4 and "exact_match" in text


def test_plain_fairseq_train_under_torchrun_is_one_line(fairseq, tiny, commands, tmp_path):
    package = os.path.dirname(fairseq_littlebird.__file__)
    words = [commands / "torchrun", "--no-python", "--nproc_per_node=2", commands / "fairseq-train", "text"]
    words += ["--task", "masked_lm", "--arch", "littlebird_tiny", "--user-dir", package, "--cpu", "--batch-size", 8]
    environment = os.environ | {"PYTHONPATH": os.path.dirname(package), "OMP_NUM_THREADS": "1"}
    words += ["--save-dir", tmp_path / "saved", "--max-update", 2]
    done = subprocess.run([*map(str, words)], cwd=tiny, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and not (tmp_path / "saved" / "checkpoint_last.pt").exists()
    assert "2 workers" in done.stderr and "littlebird-launch" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_the_same_command_goes_on(number, launch, straight, tmp_path):
    anew = {"new_interpreter": number == signal.SIGTERM}
    run = launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1, **anew)
    wait_for(run, 3)
    run.send_signal(number)
    stopped = finished(run, status=128 + number)
    at = int(re.search(r"saving after (\d+) updates", stopped)[1])
    assert 3 <= at < UPDATES and (tmp_path / "checkpoint_last.pt").exists()
    done = finished(launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1))
    assert min(losses(done)) == at + 1  # not one update is lost
    same(straight, weights(tmp_path), losses(stopped) | losses(done))


def test_a_signal_while_workers_meet(launch, tmp_path):
    """The second of the two never comes."""
    own = ["--distributed-world-size", 2, "--distributed-rank", 0]
    own += ["--distributed-init-method", f"file://{tmp_path}/meeting"]
    run = launch("recurring_span_selection", tmp_path / "saved", UPDATES, *own, workers=1)
    end = time.monotonic() + 60
    while "waits for the others" not in run.log.read_text():
        assert run.poll() is None and time.monotonic() < end, run.log.read_text()[-4000:]
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    run.wait(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM
    assert run.log.read_text().endswith("littlebird-launch: ended by SIGTERM\n")


def same(straight, found, printed):
    wanted, series = straight
    assert printed == series
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name


def test_killed_at_once(launch, straight, tmp_path):
    run = launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1)
    wait_for(run, 6)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    before = losses(run.log.read_text())
    done = finished(launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1))
    # a checkpoint every four updates, and at epochs' ends
    assert max(before) - 4 < min(losses(done)) <= max(before) + 1
    same(straight, weights(tmp_path), before | losses(done))


def test_going_on_at_an_epochs_end(launch, straight, tmp_path):
    """There fairseq forgets its meters and the digits they print with, and here no span recurs in the next batch."""
    first = losses(finished(launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, "--max-epoch", 2, workers=1)))
    done = losses(finished(launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1)))
    assert min(done) == max(first) + 1 < UPDATES and done[min(done)] == "0"
    same(straight, weights(tmp_path), first | done)


def test_a_full_disk(launch, straight, tmp_path):
    """Files may grow no larger than half a checkpoint: what is being written is cut short."""
    first = launch("recurring_span_selection", tmp_path, 8, *NOISY, workers=1)
    finished(first)
    size = (tmp_path / "checkpoint_last.pt").stat().st_size // 2048  # in KiB
    limited = ("bash", "-c", f'ulimit -f {size}; exec "$@"', "limited")
    cut = launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1, before=limited)
    cut.wait(timeout=300)
    assert cut.returncode not in (0, None)
    shutil.copyfile(tmp_path / "checkpoint_last.pt", tmp_path / "checkpoint_1_8.pt")
    os.truncate(tmp_path / "checkpoint_last.pt", 1000)  # as a copy on a full disk leaves it
    done = finished(launch("recurring_span_selection", tmp_path, UPDATES, *NOISY, workers=1))
    assert min(losses(done)) == 9
    same(straight, weights(tmp_path), losses(first.log.read_text()) | losses(done))


def test_two_workers_stop_together_and_go_on(launch, launch_pair, tmp_path):
    """Told once through torchrun, once by a worker that is killed."""
    for run in launch_pair("recurring_span_selection", tmp_path / "straight", UPDATES, *NOISY):
        finished(run)
    run = launch("recurring_span_selection", tmp_path / "broken", UPDATES, *NOISY)
    wait_for(run, 3)
    run.send_signal(signal.SIGTERM)
    run.wait(timeout=300)
    at = int(re.search(r"SIGTERM: saving after (\d+) updates", run.log.read_text())[1])
    run = launch("recurring_span_selection", tmp_path / "broken", UPDATES, *NOISY)
    wait_for(run, at + 2)
    os.kill(children(run.pid)[1], signal.SIGKILL)
    run.wait(timeout=300)
    assert run.returncode != 0
    for run in launch_pair("recurring_span_selection", tmp_path / "broken", UPDATES, *NOISY):
        finished(run)
    wanted, found = weights(tmp_path / "straight"), weights(tmp_path / "broken")
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name


@pytest.fixture
def hosts():
    """Two hosts of the test's own: network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2."""
    names = [f"littlebird{os.getpid()}-{n}" for n in (1, 2)]
    made = [["ip", "netns", "add", name] for name in names]
    made += [["ip", "-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1]]]
    for n, name in enumerate(names, 1):
        made += [["ip", "-n", name, "address", "add", f"10.77.0.{n}/24", "dev", "cable"]]
        made += [["ip", "-n", name, "link", "set", device, "up"] for device in ("lo", "cable")]
    try:
        for command in made:
            done = subprocess.run(command, capture_output=True, text=True) if shutil.which("ip") else None
            if done is None or done.returncode:
                pytest.skip(f"no network namespaces here: {done.stderr.strip() if done else 'ip is not installed'}")
        yield [("ip", "netns", "exec", name, "env", "GLOO_SOCKET_IFNAME=cable") for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


MEETINGS = {
    # both hosts have the name of the machine they are on, so each is told who it is
    "torchrun": "torchrun --no-python --nnodes=2 --nproc_per_node=1 --rdzv_backend=c10d --rdzv_id=pair "
    "--rdzv_endpoint=10.77.0.1:29511 --local_addr=10.77.0.{host} --rdzv_conf=is_host={first}",
    "by hand": "",
}


@pytest.mark.parametrize("meeting", MEETINGS)
def test_two_hosts_equal_two_workers(meeting, launch, launch_pair, hosts, commands, tmp_path):
    shared, updates = tmp_path / "shared", 6
    runs = []
    for rank, host in enumerate(hosts):
        first, *rest = MEETINGS[meeting].format(host=rank + 1, first=1 - rank).split() or [""]
        before = (*host, str(commands / first), *rest) if first else host
        own = ["--distributed-world-size", 2, "--distributed-rank", rank]
        own += ["--distributed-init-method", "tcp://10.77.0.1:29512"]
        more = [] if first else own
        runs.append(launch("recurring_span_selection", shared, updates, *STILL, *more, workers=1, before=before))
    runs += launch_pair("recurring_span_selection", tmp_path / "alone", updates, *STILL)
    for run in runs:
        finished(run)
    wanted, found = weights(tmp_path / "alone"), weights(shared)
    for name in wanted:
        assert torch.equal(found[name], wanted[name]), name
