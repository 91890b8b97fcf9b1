"""The commands, by name: ``python -m spam_classifier COMMAND ...``, and the console script ``spam-classifier``."""

import runpy
import sys

from spam_classifier import hints
from spam_classifier.errors import did_you_mean, refuse_usage

COMMANDS = {
    "fit": "train a classifier, or resume a training",
    "validate": "evaluate a run on its validation split",
    "test": "evaluate a run on its test split",
    "predict": "classify texts, files and e-mails",
    "serve": "serve a run over HTTP, with a web page",
    "export": "write a run for transformers or ONNX",
    "experiments": "train configs over seeds and sizes, into one table",
    "search": "search the settings that suit a corpus",
    "baseline": "compare a run with linear baselines",
    "robustness": "measure how much spam gets through with tricks",
    "label_errors": "list labels of a run's messages that are probably wrong",
    "rerun": "train a run again and compare",
}
HELP = """usage: {program} COMMAND [options]

{commands}

A run is named by --ckpt_path: its directory, a checkpoint, best or last; without, commands use the newest run in
lightning_logs here, or under --root DIR. COMMAND --help lists all options. To begin with, without a download:

  {fit}
  {predict}"""


def main() -> None:
    """Run the command that is named, or list them all."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(help_text())
        return
    if name == "train":
        refuse_usage(f"leave out train: type {hints.program('fit')}, validate or test")
    if name not in COMMANDS:
        meant = did_you_mean(name, COMMANDS) or f": use one of {', '.join(COMMANDS)}"
        refuse_usage(f"there is no command {name!r}{meant}")
    module = "train" if name in hints.OF_TRAIN else name
    if module == name:
        del sys.argv[1]
    # as its own main module, which is what Lightning launches again for further processes
    runpy.run_module(f"spam_classifier.{module}", run_name="__main__", alter_sys=True)


def help_text() -> str:
    """What ``--help`` prints."""
    commands = "\n".join(f"  {name:<14}{what}" for name, what in COMMANDS.items())
    return HELP.format(
        program=hints.package_program(),
        commands=commands,
        fit=hints.command_line("fit", "--config", "quickstart"),
        predict=hints.command_line("predict", hints.EXAMPLE),
    )


if __name__ == "__main__":
    main()
