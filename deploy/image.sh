#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the image of deploy/Dockerfile without a container engine or a registry: a tar file that is
# an OCI image layout and a docker archive in one, the same bytes for the same build.
#
#   deploy/image.sh [BUILD_FOLDER [FILE [NAME:TAG]]]     defaults: build/release assay-agent.tar
#                                                                   assay-agent:latest
#   docker load -i assay-agent.tar
#   skopeo copy oci-archive:assay-agent.tar ...
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
file=$(realpath -m "${2:-assay-agent.tar}")
name=${3:-assay-agent:latest}

if [[ ! -x "$build/agent/assay-agent" ]]; then
  [[ "$build" == build/release ]] || { echo "${0##*/}: $build has no agent" >&2; exit 1; }
  cmake --preset release
  cmake --build --preset release --target assay-agent
fi
case "$(uname -m)" in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) architecture=$(uname -m) ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deploy/rootfs.sh "$build" "$work/rootfs"
mkdir -p "$work/image/blobs/sha256"

# Nothing of this machine or of this moment: the same tree gives the same digest.
pack() { # folder, file
  tar --create --file "$2" --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime=@0 --format=gnu .
}

# Keeps a file under its digest and says the digest.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/image/blobs/sha256/$digest"
  echo "$digest"
}

size() { stat -c %s "$work/image/blobs/sha256/$1"; }

pack "$work/rootfs" "$work/layer.tar"
layer=$(blob "$work/layer.tar")
cat >"$work/config.json" <<JSON
{"architecture":"$architecture","os":"linux","config":{"User":"0:0","WorkingDir":"/opt/spire","Entrypoint":["/opt/spire/bin/spire-agent","run"],"Env":["PATH=/opt/spire/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
config=$(blob "$work/config.json")
cat >"$work/manifest.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(size "$layer")}]}
JSON
manifest=$(blob "$work/manifest.json")
cat >"$work/image/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$manifest"),"annotations":{"io.containerd.image.name":"docker.io/library/$name","org.opencontainers.image.ref.name":"${name##*:}"}}]}
JSON
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/image/oci-layout"
# For engines that read no OCI layout.
cat >"$work/image/manifest.json" <<JSON
[{"Config":"blobs/sha256/$config","RepoTags":["$name"],"Layers":["blobs/sha256/$layer"]}]
JSON
pack "$work/image" "$file"
echo "$file: $name, sha256:$manifest"
