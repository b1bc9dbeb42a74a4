# Quorate in a container: built from this folder, run as a user without rights.
#   docker build -t quorate .
#   docker run -p 2379:2379 -v quorate:/data quorate

FROM node:20-slim AS build
WORKDIR /quorate
COPY package.json package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /quorate
COPY --from=build /quorate/package.json ./
COPY --from=build /quorate/node_modules ./node_modules
COPY --from=build /quorate/dist ./dist
COPY proto ./proto
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 2379 2380
# A flag or a QUORATE_* variable can set all of these anew, but not both at once.
ENV QUORATE_DATA_DIR=/data \
    QUORATE_LISTEN_CLIENT_URLS=http://0.0.0.0:2379 \
    QUORATE_ADVERTISE_CLIENT_URLS=http://127.0.0.1:2379 \
    QUORATE_LISTEN_PEER_URLS=http://0.0.0.0:2380
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:2379/health').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/quorate.cjs"]
