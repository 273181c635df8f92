# Red Ribbons in a small image: Debian's own Python 3.11, the locked wheels, nothing that builds.
# The root file system may be read-only (docker run --read-only): the service writes nothing but partners' batches,
# sealed, to the volume /data.
ARG BASE=debian:12.12-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
COPY requirements.txt /srv/ribbons/
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /srv/ribbons/requirements.txt
COPY pyproject.toml README.md LICENSE /srv/ribbons/
COPY app /srv/ribbons/app
# Editable, because frames/ and fonts/ are data beside the package. pip and the build backend then go: an image
# that cannot install anything gives an intruder less to work with. numpy's own tests go too: 17 of its 73 MB.
RUN cd /srv/ribbons \
 && /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
 && /opt/venv/bin/pip uninstall --yes flit_core setuptools pip \
 && find /opt/venv -path '*/numpy/*' -name tests -prune -exec rm -r {} + \
 && python3 -m compileall -q -j 0 /opt/venv/lib /srv/ribbons/app

FROM ${BASE}
RUN apt-get update \
 && apt-get upgrade --yes \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && useradd --uid 10001 --no-create-home --no-log-init --shell /usr/sbin/nologin ribbons \
 && install --directory --owner=ribbons --group=ribbons --mode=700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/ribbons /srv/ribbons
COPY frames /srv/ribbons/frames
COPY fonts /srv/ribbons/fonts
ENV PATH=/opt/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RIBBONS_HOST=0.0.0.0 RIBBONS_LOG_FORMAT=json RIBBONS_DATA_FOLDER=/data
WORKDIR /srv/ribbons
USER ribbons
# As it lies in the image: of that user. Docker makes a volume of its own where none is named.
VOLUME ["/data"]
EXPOSE 8000
# Python rather than curl: it is there already.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["ribbons"]
CMD ["serve"]
