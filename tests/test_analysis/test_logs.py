import json

import numpy as np
import pytest

from mmmae_st.analysis.logs import RunLog, format_summaries, read_run, smooth, summarise
from mmmae_st.visualization.curves import curves_figure, save_figure


def rows(first, last, steps_per_epoch=10, offset=0.0):
    return [
        dict(
            step=step,
            iter=step,
            epoch=(step - 1) // steps_per_epoch + 1,
            loss=10.0 / step + offset,
            lr=0.1,
            time=2.0,
            data_time=0.5,
            clips_per_second=8.0,
        )
        for step in range(first, last + 1, 2)
    ]


def write(folder, time, lines):
    path = folder / time / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(json.dumps(line) for line in lines))
    return path


def test_run_and_what_it_comes_to(tmp_path):
    val = dict(step=2, **{'acc/top1': 0.5, 'time': 0.1})
    write(tmp_path / 'run', '20260101', [*rows(2, 20), val])
    run = read_run(tmp_path / 'run')
    assert run.name == 'run'
    assert run.steps_per_epoch() == 10
    assert run.val_keys() == ['acc/top1']
    assert run.val_unit == 'epoch'
    summary = summarise(run)
    assert summary['steps'] == 20
    assert summary['hours'] == pytest.approx(20 * 2.0 / 3600)
    assert summary['data_share'] == pytest.approx(0.25)
    assert summary['clips_per_second'] == 8
    assert summary['loss'] == pytest.approx(0.5)
    assert summary['acc/top1'] == 0.5
    table = format_summaries(dict(run=summary, other=dict(steps=3.0)))
    assert 'data share' in table and '25.0%' in table and '-' in table


def test_resumed_run_is_one_curve(tmp_path):
    write(tmp_path, '20260101', rows(2, 20))
    write(tmp_path, '20260102', rows(12, 30, offset=5.0))
    steps, losses = read_run(tmp_path).series('loss')
    assert steps.tolist() == list(range(2, 31, 2))
    assert losses[:5].max() <= 5.0 < losses[5:].min()


def test_line_cut_short_is_left_out(tmp_path):
    path = write(tmp_path, '20260101', rows(2, 20))
    path.write_text(path.read_text() + '\n{"step": 22, "lo')
    assert len(read_run(path).train) == 10


def test_missing_logs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing does not exist'):
        read_run(tmp_path / 'nothing')
    with pytest.raises(FileNotFoundError, match='LocalVisBackend'):
        read_run(tmp_path)
    write(tmp_path, '20260101', [dict(step=1, acc=0.1)])
    with pytest.raises(ValueError, match='no scalars of training'):
        read_run(tmp_path)


def test_smoothing():
    values = np.array([1.0, 2.0, 6.0, np.nan, 4.0])
    assert smooth(values, 1)[:3].tolist() == [1, 2, 6]
    assert smooth(values, 3).tolist() == [1.5, 3.0, 4.0, 5.0, 4.0]
    with pytest.raises(ValueError, match='at least 1'):
        smooth(values, 0)


@pytest.mark.parametrize('x', ['step', 'epoch', 'hours'])
def test_curves(tmp_path, x):
    runs = [RunLog('a', rows(2, 20), [dict(step=1, acc=0.2)]), RunLog('b', rows(2, 40))]
    figure = curves_figure(runs, x=x)
    titles = [axis.get_title(loc='left') for axis in figure.axes]
    assert titles == [
        'training loss',
        'learning rate',
        'clips per second',
        'share of the time waiting for data',
        'acc (validation)',
    ]
    ends = dict(step=40, epoch=4.0, hours=40 * 2.0 / 3600)
    bold = figure.axes[1].lines[1]
    assert bold.get_xdata()[-1] == pytest.approx(ends[x])
    assert figure.axes[4].lines[0].get_xdata()[0] == pytest.approx(ends[x] / 4)
    save_figure(figure, tmp_path / 'curves.png')
    assert (tmp_path / 'curves.png').stat().st_size > 10_000
    with pytest.raises(ValueError, match='x must be one of'):
        curves_figure(runs, x='days')


def test_run_by_iterations(tmp_path):
    lines = [{k: v for k, v in row.items() if k != 'epoch'} for row in rows(2, 20)]
    write(tmp_path / 'run', '20260101', [*lines, dict(step=10, **{'acc/top1': 0.5})])
    run = read_run(tmp_path / 'run')
    assert run.steps_per_epoch() == 0 and run.val_unit == 'step'
    assert summarise(run)['steps'] == 20 and 'epochs' not in summarise(run)
    save_figure(curves_figure([run], x='step'), tmp_path / 'a.png')
    with pytest.raises(ValueError, match="trained by iterations .* 'step' or 'hours'"):
        curves_figure([run])
