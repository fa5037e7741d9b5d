"""Answer images, a video, a camera or texts with a bundle: classes, the boxes of a detector, or embeddings.

The golden set is replayed first: a bundle that answers otherwise here is not used. Videos, cameras and addresses run
under the governor, in a process that may be replaced; so do images when one of its limits is named.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.cli.live_options import add_limits, add_mqtt, add_sparing
from shoestring.cli.slot_options import add_slots, bundle_for
from shoestring.cli.trust_options import add_trusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.bundle import Bundle
    from shoestring.device import Player
    from shoestring.domain.preprocess import Preprocess

EXAMPLE = "shoestring run camera.shoe photo.jpg photos/"
MAX_TOP = 5  # classes that an answer keeps
SIDES = ("left", "top", "right", "bottom")


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", nargs="?", help="left out with --slots")
    parser.add_argument(
        "files",
        nargs="*",
        metavar="SOURCE",
        help="images and folders of them; or one video file, camera (/dev/video0) or address (rtsp://...); of an "
        "encoder texts, .txt files, folders of them, or - for a text a line",
    )
    parser.add_argument("--rung", help="name of the rung (default: the chosen one)")
    parser.add_argument(
        "--cascade",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="run the bundle's cascade, or not (default: where it has one, unless a rung or a latency is named)",
    )
    parser.add_argument("--latency", metavar="5ms", help="the most accurate rung within this latency")
    parser.add_argument("--threads", type=int, metavar="N", help="compute threads (default: the rung's own)")
    parser.add_argument(
        "--top", type=int, default=1, metavar="K", help=f"classes to show for each image, at most {MAX_TOP}"
    )
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help="of a model that writes: longest answer (default: as it ends)"
    )
    parser.add_argument("--temperature", type=float, metavar="T", help="likewise: 0 (default) takes the likeliest word")
    add_trusted(parser)
    add_slots(parser)
    add_sparing(parser)
    group = parser.add_argument_group("what is left behind")
    group.add_argument("--results", type=Path, metavar="FILE", help="every result as a line of JSON")
    group.add_argument("--video", type=Path, metavar="FILE", help="the video with its boxes (.mp4 or .avi)")
    add_limits(parser)
    add_mqtt(parser)


def settle(arguments: argparse.Namespace) -> None:
    """With --slots the first word is a source and no bundle. Raises UsageError where no source is left."""
    from shoestring.base.errors import UsageError

    if arguments.bundle is not None and arguments.slots is not None:
        arguments.files = [arguments.bundle, *arguments.files]
        arguments.bundle = None
    if not arguments.files:
        raise UsageError("nothing to answer was named", hint=f"{EXAMPLE}; shoestring run --help")
    arguments.bundle = None if arguments.bundle is None else Path(arguments.bundle)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import EngineError, TrustError, UsageError
    from shoestring.cli import console
    from shoestring.cli.run_live import is_live, run_live
    from shoestring.cli.run_text import answer_texts
    from shoestring.cli.run_writer import write_answers
    from shoestring.device import expand

    settle(arguments)
    if is_live(arguments):
        return run_live(arguments)
    if not 1 <= arguments.top <= MAX_TOP:
        raise UsageError(f"--top {arguments.top} is outside 1..{MAX_TOP}", hint="write --top 5")
    with contextlib.ExitStack() as stack:
        bundle, watching = bundle_for(arguments, stack)
        try:
            if bundle.manifest.text is not None:
                answered = answer_texts(arguments, bundle, stack)
            elif bundle.manifest.generation is not None:
                answered = write_answers(arguments, bundle, stack)
            else:
                answered = _answer(arguments, bundle, expand(arguments.files), stack)
        except (EngineError, TrustError) as error:
            if watching is not None and watching.blames(error):
                console.say(str(watching.leaving))
            raise
        if watching is not None:
            watching.counted(answered, 0)
            watching.ended()
    return 0


def _answer(arguments: argparse.Namespace, bundle: Bundle, files: Sequence[Path], stack: contextlib.ExitStack) -> int:
    """Answer the images; returns how many."""
    from shoestring.base.units import parse_ms
    from shoestring.cli import console
    from shoestring.cli.trust_options import hold
    from shoestring.device import Player, read_image

    latency_ms = parse_ms(arguments.latency) if arguments.latency is not None else None
    signed = hold(bundle, arguments)  # before anything of it is run
    player = stack.enter_context(
        Player(
            bundle,
            rung=arguments.rung,
            threads=arguments.threads,
            latency_ms=latency_ms,
            cascade=arguments.cascade,
        )
    )
    spec = bundle.manifest.pixels
    console.say(f"{_what(player)}; {player.replayed} golden inputs replayed; {signed}")
    if bundle.manifest.head is not None:
        return _detect(arguments, player, spec, files)
    rows = []
    for path, answer in zip(files, player.classify(read_image(path, spec) for path in files), strict=True):
        shown = answer.top[: arguments.top]
        rows.append(
            {
                "file": path,
                "top": [{"index": i, "label": name, "score": s} for i, name, s in shown],
                "rung": answer.rung,
                "stages": answer.stages,
            }
        )
        if not arguments.json:
            words = ", ".join(f"{name} {100 * score:.1f} %" for _, name, score in shown)
            print(f"{path}: {words}" + (f" [{answer.rung}]" if player.cascade else ""), flush=True)
    if arguments.json:
        console.show_json(
            {
                "rung": player.rung.name,
                "threads": player.threads,
                "cascade": [rung.name for rung in player.rungs] if player.cascade else None,
                "answers": rows,
            }
        )
    elif player.cascade:
        counts = ", ".join(f"{rung.name} {_count(rows, rung.name)}" for rung in player.rungs)
        console.say(f"answered by: {counts} of {len(rows)}")
    return len(files)


def _detect(arguments: argparse.Namespace, player: Player, spec: Preprocess, files: Sequence[Path]) -> int:
    """One line a box, in pixels of the picture as it is shown; `nothing` for a picture without one."""
    from shoestring.cli import console
    from shoestring.device import read_picture

    rows = []
    for path in files:
        picture = read_picture(path, spec)
        width, height = picture[1]
        boxes: list[dict[str, Any]] = [
            {
                "index": box.index,
                "label": box.label,
                "score": box.score,
                "left": box.left * width,
                "top": box.top * height,
                "right": box.right * width,
                "bottom": box.bottom * height,
            }
            for box in next(player.detect([picture]))
        ]
        rows.append({"file": path, "width": width, "height": height, "boxes": boxes, "rung": player.rung.name})
        if not arguments.json:
            words = [
                f"{box['label']} {100 * box['score']:.1f} % ({', '.join(f'{box[side]:.0f}' for side in SIDES)})"
                for box in boxes
            ]
            print(f"{path}: {'; '.join(words) or 'nothing'}", flush=True)
    if arguments.json:
        console.show_json({"rung": player.rung.name, "threads": player.threads, "answers": rows})
    return len(files)


def _what(player: Player) -> str:
    """What runs, in words."""
    if player.cascade is None:
        return f"rung {player.rung.name}, {player.threads} thread(s)"
    stages = " > ".join(f"{rung.name}, {rung.threads} thread(s)" for rung in player.rungs)
    return f"cascade {stages}, by {player.cascade.measure}"


def _count(rows: list[dict[str, Any]], rung: str) -> int:
    return sum(row["rung"] == rung for row in rows)
