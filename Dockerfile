# syntax=docker/dockerfile:1
# Two images from one build:
#   docker build --target dps -t dps .                      the service, Cabinet and command line
#   docker build --target haproxy-domain-agent -t agent .   the sidecar, nothing else
FROM rust:1.95-slim-bookworm AS build
# aws-lc and SQLite are C; nothing else is needed.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN script/build --release

FROM debian:bookworm-slim AS runtime
# The system's roots verify public CAs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/dps --shell /usr/sbin/nologin dps
USER 10001
WORKDIR /var/lib/dps
STOPSIGNAL SIGTERM

FROM runtime AS haproxy-domain-agent
COPY --from=build /src/target/release/haproxy-domain-agent /usr/bin/haproxy-domain-agent
EXPOSE 9402 9403
ENTRYPOINT ["/usr/bin/haproxy-domain-agent"]

FROM runtime AS dps
COPY --from=build /src/target/release/dps /usr/bin/dps
EXPOSE 8080
ENTRYPOINT ["/usr/bin/dps"]
CMD ["run"]
