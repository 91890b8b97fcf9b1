"""A classifier as an ONNX file with its model card."""

import copy
from pathlib import Path

from spam_classifier.errors import UserError
from spam_classifier.exporting.int8_graph import quantize_graph
from spam_classifier.exporting.model_card import caller_notes, model_card
from spam_classifier.exporting.onnx_graph import write_graph
from spam_classifier.exporting.outputs import whole_files
from spam_classifier.inference.classifier import Classifier
from spam_classifier.models.lora import merge_lora


def export_to_onnx(classifier: Classifier, file: Path, *, overwrite: bool = False, int8: bool = False) -> list[str]:
    """Write the graph and its model card, after running it and comparing it with the classifier.

    Args:
        classifier: The classifier, whose network still has its blocks.
        file: Where to write the graph; the card goes next to it.
        overwrite: Replace a former export.
        int8: Write the graph with weights of 8 bits, if it gives nearly the same labels.

    Returns:
        What the caller has to take care of, a sentence each.

    Raises:
        UserError: The file can't have that name or place, or the graph has other probabilities than the classifier.
    """
    if file.suffix != ".onnx":
        raise UserError(f"{file}: an ONNX file's name ends in .onnx: name it {file.name}.onnx")
    notes = _notes(classifier)
    data, card = (file.with_name(f"{file.name}{suffix}") for suffix in (".data", ".md"))
    model = copy.deepcopy(classifier.model).float()
    merge_lora(model.backbone)
    with whole_files(file, (data, card), overwrite=overwrite) as written:
        if int8:
            exact = written / "float32.onnx"  # removed with the temporary directory
            write_graph(classifier, model, exact)
            notes += quantize_graph(classifier, exact, written / file.name)
            printed = notes
        else:
            printed = [*notes, write_graph(classifier, model, written / file.name)]
        (written / card.name).write_text(model_card(classifier, "onnx", file.name, notes), encoding="utf-8")
    return printed


def _notes(classifier: Classifier) -> list[str]:
    settings = classifier.model.settings
    kept = {"head": "the first ones", "tail": "the last ones", "both": "half of them from each end"}[settings["keep"]]
    notes = [
        f"The caller cuts longer texts to {classifier.max_length} tokens, {kept}, as in training. Padding goes to the "
        "right. The graph fails on longer texts, other padding and unknown ids."
    ]
    if length := classifier.model.fixed_length:
        notes.append(
            f"The label depends on the padding: the caller pads every row to {length} tokens, as in training. The "
            "graph fails on other widths."
        )
    return [*notes, *caller_notes(classifier, "The graph")]
