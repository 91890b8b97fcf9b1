"""A run's answers to REFORMS, a checklist for claims that rest on machine learning.

Kapoor et al. 2024, "REFORMS: Consensus-based Recommendations for Machine-learning-based Science", Science Advances 10,
doi:10.1126/sciadv.adk3452. The items are in our words; their numbers are those of the paper's Table 1.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from spam_classifier.runs.describe import COLLECTION, RunDescription
from spam_classifier.runs.provenance import PROVENANCE

ITEMS = {
    "Goals": {
        "1a": "Which population or distribution is the claim about?",
        "1b": "Why that one?",
        "1c": "Why machine learning?",
    },
    "Reproducibility": {
        "2a": "Which data, so that others find the same?",
        "2b": "Which code, in which version?",
        "2c": "Which machine?",
        "2d": "Is there a README with instructions?",
        "2e": "Is there a script that produces the results?",
    },
    "Data": {
        "3a": "Where, when and how were the data collected and labelled?",
        "3b": "From what were they sampled?",
        "3c": "Why do they suit the task?",
        "3d": "What is predicted, and how is it distributed?",
        "3e": "How many samples are there, of which outcome?",
        "3f": "How much is missing?",
        "3g": "Why do they represent what the claim is about?",
    },
    "Preprocessing": {
        "4a": "What was left out, and why?",
        "4b": "What happens to impossible or damaged samples?",
        "4c": "How were raw data transformed?",
    },
    "Modelling": {
        "5a": "Which models were trained?",
        "5b": "Why these?",
        "5c": "How were they evaluated, on which splits?",
        "5d": "How was the reported one chosen?",
        "5e": "How were its settings tuned?",
        "5f": "Which baselines is it compared with?",
    },
    "Leakage": {
        "6a": "Does preparation and modelling use the training data only?",
        "6b": "How are repeats and dependencies between training and test data treated?",
        "6c": "Is every input legitimate for the task?",
    },
    "Metrics and uncertainty": {
        "7a": "Which metrics are used, and do they suit?",
        "7b": "How uncertain are they, and how was that computed?",
        "7c": "Which statistical tests are used, and do their assumptions hold?",
    },
    "Limits": {
        "8a": "What shows that it holds elsewhere?",
        "8b": "Where is it not expected to hold?",
    },
}


class Item(NamedTuple):
    """An item of the checklist; an empty answer means that the run does not know."""

    number: str
    asks: str
    answer: str


def checklist(
    metrics: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], described: RunDescription
) -> dict[str, list[Item]]:
    """The items by section.

    Args:
        metrics: What ``metrics.json`` holds.
        settings: The run's ``config.yaml``.
        described: The run in words.
    """
    answers = dict(_answers(metrics, settings, described))
    return {
        section: [Item(number, asks, answers.get(number, "")) for number, asks in items.items()]
        for section, items in ITEMS.items()
    }


def _answers(
    metrics: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], described: RunDescription
) -> Iterator[tuple[str, str]]:
    data, model, trainer = (settings.get(part, {}) for part in ("data", "model", "trainer"))
    made, audit = metrics.get(PROVENANCE, {}), metrics.get("audit") or {}
    corpus, splits = audit.get("corpus", {}), audit.get("splits", {})
    has_baselines, of_collection = bool(metrics.get("baselines")), described.corpus == COLLECTION
    yield from _reproducibility(made, described)
    if of_collection:
        yield (
            "3a",
            "SMS put together and labelled by Almeida et al. 2011 (doi:10.1145/2034691.2034742), who describe the "
            "sources.",
        )
    if corpus:
        yield "3d", f"One label of each message: {_counts(corpus['classes'])}."
        yield "3e", _sizes(splits)
    skipped = audit.get("left_out_rows", 0)
    yield (
        "3f",
        f"{skipped:,} rows without a text or a label were left out; left_out_rows.csv lists them."
        if skipped
        else "Nothing: all rows of the corpus that hold anything have a text and a label.",
    )
    if data:
        yield "4a", _left_out(data, metrics)
        yield "4b", f"Rows that can't be read are {_refused_or_skipped(data, skipped)}."
        yield "4c", _transformations(data, metrics)
        yield "5c", _splits(data)
    if model:
        yield "5a", _model(model, data, trainer, described)
    yield "5d", _choice(metrics)
    yield (
        "5f",
        "TF-IDF with logistic regression and with a linear SVM, on the same splits."
        if has_baselines
        else "Not yet: the command baseline adds linear models on the same splits.",
    )
    yield (
        "6a",
        "Weights learn from the train split. Checkpoint, temperature and threshold rule are chosen on the validation "
        "split. The tokenizer is GPT-2's own. Near-duplicates are found without labels.",
    )
    if "test" in splits and "also_in_train" in splits["test"]:
        found = splits["test"]["also_in_train"]
        removed = data.get("deduplicate", "none")
        yield (
            "6b",
            f"Repeats removed before splitting: {removed}. Test messages that are also in the train split: "
            f"{found['exact']:,} word for word, {found['near'] or 0:,} nearly or word for word.",
        )
    yield "6c", "The text of the message alone is read. Whether it is known when the label is needed is yours to say."
    yield (
        "7a",
        "All figures of the first table. The checkpoint is the one with the lowest validation loss, unless a callback "
        "chose another.",
    )
    yield (
        "7b",
        "Accuracies have 95% intervals (Wilson 1927). They hold for this one training on this one split. The "
        "command experiments gives the spread over seeds.",
    )
    if has_baselines:
        yield "7c", "McNemar's exact test, which needs messages that are independent of each other."
    if given := audit.get("given", {}).get("--data.test_corpus"):
        yield "8a", f"The test split was given as a corpus of its own: {given}."
    yield "8b", described.warning


def _reproducibility(made: Mapping[str, Any], described: RunDescription) -> Iterator[tuple[str, str]]:
    digests = "; ".join(f"SHA-256 of {flag}: {digest}" for flag, digest in made.get("corpus_sha256", {}).items())
    if described.corpus:
        yield "2a", f"{described.corpus[:1].upper()}{described.corpus[1:]}{f'. {digests}' if digests else ''}."
    if versions := made.get("versions"):
        git = made.get("git")
        revision = f", git revision {git['revision']}{', changed since' if git['changed'] else ''}" if git else ""
        yield "2b", f"spam_classifier {versions.get('spam_classifier')}{revision}."
        yield "2c", f"{versions.get('machine')}, PyTorch {versions.get('torch')}, {versions.get('threads')} threads."
    if made.get("commands"):
        yield "2d", f"Yes, that of spam_classifier. This run's own command: {made['commands'][-1]}"
        yield "2e", "Yes: the command rerun trains this run again from its directory and compares all figures."


def _counts(classes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {label}" for label, count in classes.items())


def _sizes(splits: Mapping[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', '-')}: {_counts(split['classes'])}" for name, split in splits.items()) + "."


def _left_out(data: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    said = [f"Repeats removed: {data.get('deduplicate')}"]
    if left := metrics.get("left_over", {}).get("messages"):
        said.append(f"{left:,} messages left out to balance the classes, and evaluated apart from the test split")
    if most := data.get("train_per_class"):
        said.append(f"at most {most:,} training messages of each class")
    return f"{'; '.join(said)}."


def _refused_or_skipped(data: Mapping[str, Any], skipped: int) -> str:
    if data.get("bad_rows") == "skip":
        return f"left out and listed: {skipped:,} in this run"
    return "refused: there were none"


def _transformations(data: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    splits = (metrics.get("audit") or {}).get("splits", {})
    cut = sum(split.get("truncated", 0) for split in splits.values())
    return (
        f"GPT-2's byte-pair encoding. {cut:,} messages were cut, keeping the {data.get('keep')}. Padding: "
        f"{data.get('padding')}."
    )


def _splits(data: Mapping[str, Any]) -> str:
    rest = "stratified by class, " if data.get("stratify") else ""
    return (
        f"One random split, {rest}seed {data.get('split_seed')}: {data.get('train_fraction')} for training, "
        f"{data.get('validation_fraction')} for validation, the rest for testing."
    )


def _model(
    model: Mapping[str, Any], data: Mapping[str, Any], trainer: Mapping[str, Any], described: RunDescription
) -> str:
    return (
        f"{described.model}, a linear head on the state of one token ({model.get('token_position')}). AdamW with a "
        f"learning rate of {model.get('learning_rate')} ({model.get('schedule')}) and a weight decay of "
        f"{model.get('weight_decay')}; batches of {data.get('batch_size')}, at most {trainer.get('max_epochs')} epochs."
    )


def _choice(metrics: Mapping[str, Any]) -> str:
    main = metrics.get("test") or metrics.get("validation") or {}
    rule = main.get("threshold_rule")
    return "The checkpoint with the lowest validation loss" + (
        f", with the threshold {rule} on the validation split." if isinstance(rule, str) else "."
    )
