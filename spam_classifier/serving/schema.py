"""What goes in and out over HTTP."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Threshold = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Probability from which the second of two classes is decided for; default: the model's own.",
    ),
]


class Request(BaseModel):
    """A body in which nothing is ignored."""

    model_config = ConfigDict(extra="forbid")


class PredictRequest(Request):
    """Texts to judge."""

    texts: Annotated[list[str], Field(min_length=1, examples=[["You have won a prize, call now", "See you at seven?"]])]
    threshold: Threshold = None


class ExplainRequest(Request):
    """A text whose verdict is to be explained."""

    text: Annotated[str, Field(examples=["You have won a prize, call now"])]
    label: Annotated[str | None, Field(description="The class to explain; default: the one decided for.")] = None


class Verdict(BaseModel):
    """What the model says of a text."""

    label: Annotated[str, Field(description="The class decided for.")]
    probability: Annotated[float, Field(description="Its calibrated probability.")]
    probabilities: Annotated[dict[str, float], Field(description="Calibrated probability of each class.")]
    truncated: Annotated[bool, Field(description="Whether the text was longer than the model reads.")]


class PredictResponse(BaseModel):
    """A verdict for each text, in their order."""

    threshold: Threshold
    predictions: list[Verdict]


class Part(BaseModel):
    """A piece of a text; the pieces make up the whole of it."""

    text: str
    influence: Annotated[
        float | None,
        Field(description="How far the class's log-odds fall when the piece is left out; null where there is none."),
    ]


class ExplainResponse(BaseModel):
    """What each part of a text has to do with its verdict."""

    label: Annotated[str, Field(description="The class explained.")]
    prediction: Verdict
    parts: list[Part]


class Limits(BaseModel):
    """What a request may hold."""

    texts: int
    characters: Annotated[int, Field(description="Of each text.")]
    body_bytes: int


class ModelResponse(BaseModel):
    """What is served."""

    run: Annotated[str, Field(description="The run that the model is from.")]
    labels: Annotated[list[str], Field(description="The classes in the order of their indices.")]
    threshold: Threshold
    max_length: Annotated[int, Field(description="Tokens that longer texts are cut to.")]
    needs_key: Annotated[bool, Field(description="Whether requests need Authorization: Bearer KEY.")]
    limits: Limits


class HealthResponse(BaseModel):
    """Whether texts can be judged."""

    status: Annotated[str, Field(description="loading or ready.")]


class Refusal(BaseModel):
    """Why a request was not answered."""

    detail: Annotated[str, Field(description="The reason, and what to do, in one line.")]
