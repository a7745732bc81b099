"""Whole training runs in processes of their own, that can be killed.

A fork server imports the libraries once; a run then starts in a fraction of a second. Each run is
``tools/train.py``, or another script, with a command line and, when asked, with one of the
saboteurs below.
"""

import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = {base!r}
default_hooks = dict(
    checkpoint=dict(interval=1, by_epoch=False, max_keep_ckpts=3),
    explosion=dict(interval=1),
    broken_videos=dict(interval=1),
    throughput=None,
    reconstruction=None,
)
train_dataloader = dict(dataset=dict(data_root={data!r}))
{validation}
visualizer = dict(vis_backends=[])
{extra}
"""
VALIDATION = 'val_dataloader = dict(dataset=dict(data_root={data!r}))'
NO_VALIDATION = 'val_dataloader = val_cfg = val_evaluator = None'
DROP_PATH = 'model = dict(backbone=dict(drop_path_rate=0.5))'
os.environ.setdefault('OMP_NUM_THREADS', '1')  # the server must have no threads when it forks
_server = multiprocessing.get_context('forkserver')
_server.set_forkserver_preload(
    [f'mmmae_st.{name}' for name in ('engine', 'models', 'datasets', 'evaluation')]
    + ['matplotlib.pyplot', 'yapf.yapflib.yapf_api', 'scipy.optimize', 'scipy.stats']
)


class Run:
    """Processes of one run, their output and their end."""

    def __init__(self, processes: list[BaseProcess], logs: list[Path]) -> None:
        self.processes = processes
        self.logs = logs

    def wait(self, timeout: float = 120.0) -> list[int]:
        """Exit codes of the processes; minus the signal for those killed."""
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(end - time.monotonic(), 0))
        late = [process for process in self.processes if process.is_alive()]
        for process in late:
            process.kill()
        assert not late, f'still running after {timeout} s:\n{self.output()}'
        return [process.exitcode for process in self.processes]

    def kill(self, number: int = signal.SIGKILL) -> None:
        for process in self.processes:
            if process.is_alive():
                os.kill(process.pid, number)

    def output(self) -> str:
        return '\n'.join(log.read_text(errors='replace') for log in self.logs if log.exists())


def write_config(
    folder: Path, data: Path, extra: str = DROP_PATH, validation: str = VALIDATION
) -> Path:
    """The smoke config on the videos of ``data``, with our hooks and ``extra`` lines."""
    path = folder / 'config.py'
    path.write_text(
        CONFIG.format(
            base=str(ROOT / 'configs/smoke.py'),
            data=str(data),
            extra=extra,
            validation=validation.format(data=str(data)),
        )
    )
    return path


def start(
    config: Path,
    work_dir: Path,
    *options: str,
    arguments: Sequence[str] = (),
    world_size: int = 1,
    saboteur: Callable[[], None] | None = None,
    script: str = 'tools/train.py',
    logs_in: Path | None = None,
    cwd: Path | None = None,
) -> Run:
    """Start a training script; ``options`` are ``--cfg-options``.

    Output and samples are in ``logs_in``, or else in the work directory.
    """
    argv = [str(config), '--work-dir', str(work_dir), *arguments]
    if options:
        argv += ['--cfg-options', *options]
    if world_size > 1:
        argv += ['--launcher', 'pytorch']
    before = [be_quick, record_samples, *([saboteur] if saboteur else [])]
    return fork(script, argv, logs_in or work_dir, cwd, world_size, before)


def fork(
    script: str,
    argv: Sequence[object],
    logs_in: Path,
    cwd: Path | None = None,
    world_size: int = 1,
    before: Sequence[Callable[[], None]] = (),
) -> Run:
    """Start a script, or a module that can be imported, after what is called before it."""
    logs_in.mkdir(parents=True, exist_ok=True)
    number = len(list(logs_in.glob('*.out')))
    port = free_port()
    processes, logs = [], []
    for rank in range(world_size):
        log = logs_in / f'{number + rank:03}.out'
        log.touch()
        env = dict(
            RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=world_size, MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port, SAMPLES=logs_in / f'samples_{rank}.jsonl', OMP_NUM_THREADS=1,
            GLOO_SOCKET_IFNAME='lo', CUDA_VISIBLE_DEVICES='',
        )  # fmt: skip
        env = {key: str(value) for key, value in env.items()}
        args = (script, [str(part) for part in argv], env, str(log), cwd, before)
        process = _server.Process(target=_run, args=args)
        process.start()
        processes.append(process)
        logs.append(log)
    return Run(processes, logs)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def samples(work_dir: Path, rank: int = 0) -> list[dict]:
    """What each iteration was given, in the order in which it was done."""
    lines = (work_dir / f'samples_{rank}.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def _run(
    script: str,
    argv: list[str],
    env: dict[str, str],
    log: str,
    cwd: Path | None,
    before: Sequence[Callable[[], None]],
) -> None:
    os.setpgid(0, 0)
    os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [script, *argv]
    for function in before:
        function()
    if script.endswith('.py'):
        sys.path.insert(0, str((ROOT / script).parent))  # as Python does
        runpy.run_path(str(ROOT / script), run_name='__main__')
    else:
        runpy.run_module(script, run_name='__main__', alter_sys=True)


def be_quick() -> None:
    """Do without what takes longer than a step, or waits for a launcher that is not there."""
    import mmengine.config.config as config

    from mmmae_st.engine.runner import ending

    config.FormatCode = lambda text, **settings: (text, True)  # for every checkpoint
    ending._GRACE = 0.2


def record_samples() -> None:
    """Write a line for each decoded video and each iteration."""
    from mmengine.runner import EpochBasedTrainLoop

    from mmmae_st.datasets.transforms import LoadClips

    file = os.open(os.environ['SAMPLES'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(**content: object) -> None:
        os.write(file, (json.dumps(content) + '\n').encode())

    load, step = LoadClips.transform, EpochBasedTrainLoop.run_iter

    def transform(self, results):
        note(decoded=results['path'], key=results['sample_key'])
        return load(self, results)

    def run_iter(self, idx, data_batch):
        note(
            iter=self.iter,
            paths=[sample.path for sample in data_batch['data_samples']],
            frames=[sample.frame_inds.tolist() for sample in data_batch['data_samples']],
            ids=[ids.tolist() for ids in data_batch.get('ids_keep', ())],
            sums=[int(clips.sum()) for clips in data_batch['inputs']],
        )
        step(self, idx, data_batch)

    LoadClips.transform = transform
    EpochBasedTrainLoop.run_iter = run_iter


def die_inside_save(number: int, share: float) -> None:
    """Saboteur: SIGKILL while checkpoint ``number`` is written, after ``share`` of its bytes.

    At 1.0 it is written but not yet renamed. Give it as ``functools.partial``.
    """
    from mmmae_st.fileio.atomic_file import AtomicBackend, temporary_name

    put, count = AtomicBackend.put, [0]

    def dying_put(self, obj, filepath):
        if str(filepath).endswith('.pth'):
            count[0] += 1
            if count[0] == number:
                temporary_name(Path(filepath)).write_bytes(obj[: int(len(obj) * share)])
                os.kill(os.getpid(), signal.SIGKILL)
        put(self, obj, filepath)

    AtomicBackend.put = dying_put


def before_iteration(number: int, rank: int, act: Callable[[], None]) -> None:
    """Let one process do something right before iteration ``number``."""
    from mmengine.runner import EpochBasedTrainLoop

    step = EpochBasedTrainLoop.run_iter

    def run_iter(self, idx, data_batch):
        if os.environ['RANK'] == str(rank) and self.iter == number:
            act()
        step(self, idx, data_batch)

    EpochBasedTrainLoop.run_iter = run_iter


def fail_on_rank(rank: int, number: int) -> None:
    """Saboteur: an error in one process, at iteration ``number``."""

    def fail() -> None:
        raise ZeroDivisionError('the cause of it all')

    before_iteration(number, rank, fail)


def fill_memory() -> None:
    """Saboteur: in its second iteration the process finds no memory."""

    def fail() -> None:
        raise torch.OutOfMemoryError(
            'CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 '
            'GiB of which 1.52 GiB is free. Including non-PyTorch memory, this process has ...'
        )

    before_iteration(1, 0, fail)


def signal_at(number: int, iteration: int, rank: int = 0, group: bool = False) -> None:
    """Saboteur: a signal to one process, or to its loader workers as well, in an iteration.

    A signal that the test sends comes when the machine has time, which may be after the run.
    """
    send = os.killpg if group else os.kill
    before_iteration(iteration, rank, lambda: send(os.getpid(), number))


def die_before_pointer(number: int) -> None:
    """Saboteur: SIGKILL when the checkpoint is complete but ``last_checkpoint`` is not."""
    from mmmae_st.fileio.atomic_file import AtomicBackend

    put, count = AtomicBackend.put, [0]

    def dying_put(self, obj, filepath):
        if str(filepath).endswith('last_checkpoint'):
            count[0] += 1
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
        put(self, obj, filepath)

    AtomicBackend.put = dying_put


LAST = 8  # iterations of the smoke config on eight videos, one process


EXACT_HISTORIES = ('train/loss', 'train/lr', 'train/base_lr', 'train/grad_norm')


def final_state(work_dir: Path, last: int) -> dict:
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / f'iter_{last}.pth')
    return torch.load(work_dir / f'iter_{last}.pth', weights_only=True)


def assert_same_bits(ours, theirs, path: str = '') -> None:
    assert type(ours) is type(theirs), path
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), path
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), path
        for key in ours:
            assert_same_bits(ours[key], theirs[key], f'{path}.{key}')
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same_bits(*pair, f'{path}[{i}]')
    else:
        assert ours == theirs, path


def assert_same_run(reference: Path, resumed: Path, world_size: int = 1, last: int = LAST) -> None:
    """Weights, optimiser, schedules, logged histories and the samples of every iteration."""
    ours, theirs = final_state(resumed, last), final_state(reference, last)
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same_bits(ours[key], theirs[key], key)
    for key in EXACT_HISTORIES:
        history = ours['message_hub']['log_scalars'][key]['log']
        assert len(history) == last
        assert_same_bits(history, theirs['message_hub']['log_scalars'][key]['log'], key)
    for rank in range(world_size):
        steps = [
            {line['iter']: line for line in samples(folder, rank) if 'iter' in line}
            for folder in (reference, resumed)
        ]
        assert steps[0] == steps[1]
        assert sorted(steps[0]) == list(range(last))


def wait_for_iteration(work_dir: Path, number: int, rank: int = 0) -> None:
    end = time.monotonic() + 120
    file = work_dir / f'samples_{rank}.jsonl'
    while time.monotonic() < end:
        if file.exists() and f'"iter": {number},' in file.read_text():
            return
        time.sleep(0.005)
    raise AssertionError(f'iteration {number} was not reached')
