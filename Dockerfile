# The studio in one image: web server, workers and beat differ by their command (`manage.py start …`).

FROM node:24-bookworm-slim AS frontend
WORKDIR /app/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM python:3.11-slim-trixie AS dependencies
# PyTorch's wheels from pip's own index are built for CUDA. For a machine without a GPU, give the address of the
# CPU wheels that PyTorch's installation page names: --build-arg TORCH_INDEX_URL=…
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY pyproject.toml constraints.txt LICENSE ./
RUN pip install ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} --constraint constraints.txt .

FROM python:3.11-slim-trixie
# pg_dump and pg_restore, for backups.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-17 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home studio \
    && install --directory --owner studio --group studio /data
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE manage.py ./
COPY simcore/ simcore/
COPY studio/ studio/
COPY workers/ workers/
COPY frontend/templates/ frontend/templates/
COPY --from=frontend /app/frontend/dist/ frontend/dist/
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SIMSTUDIO_DATA=/data SIMSTUDIO_HOST=0.0.0.0 SIMSTUDIO_LOG=json
USER studio
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["tini", "--", "python", "manage.py"]
CMD ["start", "web"]
