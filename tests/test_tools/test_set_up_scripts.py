"""The two commands: what their scripts do around uv, pip and pytest, which are played here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Makes an environment whose python only says what it is asked to run.
FAKE_UV = """#!/bin/sh
echo "uv $*" >>"$FAKE_LOG"
case "$*" in
  --version) echo 'uv 9.9' ;;
  venv*)
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\\necho "python $*"\\n' >"$folder/bin/python"
    chmod +x "$folder/bin/python" ;;
  *' -r '*)
    if [ "$FAKE_INSTALL" = fail ]; then echo 'no such host'; exit 3; fi
    if [ "$FAKE_INSTALL" = wait ]; then touch "$FAKE_LOG.waiting"; sleep 60; fi
    echo 'Installed 2 packages'; echo ' + torch==2.11.0' ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the scripts in a folder with a space, with a fake uv on the path."""
    root = tmp_path / 'check out'
    (root / 'tools').mkdir(parents=True)
    (root / 'requirements').mkdir()
    for name in ('environment.sh', 'quickstart.sh', 'run_tests.sh'):
        shutil.copy(ROOT / 'tools' / name, root / 'tools')
    for name in ('core.txt', 'tests.txt', 'mmcv.txt'):
        (root / 'requirements' / name).write_text('torch==2.11.0\n')
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'uv').write_text(FAKE_UV)
    (tmp_path / 'bin' / 'uv').chmod(0o755)
    return root


def start(checkout, *args, script='quickstart.sh', **env):
    folder = checkout.parent
    env = {
        'PATH': f'{folder / "bin"}:/usr/bin:/bin',
        'PYTHON': sys.executable,
        'HOME': str(folder),
        'FAKE_LOG': str(folder / 'log'),
        **env,
    }
    return subprocess.Popen(
        ['bash', str(checkout / 'tools' / script), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd='/',
        env=env,
        start_new_session=True,
    )


def call(checkout, *args, **env):
    process = start(checkout, *args, **env)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_first_run_makes_the_environment_and_the_second_uses_it(checkout):
    code, out, err = call(checkout)
    assert code == 0, err
    assert '==> Python and uv' in out and 'uv 9.9' in out
    assert 'Packages: installing requirements/core.txt into' in out
    assert 'Installed 2 packages' in out and '+ torch' not in out
    assert out.splitlines()[-1] == 'python tools/quickstart.py'
    log = (checkout.parent / 'log').read_text()
    assert f'--no-deps -r {checkout}/requirements/core.txt' in log
    assert f'--editable {checkout}' in log

    code, out, _ = call(checkout)
    assert code == 0 and 'is complete' in out and 'installing' not in out
    assert (checkout.parent / 'log').read_text().count('venv') == log.count('venv')


@pytest.mark.parametrize('change', ['requirements', 'folder', 'interpreter', 'mark'])
def test_an_outdated_environment_is_made_anew(checkout, change):
    assert call(checkout)[0] == 0
    (checkout / '.venv' / 'left over').mkdir()
    if change == 'requirements':
        (checkout / 'requirements' / 'core.txt').write_text('torch==2.12.0\n')
    elif change == 'folder':
        checkout = checkout.rename(checkout.with_name('moved'))
    elif change == 'interpreter':
        (checkout / '.venv' / 'bin' / 'python').unlink()
    else:
        (checkout / '.venv' / '.mmmae_st').write_text('unfinished\n')
    code, out, err = call(checkout)
    assert code == 0 and 'installing' in out, err
    assert not (checkout / '.venv' / 'left over').exists()


def test_a_failing_step_is_named_with_its_cause_and_can_be_repeated(checkout):
    code, out, err = call(checkout, FAKE_INSTALL='fail')
    assert code == 3
    assert 'no such host' in out
    assert 'Stopped at "Packages: installing requirements/core.txt' in err
    assert err.count('Stopped') == 1
    assert 'tools/quickstart.py' not in out
    code, out, err = call(checkout)
    assert code == 0 and 'installing' in out, err


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_the_next_goes_on(checkout, number, code):
    process = start(checkout, FAKE_INSTALL='wait')
    deadline = time.monotonic() + 30
    while not (checkout.parent / 'log.waiting').exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal or a job system does it
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert 'Run the same command again' in err
    assert (checkout / '.venv' / '.mmmae_st').read_text() == 'unfinished\n'
    assert call(checkout)[0] == 0


def test_an_environment_of_somebody_else_is_left_alone(checkout):
    (checkout / '.venv').mkdir()
    (checkout / '.venv' / 'precious').touch()
    code, _, err = call(checkout)
    assert code == 1 and '.venv was not made by this script' in err
    assert (checkout / '.venv' / 'precious').exists()


def test_the_folder_is_found_from_where_the_caller_is(checkout, tmp_path):
    videos = tmp_path / 'my videos'
    videos.mkdir()
    code, out, err = call(checkout, os.path.relpath(videos, '/'))
    assert code == 0, err
    assert out.splitlines()[-1] == f'python tools/quickstart.py {videos}'


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['/nowhere'], '/nowhere is not a folder'),
        (['--fast'], 'unknown option --fast'),
        (['/tmp', '/tmp'], 'one folder of videos at most, got 2'),
    ],
)
def test_bad_arguments_are_named_before_anything_is_made(checkout, args, message):
    code, _, err = call(checkout, *args)
    assert code == 1 and message in err
    assert not (checkout / '.venv').exists()


def test_help_tells_the_two_uses(checkout):
    code, out, _ = call(checkout, '--help')
    assert code == 0 and 'FOLDER_OF_VIDEOS' in out


def python_that_says(folder, version):
    path = folder / 'python'
    path.write_text(f'#!/bin/sh\n{version}\n')
    path.chmod(0o755)
    return path


def test_without_a_fitting_python_it_says_what_is_needed(checkout):
    # No other interpreter is on this path than one that is too old or too new.
    folder = checkout.parent / 'bin'
    for tool in ('bash', 'dirname', 'cat', 'sh'):
        (folder / tool).symlink_to(shutil.which(tool))
    python_that_says(folder, 'echo')
    code, _, err = call(checkout, PATH=str(folder), PYTHON='')
    assert code == 1 and 'no Python 3.10 to 3.14 found' in err


def test_uv_comes_through_pip_when_there_is_none(checkout):
    # This python has a pip that puts a uv into the folder it is given, as the real one does.
    (checkout.parent / 'uv').write_text(FAKE_UV)
    (checkout.parent / 'bin' / 'uv').unlink()
    script = f"""case "$*" in
  *'pip --version'*) ;;
  *'pip install'*)
    echo "pip $*" >>"$FAKE_LOG"
    while [ "$1" != --target ]; do shift; done
    mkdir -p "$2/bin"; cp '{checkout.parent}/uv' "$2/bin/uv"; chmod +x "$2/bin/uv" ;;
  *'sys.version_info'*) echo "$0" ;;
  *) exec '{sys.executable}' "$@" ;;
