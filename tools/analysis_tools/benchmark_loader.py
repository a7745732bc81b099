"""Time the data loader of a config, beside what it could reach and beside other loaders.

In turn, run after run, the same samples are read by workers with

  ours        the dataset and pipeline of the config's train_dataloader
  decoding    the decoder alone, of the same span of frames, one thread for each worker: the
              ceiling of a loader that decodes every frame from a keyframe on (ours leaves out
              frames that nothing refers to, where the decoder can, and may pass it)
  mmaction2   its own dataset and pipeline for the same job, if it is installed
  whole file  ours, but decoding the whole file for every clip
  prepared    ours on the same videos as prepare_videos.py has written them (--prepared), the same
              with LoadClips(cut_on_device=True), and with clips out of one window (--window)

Then the transforms are timed one by one in this process. Rates are medians over the runs, ratios
are medians of the ratios within a run. A run that is not counted comes first, so files come from
memory, not from the disk. Without --videos, clips of 340x256 pixels in H.264 (10 s, 30 frames/s,
a keyframe at least every 250 frames) are made for the time of the measurement.

examples:
  benchmark_loader.py configs/mae_st_vitl_k400.py
  benchmark_loader.py configs/mae_st_vitl_k400.py --videos data/kinetics400/val --workers 4
  benchmark_loader.py configs/mae_st_vitl_k400.py --repeats 1 --backend decord --out decord.json
  benchmark_loader.py configs/mae_st_vitl_k400.py --runs 1 --soak 2000
  benchmark_loader.py configs/mae_st_vitl_k400.py --videos data/original --prepared data/videos
"""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from torch.utils.data import Dataset

from mmmae_st.command_line import add_config_options, load_config, short_errors, tool_parser
from mmmae_st.compat.versions import version_of
from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.datasets.readers import BACKENDS, VideoReadError
from mmmae_st.datasets.synthetic.clips import ClipSettings, random_scene
from mmmae_st.datasets.synthetic.scenes import render
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.fileio.video_writer import write_video
from mmmae_st.registry import type_name

try:
    from loader_benchmark import prepared as prepared_videos
    from loader_benchmark.mmaction2 import DELIMITER, UnavailableError, mmaction_dataset
    from loader_benchmark.references import VideoInfo, span_dataset, whole_file_dataset
    from loader_benchmark.timing import (
        TimedLoader,
        one_thread,
        soak,
        summarise,
        time_loaders,
        time_transforms,
        video_keys,
    )
except ModuleNotFoundError as missing:
    raise SystemExit(
        f'benchmark_loader.py needs a checkout: its references are not in the package ({missing})'
    ) from missing

SYNTHETIC = ClipSettings(num_frames=300, height=256, width=340)
NUM_SYNTHETIC = 8
GOP = 250  # x264's own choice, and as most files of the Kinetics sets have it


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config with a train_dataloader of ours')
    parser.add_argument(
        '--videos',
        nargs='+',
        metavar='PATH',
        help='files, or folders to look through; at most '
        '--num of them are used; by default clips are made',
    )
    parser.add_argument(
        '--prepared', metavar='FOLDER', help='the folder given by --videos, prepared'
    )
    parser.add_argument(
        '--window',
        type=float,
        metavar='SECONDS',
        help='with --prepared: also all clips of a video out of such a window, cut on the device',
    )
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='count processor time of the workers, on a machine that is busy otherwise',
    )
    parser.add_argument('--workers', type=int, default=1, help='worker processes of each loader')
    parser.add_argument(
        '--backend', choices=sorted(BACKENDS), help="decoder; by default the config's"
    )
    parser.add_argument('--repeats', type=int, help="clips of each video; by default the config's")
    parser.add_argument('--num', type=int, default=16, help='videos read in a run')
    parser.add_argument('--runs', type=int, default=5, help='counted runs of each loader')
    parser.add_argument(
        '--soak', type=int, metavar='N', help='then read N videos and watch the workers'
    )
    parser.add_argument('--out', help='write the figures to this JSON file')
    add_config_options(parser)
    return parser.parse_args(argv)


