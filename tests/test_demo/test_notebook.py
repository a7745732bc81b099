"""The notebook of the tour runs from top to bottom, and is committed with its pictures."""

from pathlib import Path

import nbclient
import nbformat
import pytest

DEMO = Path(__file__).parents[2] / 'demo'


@pytest.fixture
def notebook():
    return nbformat.read(DEMO / 'tour.ipynb', as_version=4)


def pictures(notebook):
    """Number of pictures below the cells."""
    outputs = [out for cell in notebook.cells for out in cell.get('outputs', ())]
    return sum('image/jpeg' in out.get('data', {}) for out in outputs)


def test_the_notebook_runs_with_less_training(notebook, tmp_path, monkeypatch):
    training = [cell for cell in notebook.cells if 'seconds=25' in cell.source]
    assert len(training) == 1
    training[0].source = training[0].source.replace('seconds=25', 'seconds=1')
    monkeypatch.setenv('PYTHONPATH', f'{DEMO}:{DEMO.parent}')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    client = nbclient.NotebookClient(
        notebook, timeout=250, kernel_name='python3', resources=dict(metadata=dict(path=tmp_path))
    )
    client.execute()  # raises with the traceback of the cell that fails
    assert pictures(notebook) == 4
    assert 'the other clip of the same video' in str(notebook.cells[-1].outputs)


def test_it_is_committed_with_the_pictures_of_a_whole_run(notebook):
    assert pictures(notebook) == 4
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert (DEMO / 'tour.ipynb').stat().st_size < 800_000