esac"""
    python = python_that_says(checkout.parent, script)
    code, out, err = call(checkout, PYTHON=str(python))
    assert code == 0, err
    assert 'uv is absent: pip installs it' in out
    assert (checkout / '.uv' / 'bin' / 'uv').exists() and not (checkout / '.uv.part').exists()
    code, out, _ = call(checkout, PYTHON=str(python))
    assert code == 0 and 'absent' not in out
    assert (checkout.parent / 'log').read_text().count('pip -m pip install') == 1


@pytest.fixture
def compiled(checkout):
    """The wheel folder of run_tests.sh; its environment's python plays torch, mmcv and pytest."""
    python = """#!/bin/sh
case "$*" in
  *torch.__version__*) echo mmcv-key ;;
  -) [ "$FAKE_OPS" != broken ] || { cat >/dev/null; echo 'no module mmcv._ext'; exit 1; } ;;
  *'-m pytest'*) echo "python $*"; exit "${FAKE_TESTS:-0}" ;;
esac
"""
    uv = checkout.parent / 'bin' / 'uv'
    play = checkout.parent / 'python'
    play.write_text(python)
    play.chmod(0o755)
    chmod = '    chmod +x "$folder/bin/python"'
    copy = f'    cp "{play}" "$folder/bin/python"'
    uv.write_text(FAKE_UV.replace(chmod, f'{copy}\n{chmod}'))
    wheels = checkout.parent / '.cache' / 'mmmae_st' / 'wheels' / 'mmcv-key'
    wheels.mkdir(parents=True)
    (wheels / 'mmcv-2.1.0-any.whl').touch()
    return wheels


def test_run_tests_takes_a_compiled_mmcv_and_hands_the_arguments_to_pytest(checkout, compiled):
    code, out, err = call(checkout, '-q', '-k', 'a b', script='run_tests.sh')
    assert code == 0, err
    assert f'found compiled in {compiled}' in out
    last = out.splitlines()[-1]
    assert last.startswith('python -m pytest --timeout 300 ') and last.endswith(' -q -k a b')
    assert f'{compiled}/mmcv-2.1.0-any.whl' in (checkout.parent / 'log').read_text()
    code, out, _ = call(checkout, script='run_tests.sh')
    assert code == 0 and 'is complete' in out and 'found compiled' not in out


def test_run_tests_returns_what_pytest_returns(checkout, compiled):
    code, _, err = call(checkout, script='run_tests.sh', FAKE_TESTS='1')
    assert code == 1 and 'Stopped' not in err


def test_run_tests_compiles_again_when_the_ops_do_not_work(checkout, compiled):
    code, out, err = call(checkout, script='run_tests.sh', FAKE_OPS='broken')
    assert code != 0 and 'its ops do not work: compiling it again' in out
    assert 'Stopped at "Packages: mmcv with compiled ops"' in err
    assert '-m pytest' not in out
    assert (checkout / '.venv-tests' / '.mmmae_st').read_text() == 'unfinished\n'
