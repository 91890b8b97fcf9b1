"""Classify texts, files and e-mails: ``python -m spam_classifier.predict "text" ...``."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from spam_classifier.command_line import CommandLine, add_classifier_flags
from spam_classifier.errors import UserError, escape_control, importing, one_line_errors
from spam_classifier.judging.abstain import HELP as ABSTAIN
from spam_classifier.judging.abstain import abstain, least_probability
from spam_classifier.runs.find import find_checkpoint, run_directory

if TYPE_CHECKING:
    from spam_classifier.data.rows import Input
    from spam_classifier.inference.classifier import Classifier
    from spam_classifier.judging.output import Tally

DESCRIPTION = """Classify texts with a trained run.

Texts are arguments, lines of standard input, or rows of a file. Label, probability and text of each are printed,
separated by tabs where standard output is no terminal. The probability is that of the second of two classes (spam), so
that the output can be sorted by it; with more classes it is that of the label. Notes go to standard error.
With --output they are written to a file, next to the columns of the input: predicted, probability (as above),
probability_CLASS for each class, threshold, truncated (whether the text was longer than the model reads)."""
EXAMPLES = """examples:
  %(prog)s "You have won a prize, call now" "See you at seven?"
  %(prog)s < messages.txt
  %(prog)s --input messages.csv --output labels.csv
  %(prog)s --input tickets.jsonl --text_column body --output labels.jsonl
  %(prog)s --input mails --threshold 0.9
  %(prog)s --input messages.csv --abstain 99%%

Files of any size are read in chunks. The output is written as FILE.incomplete and renamed when complete. Rows that
can't be classified (another number of fields than the header, no text) are reported and listed in FILE.rejected.csv;
the others are classified. Encoding, separator and columns of a file are found out, and told unless they are the usual
ones.

In a .csv, strings are quoted and otherwise unchanged. It has the separator of the input, and a byte order mark where
Excel needs one. Spreadsheets take cells that start with = + - or @ for formulas: import such columns as text."""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = CommandLine("predict", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("texts", nargs="*", metavar="text", help="a text; or - for standard input, a text on each line")
    parser.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="a .csv, .tsv, .jsonl or .parquet with a column of texts (no labels needed), a .txt with a text on each "
        "line, an .eml or .mbox, or a directory of e-mails",
    )
    parser.add_argument(
        "--text_column",
        metavar="NAME",
        help="the column of the texts, its name or its number from 1; several, as in '[subject, body]', are joined "
        "(default: recognised by its name, such as text, message or v2)",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="the encoding of a text file (default: by its byte order mark, else UTF-8, else guessed)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .csv or .jsonl to write (default: print)")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first row that can't be classified, with status 1"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which the second of two classes is predicted (default: the one the run chose)",
    )
    parser.add_argument("--abstain", type=abstain, metavar="P", help=ABSTAIN)
    add_classifier_flags(parser)
    arguments = parser.parse_args()
    if arguments.text_column is not None and arguments.input is None:
        parser.error("--text_column has no effect without an --input")
    if arguments.encoding is not None and arguments.texts not in ([], ["-"]):
        parser.error("--encoding has no effect on texts that are typed")
    if arguments.overwrite and arguments.output is None:
        parser.error("--overwrite has no effect without an --output")
    return arguments


def main() -> None:
    """Classify what the command line names, and print or write the labels."""
    arguments = parse()
    for stream in (sys.stdout, sys.stderr):  # whatever the terminal's encoding
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with one_line_errors():
        if arguments.threshold is not None and not 0 <= arguments.threshold <= 1:
            raise UserError(f"--threshold {arguments.threshold}: give a probability, from 0 to 1")
        try:
            _run(arguments)
        except BrokenPipeError:  # the reader of the output has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: argparse.Namespace) -> None:
    with importing():
        import torch

        from spam_classifier.inference.classifier import chosen_device, load_classifier
        from spam_classifier.judging.judge import judge
        from spam_classifier.judging.output import Output, check_output
        from spam_classifier.judging.screen import Screen
        from spam_classifier.models.packed_blocks import slow_precision
    output, device = arguments.output, chosen_device(arguments.accelerator)
    if output:
        check_output(output, arguments.input, arguments.overwrite)
    checkpoint = find_checkpoint(arguments.ckpt_path, arguments.root)
    source = _source(arguments)
    told = source.notes.line()
    if told:
        _note(escape_control(f"note: {source.name}: {told}"))
    if slow := slow_precision(arguments.precision, torch.device(device)):
        _note(f"note: {slow}")
    classifier = load_classifier(checkpoint, device, arguments.precision, windows=arguments.windows)
    classifier.check_threshold(arguments.threshold)
    least = None
    if arguments.abstain is not None:
        threshold = classifier.threshold if arguments.threshold is None else arguments.threshold
        least, told = least_probability(arguments.abstain, checkpoint, classifier.labels, threshold)
        _note(f"note: {told}")
    sink: Output | Screen
    if output:
        sink = Output(output, source, classifier.labels)
    else:
        sink = Screen(sys.stdout, classifier.labels, abstains=least is not None)
    tally = judge(classifier, source, sink, arguments.threshold, least, strict=arguments.strict)
    _summarize(tally, source, classifier, output)


def _source(arguments: argparse.Namespace) -> "Input":
    from spam_classifier.data.columns import Layout, given_columns
    from spam_classifier.judging.inputs import argument_input, open_input, standard_input

    texts, path = arguments.texts, arguments.input
    if texts and path:
        raise UserError("texts and --input do not go together: give one of them")
    if path and str(path) != "-":
        layout = Layout(given_columns(arguments.text_column), encoding=arguments.encoding)
        return open_input(path, layout, arguments.output and arguments.output.suffix.lower())
    if texts and texts != ["-"]:
        return argument_input(texts)
    if not texts and not path and sys.stdin.isatty():
        raise UserError('nothing to classify: give texts, as in "See you at seven?", pipe lines in, or name an --input')
    return standard_input(arguments.encoding)


def _summarize(tally: "Tally", source: "Input", classifier: "Classifier", output: Path | None) -> None:
    from spam_classifier.judging.output import rejected_path
    from spam_classifier.runs.describe import COLLECTION, SAMPLE, describe_run

    _note(escape_control(f"checkpoint {classifier.checkpoint}"))
    if counted := source.notes.counted():
        _note(escape_control(f"note: {source.name}: {counted}"))
    if source.unit in ("file", "mail"):
        corpus = describe_run(run_directory(Path(classifier.checkpoint))).corpus
        if corpus in (COLLECTION, SAMPLE):
            _note(f"note: the model learned from {corpus}, which holds no e-mails: it is no e-mail filter")
    if tally.truncated:
        done = "judged by their worst window" if classifier.windows else "cut"
        _note(
            f"note: {tally.truncated:,} of {tally.classified:,} texts were {done}: the model reads up to "
            f"{classifier.max_length} tokens"
        )
    if tally.unsure:
        _note(f"note: {tally.unsure:,} of {tally.classified:,} texts got no label, as none is probable enough")
    if output or tally.rejected:
        listed = f" ({rejected_path(output)})" if output and tally.rejected else ""
        into = f", into {output}" if output else ""
        _note(f"rows in: {tally.read:,} = {tally.classified:,} classified{into} + {tally.rejected:,} rejected{listed}")
    if tally.rejected and not tally.classified:
        raise UserError("nothing was classified: no row holds a text that can be read")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
