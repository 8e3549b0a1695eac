# One image for servers and workers. DEVICE=cuda takes torch with CUDA, which is several times as large.
FROM python:3.12-slim
ARG DEVICE=cpu

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
RUN if [ "$DEVICE" = cpu ]; then \
        pip install --no-cache-dir -c constraints.txt --no-deps \
            --extra-index-url https://download.pytorch.org/whl/cpu torch; \
    else \
        pip install --no-cache-dir -c constraints.txt torch; \
    fi
COPY diffusionapi diffusionapi
# spandrel asks for torchvision, which it can do without.
RUN pip install --no-cache-dir -c constraints.txt -e '.[redis,s3]' \
    && pip install --no-cache-dir -c constraints.txt --no-deps spandrel
COPY model_labels.json ./

# /data is shared by the containers of a machine, /spool is each one's own.
RUN useradd --uid 1000 --create-home app \
    && mkdir -p /data/stable_diffusion /spool \
    && chown -R app:app /data /spool
USER app
ENV DATA_DIR=/data SPOOL_DIR=/spool MODEL_LABELS=/app/model_labels.json PYTHONUNBUFFERED=1
VOLUME ["/data", "/spool"]
EXPOSE 7866
CMD ["uvicorn", "diffusionapi.main:app", "--host", "0.0.0.0", "--port", "7866", "--ws-per-message-deflate", "false"]
