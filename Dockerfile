# Serves a trained run over HTTP, on the CPU:
#
#   docker build --tag spam-classifier .
#   docker run --rm --publish 127.0.0.1:8000:8000 --volume "$PWD/lightning_logs:/runs/lightning_logs:ro" spam-classifier
#
# Then http://127.0.0.1:8000 is the page. It serves the best checkpoint of the newest run; another one:
#
#   docker run ... spam-classifier spam-classifier serve --host 0.0.0.0 --ckpt_path /runs/lightning_logs/version_3
#
# - Everyone who reaches the published port may use the server. To ask for a key, add --env SPAM_CLASSIFIER_API_KEY=...
# - Checkpoints leave out the frozen part of a published GPT-2. The container downloads it at its first start, or takes
#   it from the hub's cache: --volume "$HOME/.cache/huggingface:/home/app/.cache/huggingface"
# - PyTorch brings CUDA, which is not used here. To leave it out, name an index with the CPU wheels:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... --tag spam-classifier .
FROM python:3.12-slim

ARG PIP_EXTRA_INDEX_URL=""
RUN useradd --create-home app

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY configs configs
COPY spam_classifier spam_classifier
RUN pip install --no-cache-dir --constraint constraints.txt ".[metrics,parquet,serve]"

USER app
WORKDIR /home/app
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["spam-classifier", "serve", "--host", "0.0.0.0", "--root", "/runs"]
