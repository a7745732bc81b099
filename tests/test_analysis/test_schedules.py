import math

import pytest
from mmengine.config import Config

from mmmae_st.analysis.schedules import config_schedule, layer_scales, train_views
from mmmae_st.visualization.curves import schedules_figure


def read(path):
    return Config.fromfile(f'configs/{path}.py', import_custom_modules=False)


def test_pretraining_rate_is_the_published_formula():
    schedule = config_schedule(read('mae_st_vitl_k400'), 'vitl', steps_per_epoch=10)
    assert len(schedule.learning_rates) == 2000
    assert schedule.views == 4
    for epoch in (15, 30, 100, 199):
        expected = (
            4e-4 * epoch / 30 if epoch < 30 else 2e-4 * (1 + math.cos(math.pi * (epoch - 30) / 170))
        )
        assert schedule.learning_rates[epoch * 10] == pytest.approx(expected)
    assert schedule.layer_scales == []


@pytest.mark.parametrize(
    ('size', 'layers', 'first', 'second'),
    [
        ('b', 14, 3.69721e-3, 5.68801e-3),
        ('l', 26, 7.52543e-4, 1.00339e-3),
        ('h', 34, 6.33825e-4, 7.92282e-4),
    ],
)
def test_layer_decay_of_fine_tuning(size, layers, first, second):
    scales = layer_scales(read(f'finetune/vit{size}_k400'))
    assert len(scales) == layers
    assert scales[0] == pytest.approx(first, rel=1e-5)
    assert scales[1] == pytest.approx(second, rel=1e-5)
    assert scales[-1] == 1


def test_figure_has_a_line_for_each_config():
    schedules = [
        config_schedule(read(f'finetune/vit{size}_k400'), size, steps_per_epoch=1) for size in 'bl'
    ]
    figure = schedules_figure(schedules)
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    assert figure.axes[1].lines[0].get_ydata()[0] == pytest.approx(3.69721e-3, rel=1e-5)


def test_what_is_no_training_by_epochs_is_refused():
    with pytest.raises(ValueError, match='no optim_wrapper or no train_cfg.max_epochs'):
        config_schedule(Config(dict(model=dict())), 'empty')
    with pytest.raises(ValueError, match='steps_per_epoch'):
        config_schedule(read('mae_st_vitl_k400'), 'vitl', steps_per_epoch=0)
    assert train_views(Config(dict())) == 1
