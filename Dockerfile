# The mount in a container. Needs /dev/fuse and the right to mount:
#
#   docker build -t alluxio-fuse .
#   docker run --device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
#     --mount type=bind,source=/mnt/alluxio,target=/mnt/alluxio,bind-propagation=rshared \
#     alluxio-fuse /mnt/alluxio --etcd-hosts etcd:2379 --ufs s3://bucket/data --page-size 4MB --read-only

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No scripts of packages: the native ones ship their binaries.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npx --no-install tsc -p tsconfig.json --declaration false --sourceMap false \
  && find dist/src -name '*.test.js' -delete

FROM node:20-bookworm-slim AS packages
WORKDIR /packages
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  # Binaries for other machines are most of the size.
  && find node_modules/koffi/build/koffi -mindepth 1 -maxdepth 1 ! -name 'linux_*' ! -name 'musl_*' -exec rm -rf {} + \
  && rm -rf node_modules/koffi/src node_modules/koffi/vendor node_modules/koffi/doc \
    node_modules/fuse-native/prebuilds/darwin-*

FROM node:20-bookworm-slim
# fuse3 has fusermount3, libfuse2 the library of the fuse-native driver, mount is mount(8).
RUN apt-get update \
  && apt-get install -y --no-install-recommends fuse3 libfuse2 mount \
  && rm -rf /var/lib/apt/lists/* \
  # Lets --allow-other work for a mount made by a user who is not root.
  && echo user_allow_other >> /etc/fuse.conf \
  && mkdir -p /mnt/alluxio
WORKDIR /opt/alluxio-fuse
COPY --from=packages /packages/node_modules ./node_modules
COPY --from=build /build/dist/src ./dist/src
COPY package.json LICENSE ./
COPY bin/alluxio-fuse ./bin/alluxio-fuse
RUN ln -s /opt/alluxio-fuse/bin/alluxio-fuse /usr/local/bin/alluxio-fuse
ENV NODE_ENV=production
# 49999: /metrics, /health, /ready; on loopback unless --metrics-host says otherwise.
EXPOSE 49999
# Exec form: the signal of `docker stop` reaches the mount itself, which unmounts and ends. It is
# the parent of its own daemon and collects it, so no init is needed in between.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/alluxio-fuse/bin/alluxio-fuse", "mount", "--foreground"]
CMD ["/mnt/alluxio"]
