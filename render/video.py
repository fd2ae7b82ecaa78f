"""Files of pictures: a still, or a film that is written as its frames are drawn. A file appears whole or not at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ..core.config import UsageError

SAMPLED = 16  # frames from which the colours of a .gif are chosen
COLOURS = 256  # of a .gif
BITS = 5  # of each of red, green and blue, by which a pixel's colour is looked up


def write_png(frame: np.ndarray, path: Path) -> None:
    """Write a picture (H, W, 3)."""
    from PIL import Image

    with _whole(path, ".png") as part:
        Image.fromarray(frame).save(part, format="PNG")


def write_mp4(frames: Iterable[np.ndarray], path: Path, fps: float = 4) -> None:
    """Write pictures (H, W, 3) of one even shape as a film."""
    with _whole(path, ".mp4") as part:
        rest = iter(frames)
        first = next(rest)
        pixels = (frame.tobytes() for frame in chain([first], rest))
        quality = ["-crf", "20", "-preset", "veryfast", "-tune", "animation", "-movflags", "+faststart"]
        _encode(pixels, first.shape, part, fps, "rgb24", ["-c:v", "libx264", "-pix_fmt", "yuv420p", *quality])


def write_gif(frames: Iterable[np.ndarray], path: Path, fps: float = 4) -> None:
    """Write pictures (H, W, 3) of one shape as a film that repeats, all in colours of its first frames."""
    with _whole(path, ".gif") as part:
        rest = iter(frames)
        first = list(islice(rest, SAMPLED))
        palette, nearest = _colours(np.stack(first))
        entries = np.pad(palette[:, ::-1], ((0, 0), (0, 1)), constant_values=255).tobytes()  # blue, green, red, opaque
        indexed = (nearest[_key(frame)].tobytes() + entries for frame in chain(first, rest))
        _encode(indexed, first[0].shape, part, fps, "pal8", ["-c:v", "gif", "-loop", "0"])


def _encode(
    frames: Iterable[bytes], shape: tuple[int, ...], part: Path, fps: float, pixels: str, options: Sequence[str]
) -> None:
    """Pipe frames, one at a time, to the ffmpeg that imageio brings. Raises OSError where it fails."""
    import imageio_ffmpeg

    source = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{shape[1]}x{shape[0]}", "-r", f"{fps:g}", "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *source, "-an", *options, str(part)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        assert encoder.stderr is not None
        try:
            for frame in frames:
                encoder.stdin.write(frame)
            encoder.stdin.close()
        except BrokenPipeError:
            pass  # what it says is told below
        except BaseException:
            encoder.kill()
            raise
        said = encoder.stderr.read().decode(errors="replace").strip()
    if encoder.returncode:
        raise OSError(said.splitlines()[-1] if said else f"ffmpeg ended with code {encoder.returncode}")


def _colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A palette (256, 3) uint8 for `pixels` (..., 3), and which of it is nearest to each colour of `BITS` bits."""
    from PIL import Image

    kinds, where, counts = np.unique(_key(pixels.reshape(-1, 3)), return_index=True, return_counts=True)
    shown = pixels.reshape(-1, 3)[where]
    if len(kinds) > COLOURS:  # rare shades count too, but less than those that fill the picture
        weighted = np.repeat(shown, np.clip(np.sqrt(counts), 1, 200).astype(int), axis=0)
        chosen = Image.fromarray(weighted[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT).getpalette() or []
        frequent = shown[np.argsort(-counts, kind="stable")[: COLOURS // 2]]  # flat areas keep their exact colour
        shown = np.concatenate([frequent, np.array(chosen, np.uint8).reshape(-1, 3)[: COLOURS - len(frequent)]])
    palette = np.zeros((COLOURS, 3), np.uint8)
    palette[: len(shown)] = shown
    axis = (np.arange(1 << BITS) * 2 + 1) << (7 - BITS)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.empty(len(grid), np.uint8)
    for start in range(0, len(grid), 4096):
        apart = grid[start : start + 4096, None] - palette[None, : len(shown)].astype(int)
        nearest[start : start + 4096] = (apart**2).sum(axis=-1).argmin(axis=1)
    nearest[_key(palette[: len(shown)])] = np.arange(len(shown))
    return palette, nearest


def _key(pixels: np.ndarray) -> np.ndarray:
    """The first `BITS` bits of red, green and blue (..., 3), as one index."""
    red, green, blue = (pixels[..., k].astype(np.int32) >> (8 - BITS) for k in range(3))
    return (red << 2 * BITS) | (green << BITS) | blue


@contextmanager
def _whole(path: Path, suffix: str) -> Iterator[Path]:
    """Write beside, then rename. Raises UsageError for another suffix, or where the path cannot be written."""
    if path.suffix.lower() != suffix:
        raise UsageError(f"cannot write a picture to {str(path)!r}; give a path that ends in {suffix}")
    part = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        part.touch()  # so that a path that cannot be written is known before anything is drawn
        yield part
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot write {str(path)!r}: {error.strerror or error}; give a path that you may write"
        ) from None
    finally:
        part.unlink(missing_ok=True)
