"""One command for the programs of ``tools/``: ``mmmae_st train ...``, from any folder.

The files that run are those below ``mmmae_st/.mim/tools``, which is ``tools/`` of a checkout.
"""

import ast
import atexit
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from mmmae_st.fileio.pipes import drop_unread_output

TOOLS = Path(__file__).parent / '.mim' / 'tools'
PROGRAMS = {
    'train': 'train.py',
    'test': 'test.py',
    'quickstart': 'quickstart.py',
    'features': 'extract_features.py',
    'reconstruct': 'visualizations/visualize_reconstruction.py',
    'frozen-eval': 'frozen_eval.py',
    'list': 'dataset_converters/build_file_list.py',
    'check': 'dataset_converters/check_videos.py',
    'prepare': 'dataset_converters/prepare_videos.py',
    'pack': 'dataset_converters/pack_videos.py',
    'extract-frames': 'dataset_converters/extract_frames.py',
    'make-clips': 'dataset_converters/make_synthetic_clips.py',
    'info': 'info.py',
    'verify': 'verify_install.py',
    'convert': 'model_converters/convert.py',
    'export': 'model_converters/export_encoder.py',
    'publish': 'model_converters/publish_model.py',
    'print-config': 'analysis_tools/print_config.py',
    'flops': 'analysis_tools/get_flops.py',
    'plan': 'analysis_tools/plan_run.py',
    'plot-schedules': 'analysis_tools/plot_schedules.py',
    'logs': 'analysis_tools/analyze_logs.py',
    'monitor': 'analysis_tools/monitor.py',
    'benchmark-step': 'analysis_tools/benchmark_step.py',
    'benchmark-loader': 'analysis_tools/benchmark_loader.py',
    'browse': 'visualizations/browse_dataset.py',
    'masks': 'visualizations/visualize_masks.py',
    'attention': 'visualizations/visualize_attention.py',
}
LAUNCHED = ('train', 'test', 'frozen-eval')  # they take --gpus N
USAGE = """usage: mmmae_st COMMAND [arguments]
       mmmae_st COMMAND --help

The commands, each a program of tools/:

{commands}

{launched} take --gpus N: N processes on this machine; the variables
NNODES, NODE_RANK, MASTER_ADDR and PORT join several machines. Configs of the package have short
names, such as mae_st_vitb_k400 and finetune/vitl_k400."""


def usage() -> str:
    """What ``mmmae_st --help`` prints; the programs are read, not imported."""
    lines = []
    for name, path in PROGRAMS.items():
        text = ast.get_docstring(ast.parse((TOOLS / path).read_text())) or ''
        lines.append(f'  {name:<17} {text.splitlines()[0]}')
    return USAGE.format(commands='\n'.join(lines), launched=', '.join(LAUNCHED))


def run(name: str, args: Sequence[str]) -> None:
    """Run a program in this process as ``python tools/...`` does, but for its name.

    ``runpy.run_path`` would put the file's name in place of ``mmmae_st train``.
    """
    path = TOOLS / PROGRAMS[name]
    sys.argv = [f'mmmae_st {name}', *args]
    sys.path.insert(0, str(path.parent))  # programs import what lies beside them
    program = ModuleType('__main__')
    program.__file__ = str(path)
    sys.modules['__main__'] = program  # where worker processes look for its functions
    SourceFileLoader('__main__', str(path)).exec_module(program)


def launch(name: str, gpus: str, args: Sequence[str]) -> None:
    """Become the launcher that ``tools/dist_train.sh`` becomes."""
    script = 'source "$0" && run_here "$@"'
    command = ['bash', '-c', script, str(TOOLS / 'launch.sh'), gpus, PROGRAMS[name]]
    environment = os.environ | dict(PYTHON=sys.executable)
    os.execvpe('bash', [*command, *args, '--launcher', 'pytorch'], environment)


def take_gpus(args: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of ``--gpus``, None without, and the other arguments.

    Raises:
        SystemExit: With one line if it is no number of processes.
    """
    rest = list(args)
    for i, arg in enumerate(rest):
        option, equals, value = arg.partition('=')
        if option == '--gpus':
            value = value if equals else ''.join(rest[i + 1 : i + 2])
            del rest[i : i + (1 if equals else 2)]
            if not value.isdecimal() or int(value) < 1:
                sys.exit(f'mmmae_st: error: --gpus must be a number of processes, got {value!r}')
            return value, rest
    return None, rest


def main() -> None:
    """Run the program that the first argument names."""
    atexit.register(drop_unread_output)  # before Python tries it and complains
    try:
        _main(*(sys.argv[1:] or ['--help']))
    except BrokenPipeError:
        if not drop_unread_output():  # another pipe
            raise
        sys.exit(1)


def _main(name: str, *args: str) -> None:
    if name in ('-h', '--help', 'help'):
        print(usage())
        return
    if name not in PROGRAMS:
        near = get_close_matches(name, PROGRAMS, cutoff=0.5)
        hint = f'near it are: {", ".join(near)}' if near else f'there are: {", ".join(PROGRAMS)}'
        sys.exit(f'mmmae_st: error: no command is called {name!r}; {hint}')
    gpus, rest = take_gpus(args) if name in LAUNCHED else (None, list(args))
    if gpus is None:
        run(name, rest)
    else:
        launch(name, gpus, rest)


if __name__ == '__main__':
    main()
