"""Pretrain the small model of ``configs/quickstart.py`` and show what it learnt.

``tools/quickstart.sh`` makes the environment, then calls this. Without a folder of videos, clips
are generated first. In the work directory it leaves a checkpoint, ``reconstruction.png``,
``summary.json`` and TensorBoard's files.
"""

import argparse
import io
import json
import logging
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner
from tqdm import tqdm

from mmmae_st.command_line import load_config, short_errors, tool_parser
from mmmae_st.compat.versions import versions_of
from mmmae_st.config import check_config
from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clips
from mmmae_st.engine.hooks.preemption import preemptible
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.evaluation import ReconstructionLoss
from mmmae_st.evaluation.held_out import spread
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.registry import DATASETS as OUR_DATASETS
from mmmae_st.registry import is_component
from mmmae_st.visualization import NORMALIZED_NOTE, reconstruction_figure, save_png

PACKAGES = ('torch', 'torchvision', 'timm', 'mmengine', 'mmcv', 'mmcv-lite', 'av', 'numpy')
NUM_TRAIN, NUM_HELD_OUT = 240, 40
# Those of synthetic.TEXTURES that are no fine, regular pattern: nothing can predict gravel.
PHOTOGRAPHS = (
    'astronaut.png',
    'camera.png',
    'chelsea.png',
    'coffee.png',
    'coins.png',
    'motorcycle_left.png',
    'rocket.jpg',
)
HELD_OUT_SHARE = 0.15  # of the user's videos
LOSS_WINDOW = 10  # steps at either end of the run that the summary's losses are means of
NUM_PICTURES = 4


class ProgressHook(Hook):
    """Progress bar, training losses, and the loss on held-out clips before and after.

    The held-out clips are looked at once before the first step; the training loop does it again
    after the last.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.held_out: list[float] = []
        self.seconds = 0.0

    def before_train(self, runner: Runner) -> None:
        """Take the loss of the untrained model, start the clock."""
        runner.val_loop.run()
        self.start = time.perf_counter()
        interval = 0.1 if sys.stderr.isatty() else 10.0
        self.bar = tqdm(total=runner.max_iters, unit='step', mininterval=interval)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Move the bar on."""
        self.losses.append(float(outputs['loss']))
        self.bar.set_postfix(loss=f'{self.losses[-1]:.3f}', refresh=False)
        self.bar.update()
        if len(self.losses) == runner.max_iters:
            self.seconds = time.perf_counter() - self.start
            self.bar.close()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the loss on the held-out clips."""
        self.held_out.append(float(metrics['held_out/loss']))


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('videos', nargs='?', help='folder of videos; clips are generated without')
    parser.add_argument('--config', default='quickstart', help='config to train')
    parser.add_argument(
        '--data-root', default='data/quickstart', help='where generated clips are, or are made'
    )
    parser.add_argument('--work-dir', default='work_dirs/quickstart', help='what is left')
    return parser.parse_args()


def say(text: str) -> None:
    """Print one line at once, in order with what other processes print."""
    print(text, flush=True)


def require_pretraining(cfg: Config) -> None:
    """Raise ValueError unless a config of one's own has what is shown here."""
    if not is_component(MODELS, cfg.get('model'), SpatiotemporalMAE, 'mmmae_st'):
        raise ValueError('--config must be one of pretraining, whose model is a SpatiotemporalMAE')
    for part in ('train_dataloader', 'val_dataloader'):
        dataset = (cfg.get(part) or {}).get('dataset')
        if not is_component(DATASETS, dataset, VideoDataset, 'mmmae_st'):
            raise ValueError(f'--config needs {part} with a VideoDataset, as configs/quickstart.py')
    if not is_component(METRICS, cfg.get('val_evaluator'), ReconstructionLoss, 'mmmae_st'):
        raise ValueError('--config needs ReconstructionLoss as val_evaluator')


def use_generated(cfg: Config, folder: Path) -> None:
    """Generate clips, as far as they are not there, and point the config at them."""
    for name, number, seed in (('train', NUM_TRAIN, 0), ('val', NUM_HELD_OUT, 1)):
        settings = ClipSettings(seed=seed, textures=PHOTOGRAPHS)
        paths, made = make_clips(folder / name, number, settings)
        say(f'    {folder / name}: {len(paths)} clips, {made} made now')
        loader = cfg[f'{name}_dataloader']
        loader.dataset.update(data_root=str(folder), ann_file='', data_prefix=dict(video=name))


def use_folder(cfg: Config, folder: str) -> None:
    """Point the config at a folder of videos, some of them held out.

    An epoch takes as many videos as with the generated clips: few are repeated, each time with
    other clips, and of many some at equal distances are taken. A video that cannot be decoded is
    not held out; in training it is replaced, with a warning.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it holds no video, or none that can be read.
    """
    loaders = cfg.train_dataloader, cfg.val_dataloader
    for loader in loaders:
        loader.dataset.update(data_root=folder, ann_file='', data_prefix=dict(video=''))
    dataset = OUR_DATASETS.build(cfg.val_dataloader.dataset)
    held_out = pick_held_out(dataset)
    others = [i for i in range(len(dataset)) if i not in set(held_out)] or held_out
    if len(others) > NUM_TRAIN:
        others = [others[i] for i in spread(len(others), NUM_TRAIN)]
    shared = ' (the only one there is, so it is the same)' if others == held_out else ''
    say(
        f'    {folder}: {len(dataset)} videos; {len(others)} to train on, {len(held_out)} held '
        f'out{shared}'
    )
    cfg.train_dataloader.dataset.indices = [others[i % len(others)] for i in range(NUM_TRAIN)]
    cfg.val_dataloader.dataset.indices = held_out


