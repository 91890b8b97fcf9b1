"""The commands, by name: ``python -m spam_classifier COMMAND ...``, and the console script ``spam_classifier``."""

import runpy
import sys

COMMANDS = {
    "train": "train (fit), validate and test a classifier",
    "predict": "classify texts, files and e-mails with a trained run",
    "serve": "serve a trained run over HTTP, with a web page",
    "export": "write a trained run for transformers or ONNX",
    "experiments": "train configs over seeds and sizes, into one table",
    "baseline": "compare a run with linear baselines",
    "rerun": "train a run again and compare",
}
HELP = (
    "usage: python -m spam_classifier COMMAND [options]\n\n"
    + "\n".join(f"  {name:<13}{what}" for name, what in COMMANDS.items())
    + "\n\nCOMMAND --help lists its options."
)


def main() -> None:
    """Run the command that is named, or list them all."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(HELP)
        return
    if name not in COMMANDS:
        print(f"error: there is no command {name!r}: use one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    del sys.argv[1]
    # as its own main module, which is what Lightning launches again for further processes
    runpy.run_module(f"spam_classifier.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
