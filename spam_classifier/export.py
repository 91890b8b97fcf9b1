"""Export a trained run to other tools: ``python -m spam_classifier.export {transformers,onnx} ...``."""

import sys
from pathlib import Path

from spam_classifier.command_line import CommandLine, add_run_flags
from spam_classifier.errors import escape_control, importing, one_line_errors
from spam_classifier.runs.find import find_checkpoint

DESCRIPTION = """Export a trained run to other tools, with a model card:
  transformers DIRECTORY   for the text-classification pipelines of transformers, optimum and transformers.js
  onnx FILE.onnx           a graph from token ids and their mask to probabilities, for onnxruntime and others

Both give the run's calibrated probabilities. Neither format has a threshold, so the caller applies it. Other
differences are printed at the end and listed in the card."""
EPILOG = """Examples:
  %(prog)s transformers exported
  %(prog)s onnx exported.onnx --ckpt_path lightning_logs/version_3
  %(prog)s onnx exported.onnx --int8              a quarter of the size

transformers reads the last real token with causal attention. That suits a run of --config recommended; export one of
the book's recipe to onnx."""
KINDS = {
    "transformers": (
        "DIRECTORY",
        """Write a directory that opens with

  pipeline("text-classification", model="DIRECTORY")     from transformers 5 or newer

and with AutoModelForSequenceClassification. Neither needs this package, and the export does not need
transformers. Call the pipeline with truncation=True: otherwise it does not cut texts, and fails on those
longer than the run cuts texts to. onnx/model.onnx is for optimum and transformers.js; writing it needs onnx,
onnxscript and onnxruntime. LoRA is merged into the weights. The temperature and the head's bias have no place
in transformers and are folded into the weights exactly. A model that transformers cannot run the same way is
refused.""",
    ),
    "onnx": (
        "FILE.onnx",
        """Write a graph from input_ids and attention_mask, both int64 [batch, tokens], to logits and
probabilities, both float [batch, classes]. The file's metadata holds the labels, the threshold and what a
caller needs to prepare texts. The mask is 1 for tokens, then 0 for padding, whose id does not matter. The
graph fails on other masks, unknown ids and texts that were not cut. Above 2 GB the weights go to
FILE.onnx.data. The card is FILE.onnx.md.

The graph is run once and compared with the checkpoint. Needs onnx, onnxscript and onnxruntime.""",
    ),
}


def parser() -> CommandLine:
    """The command line."""
    common = CommandLine("export", add_help=False)
    add_run_flags(common)
    main_parser = CommandLine("export", description=DESCRIPTION, epilog=EPILOG)
    kinds = main_parser.add_subparsers(dest="kind", required=True, metavar="{transformers,onnx}")
    for kind, (place, text) in KINDS.items():
        of_kind = kinds.add_parser(kind, description=text, parents=[common])
        of_kind.add_argument("target", type=Path, metavar=place, help="where to write")
    of_kind.add_argument(
        "--int8",
        action="store_true",
        help="weights of 8 bits: a quarter of the size, usually faster, and refused if they change more than 1%% of "
        "the labels of the run's test split",
    )
    return main_parser


def main() -> None:
    """Write the export, and print what its users have to know."""
    arguments = parser().parse_args()
    with one_line_errors():
        with importing():
            from spam_classifier.exporting.onnx_export import export_to_onnx
            from spam_classifier.exporting.transformers_export import export_to_transformers
            from spam_classifier.inference.classifier import load_classifier

        checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
        classifier, target = load_classifier(checkpoint), arguments.target
        if arguments.kind == "onnx":
            notes = export_to_onnx(classifier, target, int8=arguments.int8)
        else:
            notes = export_to_transformers(classifier, target)
        print(escape_control(f"written {target}"))
        print(*map(escape_control, [f"checkpoint {checkpoint}", *notes]), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