def pick_held_out(dataset: BaseDataset) -> list[int]:
    """Sorted indices of readable videos at equal distances: 15 %, at least 1, at most 40."""
    number = min(max(round(HELD_OUT_SHARE * len(dataset)), 1), NUM_HELD_OUT)
    wanted = spread(len(dataset), number)
    picked: list[int] = []
    for index in [*wanted, *(i for i in range(len(dataset)) if i not in set(wanted))]:
        if len(picked) == number:
            break
        try:
            dataset[index]
        except RuntimeError as error:
            say(f'    not held out: {error}')
        else:
            picked.append(index)
    if not picked:
        raise ValueError(f'none of the {len(dataset)} videos can be read')
    return sorted(picked)


def draw(runner: Runner, path: Path) -> None:
    """Reconstruct some held-out clips and write the picture."""
    dataset = runner.val_dataloader.dataset
    indices = spread(len(dataset), min(NUM_PICTURES, len(dataset)))
    runner.model.eval()
    with torch.no_grad():
        results = runner.model.val_step(pseudo_collate([dataset[i] for i in indices]))
    rows = [
        np.stack([result.get(name).cpu().numpy() for result in results])
        for name in ('input', 'masked', 'prediction')
    ]
    is_normalized = runner.model.head.target == 'normalized_pixels'
    save_png(reconstruction_figure(*rows, note=NORMALIZED_NOTE if is_normalized else ''), path)


def summarize(cfg: Config, runner: Runner, progress: ProgressHook) -> dict:
    """What ``summary.json`` holds."""
    loader = runner.train_dataloader
    videos = {loader.dataset.get_data_info(i)['path'] for i in range(len(loader.dataset))}
    loading = loader.dataset.pipeline.transforms[0]
    losses, (before, *_, after) = progress.losses, progress.held_out
    return dict(
        videos=len(videos),
        held_out_videos=len(runner.val_dataloader.dataset),
        steps=len(losses),
        videos_per_step=loader.batch_size,
        clips=len(losses) * loader.batch_size * loading.num_clips,
        seconds=round(progress.seconds, 1),
        first_loss=round(float(np.mean(losses[:LOSS_WINDOW])), 4),
        last_loss=round(float(np.mean(losses[-LOSS_WINDOW:])), 4),
        loss_is_mean_of_steps=LOSS_WINDOW,
        held_out_loss_before=round(before, 4),
        held_out_loss_after=round(after, 4),
        threads=torch.get_num_threads(),
        device=str(next(runner.model.parameters()).device),
        versions=versions_of(*PACKAGES),
    )


def main() -> None:
    """Make or find the clips, train, draw, and say what was made."""
    with short_errors():
        run(parse_args())


def run(args: argparse.Namespace) -> None:
    """Everything, in order."""
    cfg = load_config(args.config)
    require_pretraining(cfg)
    check_config(cfg)
    cfg.work_dir = args.work_dir
    work_dir = Path(args.work_dir)
    for name in ('summary.json', 'reconstruction.png'):  # of an earlier run
        (work_dir / name).unlink(missing_ok=True)

    say('==> Clips')
    if args.videos is None:
        use_generated(cfg, Path(args.data_root))
    else:
        use_folder(cfg, args.videos)

    prepare_runtime(cfg)
    with redirect_stdout(io.StringIO()):  # the config and all that: the log file has it too
        runner = Runner.from_cfg(cfg)
    for handler in runner.logger.handlers:  # the bar has the terminal, and warnings
        if not isinstance(handler, logging.FileHandler):
            handler.setStream(sys.stdout)
            handler.setLevel(logging.WARNING)
    if not runner.model.head.predicts_pixels:
        raise ValueError(f'only pixels are drawn, not model.head.target={runner.model.head.target}')
    progress = ProgressHook()
    runner.register_hook(progress, priority='LOWEST')
    say(f'==> Training; the log is {runner.log_dir}')
    with preemptible(runner):
        runner.train()

    say('==> Reconstructions of held-out clips')
    draw(runner, work_dir / 'reconstruction.png')
    summary = summarize(cfg, runner, progress)
    (work_dir / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    say(closing_lines(work_dir, summary))


def closing_lines(work_dir: Path, summary: dict) -> str:
    """What was made and what to try next."""
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    return f"""
Done: {summary['steps']} steps on {summary['clips']} clips of {summary['videos']} videos in \
{summary['seconds']:.0f} s of training.
Loss on {summary['held_out_videos']} held-out videos: {summary['held_out_loss_before']} before, \
{summary['held_out_loss_after']} after.
Made:
  {checkpoint}
  {work_dir / 'reconstruction.png'}   rows: input, masked (90 % removed), prediction
  {work_dir / 'summary.json'}
Try next:
  {sys.executable} -m tensorboard.main --logdir {work_dir}
  {sys.executable} -m mmmae_st quickstart FOLDER_OF_VIDEOS   the same on your own videos
  {sys.executable} -m mmmae_st train quickstart \
--cfg-options train_cfg.max_epochs=55 param_scheduler.1.T_max=54 param_scheduler.1.end=55   \
five times as long"""


if __name__ == '__main__':
    main()
