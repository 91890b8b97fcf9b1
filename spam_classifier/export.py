"""Turn a trained run into what other tools open: ``python -m spam_classifier.export {transformers,onnx} ...``."""

import argparse
from pathlib import Path
from typing import Protocol

from spam_classifier.errors import escape_control, one_line_errors
from spam_classifier.exporting.model_card import ONNX, TRANSFORMERS
from spam_classifier.exporting.transformers_export import export_to_transformers
from spam_classifier.inference.classifier import Classifier, load_classifier
from spam_classifier.runs.find import add_checkpoint_flags, find_checkpoint

DESCRIPTION = """Turn a trained run into what other tools open, with a model card beside it:
  transformers DIRECTORY   weights, configuration and tokenizer for transformers' text-classification pipeline
  onnx FILE.onnx           a graph from token ids and lengths to probabilities, for onnxruntime and others

Both give the run's calibrated probabilities. Its threshold stays with the caller, as neither format has
one; what else differs is said at the end, and stands in the card."""
EPILOG = """Examples:
  export transformers exported
  export onnx exported.onnx --ckpt_path lightning_logs/version_3/checkpoints/last.ckpt
  export transformers exported --overwrite        after another training

transformers reads the last real token in causal attention: a run of configs/recommended.yaml has that,
one of the book's recipe has not, and goes to onnx."""
TRANSFORMERS_HELP = """Write a directory that opens by

  pipeline("text-classification", model="DIRECTORY")     from transformers 5 or newer

and by AutoModelForSequenceClassification. Neither needs this package, and writing does not need transformers.
Call the pipeline with truncation=True: it cuts no text otherwise, and fails at those beyond the model's context.
LoRA is merged into the weights; the temperature and the head's bias, for which transformers has no place,
are folded into them exactly. A model that it can't run the same way is refused."""
ONNX_HELP = """Write a graph: input_ids int64 [batch, tokens] and lengths int64 [batch], the real tokens of each row, to
probabilities float [batch, classes], for any batch and length. Labels, threshold and what a caller needs to
prepare its texts stand in the file's metadata. Rows are padded on the right, with any id, unless the end of
the command says otherwise. Over 2 GB the weights lie beside it, in FILE.onnx.data; the card is FILE.onnx.md.

It is run once and compared with the checkpoint. Needs pip install 'spam_classifier[export]'."""


class Export(Protocol):
    """Writes a classifier to a place, and returns what its users have to know."""

    def __call__(self, classifier: Classifier, target: Path, /, *, overwrite: bool) -> list[str]:
        """Write it."""
        ...


def parser() -> argparse.ArgumentParser:
    """The command line."""
    everywhere = argparse.ArgumentParser(add_help=False)
    add_checkpoint_flags(everywhere)
    everywhere.add_argument("--overwrite", action="store_true", help="replace a former export")
    raw = argparse.RawDescriptionHelpFormatter
    main_parser = argparse.ArgumentParser(
        prog="python -m spam_classifier.export", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw
    )
    kinds = main_parser.add_subparsers(dest="kind", required=True, metavar="{transformers,onnx}")
    for kind, place, text in (
        (TRANSFORMERS, "DIRECTORY", TRANSFORMERS_HELP),
        (ONNX, "FILE.onnx", ONNX_HELP),
    ):
        of_kind = kinds.add_parser(kind, description=text, parents=[everywhere], formatter_class=raw)
        of_kind.add_argument("target", type=Path, metavar=place, help="where to write")
    return main_parser


def _export_of(kind: str) -> Export:
    if kind == TRANSFORMERS:
        return export_to_transformers
    from spam_classifier.exporting.onnx_export import export_to_onnx  # refuses to be imported without its extra

    return export_to_onnx


def main() -> None:
    """Write the export, and say what its users have to know."""
    arguments = parser().parse_args()
    with one_line_errors():
        export = _export_of(arguments.kind)
        checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
        print(escape_control(f"checkpoint {checkpoint}"))
        notes = export(load_classifier(checkpoint), arguments.target, overwrite=arguments.overwrite)
        print(f"written {arguments.target}", *notes, sep="\n")


if __name__ == "__main__":
    main()
