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
STOPSIGNAL SIGTERM

# It must read HAProxy's Runtime API socket, and HAProxy its state: share both directories, and the group of the socket, with HAProxy.
FROM runtime AS haproxy-domain-agent
RUN install --directory --owner=dps --group=dps --mode=0700 /var/lib/haproxy-domain-agent
COPY --from=build /src/target/release/haproxy-domain-agent /usr/bin/haproxy-domain-agent
USER 10001
WORKDIR /var/lib/haproxy-domain-agent
VOLUME /var/lib/haproxy-domain-agent
EXPOSE 9402 9403
# Any answer is an answer: 503 says that HAProxy is away, which a new agent would not mend.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9402 && printf 'GET /health HTTP/1.1\\r\\nHost: agent\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == HTTP/1.1* ]]"]
ENTRYPOINT ["/usr/bin/haproxy-domain-agent"]

FROM runtime AS dps
RUN install --directory --owner=dps --group=dps --mode=0700 /var/lib/dps
COPY --from=build /src/target/release/dps /usr/bin/dps
USER 10001
WORKDIR /var/lib/dps
# With SQLite, the database and the key-encryption key are here: both are needed to read either.
VOLUME /var/lib/dps
# A container's loopback is nobody else's: `docker run -p 8080:8080` needs all addresses.
ENV Http__Listen=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/live HTTP/1.1\\r\\nHost: dps\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == 'HTTP/1.1 200'* ]]"]
ENTRYPOINT ["/usr/bin/dps"]
# Without settings it stays up, and /health says which are missing.
CMD ["run", "--wait-for-configuration"]
