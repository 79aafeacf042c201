# The application of app.ts. On SQLite in the volume /data, unless DATABASE_URL says something else: docs/deploy.md
#
#   docker build -t fastify-tandem .
#   docker run -p 127.0.0.1:3000:3000 -v tandem:/data --memory 512m fastify-tandem

FROM node:24.21.0-trixie-slim AS base
WORKDIR /app

# What to install, out of package.json and its lock file. When neither changes for the application, the next stage is not built again.
FROM base AS manifest
COPY package.json package-lock.json ./
COPY deploy/manifest.ts deploy/
RUN mkdir /manifest && node deploy/manifest.ts /manifest

FROM base AS dependencies
COPY --from=manifest /manifest/ ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM base AS runtime
ENV NODE_ENV=production FASTIFY_ADDRESS=0.0.0.0 PORT=3000 DATABASE_URL=sqlite:/data/app.db
COPY --from=dependencies --chown=node:node /app/ ./
COPY --chown=node:node app.ts fastify.json LICENSE ./
COPY --chown=node:node native/SHA256SUMS native/
COPY --chown=node:node native/prebuilds/ native/prebuilds/
COPY --chown=node:node plugins/ plugins/
COPY --chown=node:node services/ services/
COPY --chown=node:node scripts/command.ts scripts/terminal.ts scripts/config.ts scripts/migrate.ts scripts/backup.ts scripts/copy.ts scripts/token.ts scripts/
RUN install -d -o node -g node /data
VOLUME /data
EXPOSE 3000
USER node

# There is no curl in the image, and none is needed
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/ops/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]

# Without a shell around it, so that SIGTERM reaches the server, which then answers what is under way and closes the database
CMD ["node", "node_modules/fastify-cli/cli.js", "start", "-c", "fastify.json", "app.ts"]
