# The image of unique-cs, for linux/amd64 and linux/arm64.
#
#   docker build -t unique-cs .
#
# It runs as 10001:10001 and writes to /data only: run it with `--read-only` and a volume there.
# The build takes base images, a package index and an npm registry of your own as build arguments.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim

# The web part is the same on every machine, so it is built on the one that is here.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS web
ARG NPM_CONFIG_REGISTRY
WORKDIR /build/web
COPY web ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error \
 && npm run --silent build \
 && touch ../src/unique_cs/api/assets/.built

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL
WORKDIR /build
RUN python3 -m venv /app
COPY requirements.txt ./
# Wheels only: a package without one for this machine ends the build here and not in a compiler.
RUN /app/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements.txt
COPY . ./
COPY --from=web /build/src/unique_cs/api/assets src/unique_cs/api/assets
# What only builds does not go into the image.
RUN /app/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /app/bin/pip uninstall --yes grpcio-tools hatchling setuptools pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="unique-cs" \
      org.opencontainers.image.description="Self-hosted customer-service chat" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 unique-cs \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin unique-cs \
 && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    UNIQUE_CS_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
# HTTP with WebSocket, gRPC, MQTT
EXPOSE 8080 8081 1883
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["unique-cs", "health"]
ENTRYPOINT ["unique-cs"]
CMD ["serve"]
