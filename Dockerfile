# Postern without a Redis of its own: POSTERN_REDIS_URL must name one that keeps the promises of config/redis.conf
# (docker-compose.yml runs one beside it). /data then holds the certificate and the pepper that keys are hashed with:
# keep it, or every key is void. Redis and /data belong in the same backup.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json esbuild.config.js ./
COPY src src
RUN npm run -s build

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    POSTERN_HOST=0.0.0.0 \
    POSTERN_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY bin/postern bin/postern
COPY config config
# The link is for `docker compose exec postern postern keys list`.
RUN install -d -o node -g node -m 0700 /data && ln -s /app/bin/postern /usr/local/bin/postern

USER node
VOLUME /data
# SMTP with STARTTLS, SMTP over TLS, HTTP
EXPOSE 2525 2465 8025
# Node asks, since the image has no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8025/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No shell in between: SIGTERM reaches Postern, which drains.
ENTRYPOINT ["node", "/app/bin/postern"]
CMD ["serve"]