def find_videos(paths: list[str], number: int) -> list[str]:
    """At most so many files of those given and those in the folders given, evenly spread.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A folder holds no video.
    """
    files = []
    for path in paths:
        if os.path.isdir(path):
            files += [os.path.join(path, record['path']) for record in scan_folder(path)]
        elif os.path.isfile(path):
            files.append(path)
        else:
            raise FileNotFoundError(f'--videos: {path} is neither a file nor a folder')
    files = [os.path.abspath(file) for file in files]
    if len(files) > number:
        files = [files[i * len(files) // number] for i in range(number)]
    return files


def make_videos(folder: Path, number: int) -> list[str]:
    """Draw synthetic clips, and say so."""
    print(f'making {number} clips ...', flush=True)
    paths = [folder / f'{index}.mp4' for index in range(number)]
    for index, path in enumerate(paths):
        background, camera, sprites = random_scene(np.random.default_rng((0, index)), SYNTHETIC)
        frames = render(background, camera, sprites, SYNTHETIC.height, SYNTHETIC.width)
        write_video(path, frames, SYNTHETIC.fps, gop=GOP)
    return [str(path) for path in paths]


def build_dataset(
    cfg: Config,
    ann_file: str,
    repeats: int | None,
    backend: str | None,
    cut_on_device: bool = False,
    window: float | None = None,
) -> VideoDataset:
    """The training dataset of the config on other files.

    Raises:
        ValueError: The config has none that starts with ``LoadClips``, or the backend is not
            installed.
    """
    given = cfg.get('train_dataloader', {}).get('dataset', {})
    pipeline = [dict(step) for step in given.get('pipeline', [])]
    kind = type_name(given) or 'none'
    first = type_name(pipeline[0]) if pipeline else 'none'
    if (kind, first) != ('VideoDataset', 'LoadClips'):
        raise ValueError(
            'train_dataloader.dataset must be a VideoDataset whose pipeline starts with LoadClips, '
            f'got {kind} and {first}'
        )
    if repeats is not None:
        pipeline[0]['num_clips'] = repeats
    if backend is not None:
        pipeline[0]['backend'] = backend
    if cut_on_device:
        pipeline[0]['cut_on_device'] = True
    if window is not None:
        pipeline[0]['window'] = window
    init_default_scope(cfg.get('default_scope', 'mmmae_st'))
    dataset = DATASETS.build(
        dict(
            type='mmmae_st.VideoDataset',
            ann_file=ann_file,
            delimiter=DELIMITER,
            pipeline=pipeline,
            test_mode=True,
        )
    )
    return dataset


def measure(args: argparse.Namespace, files: list[str], folder: Path) -> dict:
    """All figures, plain data."""
    ann_file = write_list(folder / 'videos.txt', files)
    cfg = load_config(args.config, args.cfg_options)
    dataset = build_dataset(cfg, ann_file, args.repeats, args.backend)
    load: LoadClips = dataset.pipeline.transforms[0]
    infos = {file: VideoInfo.of(file, load.backend) for file in files}
    datasets: dict[str, Dataset] = dict(ours=dataset, decoding=span_dataset(dataset, infos))
    labels = dict(
        ours=f'ours, {load.backend}',
        decoding=f'decoding alone, {load.backend}',
        whole_file=f'whole file per clip, {load.backend}',
    )
    left_out = {}
    try:
        datasets['mmaction2'], labels['mmaction2'] = mmaction_dataset(dataset, ann_file)
    except UnavailableError as reason:
        left_out['mmaction2'] = str(reason)
    datasets['whole_file'] = whole_file_dataset(dataset, infos)
    if args.prepared:
        made = prepared_videos.prepared_files(files, args.videos, args.prepared)
        compared = prepared_videos.compare(files, made, args.prepared)
        prepared_list = write_list(folder / 'prepared.txt', made)
        kinds = dict(prepared=(False, None), prepared_uncut=(True, None))
        labels.update(prepared='ours, prepared', prepared_uncut='ours, prepared, cut on the device')
        if args.window is not None:
            kinds['prepared_window'] = (True, args.window)
            labels['prepared_window'] = f'the same, window={args.window:g}'
        for name, kind in kinds.items():
            datasets[name] = build_dataset(cfg, prepared_list, args.repeats, args.backend, *kind)

    one_thread()
    try:  # every file is read here once
        transforms = time_transforms(dataset, video_keys(args.num, 0, len(files)))
    except RuntimeError as error:
        if isinstance(error.__cause__, VideoReadError):
            raise ValueError(str(error)) from error
        raise
    loaders = {
        name: TimedLoader(data, args.workers, args.cpu_time) for name, data in datasets.items()
    }
    rates, held = time_loaders(loaders, len(files), args.num, args.runs)
    figures = dict(
        config=args.config,
        workers=args.workers,
        backend=load.backend,
        repeats=load.num_clips,
        clip_len=load.clip_len,
        num=args.num,
        runs=args.runs,
        cpu_time=args.cpu_time,
        machine=machine(),
        videos=describe(infos, args.videos is None),
        loaders=summarise(rates, load.num_clips),
        left_out=left_out,
        transforms=transforms,
        held=held,
    )
    for name, row in figures['loaders'].items():
        row['label'] = labels[name]
    if args.prepared:
        figures['prepared'] = compared
    if args.soak:
        figures['soak'] = soak(loaders['ours'], len(files), args.soak, (args.runs + 1) * args.num)
    return figures


def write_list(path: Path, files: list[str]) -> str:
    """Write a list that both datasets read; returns its path."""
    path.write_text(''.join(f'{file}{DELIMITER}0\n' for file in files))
    return str(path)


def machine() -> dict:
    """CPU and versions."""
    packages = ('torch', 'av', 'decord', 'mmaction2', 'opencv-python-headless')
    found = {package: version_of(package) for package in packages}
    return dict(cpus=os.cpu_count(), cpu=platform.processor() or platform.machine(), **found)


def describe(infos: dict[str, VideoInfo], synthetic: bool) -> dict:
    """The files in words."""
    seconds = [info.num_frames / info.fps for info in infos.values() if info.fps]
    return dict(
        number=len(infos),
        synthetic=synthetic,
        kinds=sorted({f'{info.width}x{info.height} {info.codec}' for info in infos.values()}),
        mean_seconds=float(np.mean(seconds)) if seconds else None,
    )


def report(figures: dict) -> None:
    """Print the figures for people."""
    videos, machine = figures['videos'], figures['machine']
    found = ', '.join(f'{name} {value}' for name, value in machine.items() if 'cpu' not in name)
    length = videos['mean_seconds']
    print(
        f'{figures["config"]}: {figures["repeats"]} clips of {figures["clip_len"]} frames from '
        f'each video, {figures["workers"]} workers, {figures["num"]} videos a run, '
        f'{figures["runs"]} runs{", processor time" if figures["cpu_time"] else ""}\n'
        f'{videos["number"]} {"synthetic " if videos["synthetic"] else ""}files, '
        f'{", ".join(videos["kinds"])}{"" if length is None else f", {length:.1f} s on average"}\n'
        f'{machine["cpus"]} x {machine["cpu"]}, {found}'
    )
    print(f'\n{"":34} {"videos/s":>8} {"slowest-fastest":>15} {"clips/s":>8} {"ours/this":>9}')
    for row in figures['loaders'].values():
        low, high = row['slowest_fastest']
        print(
            f'{row["label"]:34} {row["videos_per_second"]:8.2f} {low:7.2f}-{high:7.2f} '
            f'{row["clips_per_second"]:8.2f} {row["ours_over_this"]:9.2f}'
        )
    for name, reason in figures['left_out'].items():
        print(f'{name:34} not run: {reason}')
    if 'prepared' in figures:
        prepared_videos.report(figures['loaders'], figures['prepared'])
    print(f'\n{"in this process":34} {"ms/video":>8} {"share":>8}')
    for row in figures['transforms']:
        print(f'{row["name"]:34} {row["milliseconds"]:8.2f} {row["share"]:8.1%}')
    for name in ('held', 'soak'):
        print_held(figures.get(name, []))


def print_held(points: list[dict]) -> None:
    """Print what the workers held over time."""
    if not points:
        return
    print(f'\n{"videos read by ours":>19} {"videos/s":>9} {"MiB in each worker":>20} descriptors')
    for point in points:
        rate = point.get('videos_per_second')
        print(
            f'{point["videos"]:19} {"" if rate is None else f"{rate:.2f}":>9} '
            f'{" ".join(f"{mib:.0f}" for mib in point["rss_mib"]):>20} '
            f'{" ".join(map(str, point["descriptors"]))}'
        )


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    with short_errors():
        least = dict(workers=0, repeats=1, num=1, runs=1, soak=1)
        for name, bound in least.items():
            value = getattr(args, name)
            if value is not None and value < bound:
                raise ValueError(f'--{name} must be at least {bound}, got {value}')
        if args.window is not None and not args.prepared:
            raise ValueError('--window goes with --prepared')
        with tempfile.TemporaryDirectory() as folder:
            if args.videos:
                files = find_videos(args.videos, args.num)
            else:
                files = make_videos(Path(folder), min(NUM_SYNTHETIC, args.num))
            figures = measure(args, files, Path(folder))
        report(figures)
        if args.out:
            Path(args.out).write_text(json.dumps(figures, indent=2) + '\n')


if __name__ == '__main__':
    main()
