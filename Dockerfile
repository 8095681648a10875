# Two stages: one builds and tries the rules, the other has the binary, its libraries and nothing else.
#   docker build -t runbell .
#   docker run -p 8484:8484 -e RUNBELL_TOKEN=... -e INGEST_TOKEN=... -v runbell:/var/lib/runbell runbell
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc make git libc6-dev pkg-config \
        libmicrohttpd-dev libcurl4-openssl-dev libjsmn-dev libyaml-dev libsqlite3-dev libpcre2-dev libssl-dev tzdata \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY .ci .ci
COPY src src
COPY tests tests
COPY rules rules
RUN make -j"$(nproc)" all && build/runbell test rules/*.yaml rules/more/*.yaml

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata \
        libmicrohttpd12 libcurl4 libyaml-0-2 libsqlite3-0 libpcre2-8-0 libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/runbell --shell /usr/sbin/nologin runbell \
    && install -d -o runbell -g runbell -m 700 /var/lib/runbell
COPY --from=build /src/build/runbell /usr/local/bin/runbell
COPY rules /etc/runbell/rules
COPY deploy/runbell.yaml /etc/runbell/runbell.yaml
USER 10001
WORKDIR /var/lib/runbell
VOLUME /var/lib/runbell
EXPOSE 8484
ENV RUNBELL_CONFIG=/etc/runbell/runbell.yaml
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["runbell", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["runbell"]
CMD ["serve"]
