"""The JSON of requests and responses."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

THRESHOLD = "Probability of the second of two classes from which it is the label. Default: the model's own."
LABEL = "The predicted class; null if it is less probable than the server's --abstain says."
PROBABILITY = "Calibrated probability of the second of two classes (spam), or of the most probable one of more."
Threshold = Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False, description=THRESHOLD)]


Text = Annotated[Any, WithJsonSchema({"type": "string"})]  # others are refused with their places


class Request(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class PredictRequest(Request):
    """Texts to classify."""

    texts: Annotated[
        list[Text], Field(min_length=1, examples=[["You have won a prize, call now", "See you at seven?"]])
    ]
    threshold: Threshold = None
    allow_bad_texts: Annotated[
        bool,
        Field(description="Answer a text that can't be labelled with label null and the reason. Default: refuse all."),
    ] = False


class PredictFileQuery(Request):
    """What the server has to know of a file."""

    name: Annotated[str, Field(description="The file's name. Its ending tells the format.", examples=["inbox.csv"])]
    text_column: Annotated[
        list[str],
        Field(
            description="The column of the texts, its name or its number from 1; several, each given as a parameter of "
            "its own, are joined. Default: recognised by its name, such as text, message or v2."
        ),
    ] = []
    encoding: Annotated[
        str | None,
        Field(description="Of a text file. Default: by its byte order mark, else UTF-8, else guessed."),
    ] = None
    threshold: Threshold = None


class ExplainRequest(Request):
    """A text whose label is to be explained."""

    text: Annotated[str, Field(examples=["You have won a prize, call now"])]
    label: Annotated[
        str | None, Field(description="The class to explain. Default: the predicted one.", examples=["spam"])
    ] = None


class TextPrediction(BaseModel):
    """The label of a text."""

    label: Annotated[str | None, Field(description=LABEL, examples=["spam"])]
    probability: Annotated[float, Field(description=PROBABILITY, examples=[0.97])]
    probabilities: Annotated[
        dict[str, float],
        Field(description="Calibrated probability of each class.", examples=[{"ham": 0.03, "spam": 0.97}]),
    ]
    truncated: Annotated[bool, Field(description="Whether the text was longer than the model reads.", examples=[False])]


class RejectedText(BaseModel):
    """A text that has no label, if the request allows bad texts."""

    label: None
    reason: Annotated[str, Field(examples=["no text"])]


class RowPrediction(TextPrediction):
    """The label of a row's text."""

    place: Annotated[int | str, Field(description="The row's line or number, or the e-mail's name.", examples=[2])]
    text: Annotated[str, Field(examples=["You have won a prize, call now"])]


class RejectedRow(BaseModel):
    """A row that has no label."""

    place: Annotated[int | str, Field(description="As for a prediction.", examples=[3])]
    reason: Annotated[str, Field(examples=["no text"])]


class PredictResponse(BaseModel):
    """A prediction for each text, in the same order."""

    threshold: Threshold
    predictions: list[TextPrediction | RejectedText]


class PredictFileResponse(BaseModel):
    """A prediction, or the reason why there is none, for each row of a file."""

    unit: Annotated[str, Field(description="What a place counts: line, row or file.", examples=["line"])]
    labels: Annotated[
        list[str], Field(description="The classes, in the order of their indices.", examples=[["ham", "spam"]])
    ]
    threshold: Threshold
    predictions: list[RowPrediction]
    rejected: list[RejectedRow]
    notes: Annotated[str, Field(description="What was assumed or dropped as the file was read, or nothing.")]


class Part(BaseModel):
    """A piece of a text; all pieces in order make up the text."""

    text: Annotated[str, Field(examples=[" prize,"])]
    influence: Annotated[
        float | None, Field(description="What it adds to the log-odds; null for what is no word.", examples=[1.4])
    ]
    error: Annotated[float | None, Field(description="Standard error of the influence.", examples=[0.1])]


class ExplainResponse(BaseModel):
    """How far each part of a text pushed the model towards a class."""

    label: Annotated[str, Field(description="The class explained.", examples=["spam"])]
    prediction: TextPrediction
    parts: list[Part]
    log_odds: Annotated[
        float, Field(description="Of that class: without_words and all influences together.", examples=[2.7])
    ]
    without_words: Annotated[
        float, Field(description="Log-odds of that class for the text without any words.", examples=[-0.4])
    ]


class Limits(BaseModel):
    """The most that a request may hold."""

    texts: int
    rows: Annotated[int, Field(description="Of a file.")]
    characters: Annotated[int, Field(description="Of each text.")]
    body_bytes: int


class ModelResponse(BaseModel):
    """The model that is served."""

    run: Annotated[str, Field(description="The run that trained the model.")]
    labels: Annotated[
        list[str], Field(description="The classes, in the order of their indices.", examples=[["ham", "spam"]])
    ]
    threshold: Threshold
    abstain: Annotated[float | None, Field(description="No label is given that is less probable than this.")]
    max_length: Annotated[int, Field(description="Tokens the model reads of a text.")]
    needs_key: Annotated[bool, Field(description="Whether requests need Authorization: Bearer KEY.")]
    report: Annotated[bool, Field(description="Whether the run's report is at /report.")]
    summary: Annotated[str, Field(description="The corpus and the accuracy, as far as they are known, in one line.")]
    about: Annotated[dict[str, str], Field(description="The model, its corpus and its figures, in words.")]
    warning: Annotated[str, Field(description="What to keep in mind about the corpus, or nothing.")]
    limits: Limits


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: Annotated[str, Field(description="The reason, and what to do, in one line.")]
