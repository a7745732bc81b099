"""FSDP against ordinary data parallelism: two processes each, the same losses and weights."""

import pytest
import torch
from support.smoke_runs import ROOT, SMOKE, scalars, train

pytestmark = pytest.mark.slow

OURS = ROOT / 'configs/mae_st_vith_k400_fsdp.py'
# A limit that every step meets, so that a norm over a part of the gradient would show.
OPTIONS = ('optim_wrapper.clip_grad.max_norm=0.02', 'optim_wrapper.optimizer.weight_decay=5.0')


@pytest.fixture
def sharded(tmp_path):
    """The smoke config with what the config for ViT-H says about sharding."""
    text = OURS.read_text().replace("'./mae_st_vith_k400.py'", repr(str(SMOKE)))
    assert 'smoke.py' in text
    path = tmp_path / 'sharded.py'
    path.write_text(text)
    return path


def test_sharded_equals_replicated_and_resumes(data_root, sharded, tmp_path):
    files = dict(data_root=data_root, world_size=2)
    replicated = 'optim_wrapper.type=mmmae_st.BFloat16OptimWrapper'
    train(replicated, *OPTIONS, **files, work_dir=tmp_path / 'ddp')
    files['config'] = sharded
    train(*OPTIONS, **files, work_dir=tmp_path / 'fsdp')
    ours, theirs = scalars(tmp_path / 'fsdp'), scalars(tmp_path / 'ddp')
    assert len(ours) == len(theirs) == 4
    for key in ('loss', 'grad_norm', 'lr'):
        assert [r[key] for r in ours] == pytest.approx([r[key] for r in theirs], rel=1e-5)

    checkpoints = {
        name: torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)
        for name in ('ddp', 'fsdp')
    }
    weights = checkpoints['fsdp']['state_dict']
    assert list(weights) == list(checkpoints['ddp']['state_dict'])
    for name, value in checkpoints['ddp']['state_dict'].items():
        torch.testing.assert_close(weights[name], value, rtol=1e-5, atol=1e-6)

    # The first epoch alone, then the rest.
    (tmp_path / 'fsdp/epoch_2.pth').unlink()
    (tmp_path / 'fsdp/last_checkpoint').write_text(str(tmp_path / 'fsdp/epoch_1.pth'))
    train('--resume', *OPTIONS, **files, work_dir=tmp_path / 'fsdp')
    resumed = torch.load(tmp_path / 'fsdp/epoch_2.pth', weights_only=True)
    assert len(scalars(tmp_path / 'fsdp')) == 6
    for name, value in weights.items():
        torch.testing.assert_close(resumed['state_dict'][name], value, rtol=0, atol=0)
