"""`python -m simcore`: the algorithm's command line."""

from __future__ import annotations

import argparse
import os
import sys

from simcore.commands import ablate, distill, draw, export, import_dataset, import_teacher, inspect, pretrain
from simcore.commands.common import CommandError

EXIT_BAD_INPUT = 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simcore", description="One-step diffusion distillation.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    distill.add_distill(commands.add_parser("distill", help="distil a teacher into a one-step student"))
    pretrain.add_pretrain(commands.add_parser("pretrain", help="train a teacher on a data set"))
    pretrain.add_train_classifier(commands.add_parser("train-classifier", help="train a feature extractor"))
    import_teacher.add_import_teacher(
        commands.add_parser("import-teacher", help="turn a published checkpoint into a teacher")
    )
    import_dataset.add_import_dataset(commands.add_parser("import-dataset", help="check a data set image by image"))
    inspect.add_sample(commands.add_parser("sample", help="draw a grid of samples"))
    draw.add_draw(commands.add_parser("draw", help="draw single images, each from its own request"))
    inspect.add_evaluate(commands.add_parser("evaluate", help="measure a student or a teacher"))
    export.add_export(commands.add_parser("export", help="write a student's weights for use elsewhere"))
    ablate.add_ablate(commands.add_parser("ablate", help="compare objectives, weights and times as in Figure 2"))
    return parser


def main() -> int:
    # Before torch is imported: its threads sleep while they wait. Spinning, they starve on a core that others use,
    # and an iteration takes ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = build_parser().parse_args()
    try:
        code: int = arguments.command(arguments)
        return code
    except (CommandError, ValueError, OSError, RuntimeError) as error:
        print(f"error: {_message(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return 130


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
